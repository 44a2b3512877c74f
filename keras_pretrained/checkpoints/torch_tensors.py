"""torch's tensors as pickles describe them: a storage, an offset, a shape, strides.

Nothing here imports torch. The container (`torch_files`) says where the bytes of a storage are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.describe import describe
from keras_pretrained.checkpoints.file_bytes import checked_shape
from keras_pretrained.checkpoints.pickled_numpy import NUMPY_GLOBALS
from keras_pretrained.checkpoints.pickled_plain import PLAIN_GLOBALS, Allowed, record

STORAGES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
    "ComplexFloatStorage": np.dtype("<c8"),
    "ComplexDoubleStorage": np.dtype("<c16"),
    "UntypedStorage": np.dtype("u1"),
}
_STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")

_DTYPES = {
    "float32": np.dtype("<f4"),
    "float": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
    "double": np.dtype("<f8"),
    "float16": np.dtype("<f2"),
    "half": np.dtype("<f2"),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "float8_e4m3fnuz": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "float8_e5m2fnuz": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "int64": np.dtype("<i8"),
    "long": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "int": np.dtype("<i4"),
    "int16": np.dtype("<i2"),
    "short": np.dtype("<i2"),
    "int8": np.dtype("i1"),
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "uint32": np.dtype("<u4"),
    "uint64": np.dtype("<u8"),
    "bool": np.dtype("?"),
    "complex64": np.dtype("<c8"),
    "complex128": np.dtype("<c16"),
}


@dataclass(eq=False)
class Storage:
    """A run of elements of one type, stored once and shared by the tensors over it.

    Attributes:
        key: the container's name for it.
        dtype: the type of an element.
        size: the number of elements.
        start: the element of the stored run at which it begins; old files store views so.
    """

    key: str
    dtype: np.dtype
    size: int
    start: int = 0

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


@dataclass(eq=False, frozen=True)
class Tensor:
    """A view of a storage; offset and strides count elements of `dtype`."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def span(self) -> int:
        """The number of elements from the first to the last that the tensor uses."""
        if not self.size:
            return 0
        steps = zip(self.shape, self.strides, strict=True)
        return 1 + sum((size - 1) * stride for size, stride in steps)

    @property
    def is_contiguous(self) -> bool:
        expected = 1
        for size, stride in zip(self.shape[::-1], self.strides[::-1], strict=True):
            if size != 1 and stride != expected:
                return False
            expected *= size
        return True


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, dtype: np.dtype | None = None
) -> Tensor:
    if not isinstance(storage, Storage):
        raise ValueError("a tensor has no storage")
    sizes = checked_shape(shape, f"A tensor over storage {storage.key!r}")
    kind = storage.dtype if dtype is None else dtype
    available = storage.nbytes // kind.itemsize
    numbers = (offset, *strides) if isinstance(strides, tuple) else ()
    if len(numbers) != len(sizes) + 1 or not all(
        type(n) is int and 0 <= n < 2**62 for n in numbers
    ):
        raise CheckpointError(
            f"a tensor {list(sizes)} over storage {storage.key!r} has offset {describe(offset)} "
            f"and strides {describe(strides)}; expected non-negative integers, one stride "
            "a dimension"
        )
    tensor = Tensor(storage, offset, sizes, strides, kind)
    if offset + tensor.span > available:
        raise CheckpointError(
            f"a tensor {list(sizes)} with offset {offset} and strides {strides} leaves its "
            f"storage {storage.key!r} of {available} elements"
        )
    # Strides of 0 would let a few stored bytes become an array of any size.
    if tensor.size > available:
        raise CheckpointError(
            f"a tensor {list(sizes)} repeats the {available} elements of its storage "
            f"{storage.key!r}; save it with `.contiguous()`"
        )
    return tensor


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    return _tensor(storage, offset, shape, strides)


def _rebuild_tensor_v2(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    requires_grad: Any,
    hooks: Any,
    metadata: Any = None,
) -> Tensor:
    if metadata:
        # The conjugate and negative bits: the stored numbers would not be the values.
        raise CheckpointError("a lazily conjugated or negated tensor; save it with `.clone()`")
    return _tensor(storage, offset, shape, strides)


def _rebuild_tensor_v3(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    if metadata or not isinstance(dtype, Allowed) or dtype.name not in _DTYPE_NAMES:
        raise ValueError("expected a dtype")
    return _tensor(storage, offset, shape, strides, _DTYPE_NAMES[dtype.name])


def _rebuild_parameter(data: Any, requires_grad: Any, hooks: Any, state: Any = None) -> Tensor:
    if not isinstance(data, Tensor):
        raise ValueError("a parameter is not made of a tensor")
    return data


def _rebuild_from_type(function: Any, kind: Any, arguments: Any, state: Any = None) -> Any:
    known = isinstance(function, Allowed) and function.name.startswith("torch._utils._rebuild_")
    plain = isinstance(kind, Allowed) and kind.name in _TENSOR_TYPES
    if not known or not plain or function.build is None or type(arguments) is not tuple:
        raise ValueError("a tensor of a subclass")
    return function.build(*arguments)


def _size(sizes: Any = ()) -> tuple[int, ...]:
    return checked_shape(sizes, "torch.Size")


def _device(kind: Any, index: Any = None) -> str:
    if not isinstance(kind, str) or not (index is None or type(index) is int):
        raise ValueError("expected a name")
    return kind if index is None else f"{kind}:{index}"


_DTYPE_NAMES = {f"torch.{name}": dtype for name, dtype in _DTYPES.items()}
_STORAGE_NAMES = {
    f"{module}.{name}": dtype for module in _STORAGE_MODULES for name, dtype in STORAGES.items()
}
_TENSOR_TYPES = ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.Parameter")
_MARKERS = (*_DTYPE_NAMES, *_STORAGE_NAMES, *_TENSOR_TYPES, "torch.storage.TypedStorage")
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "torch.Size": _size,
    "torch.device": _device,
}

TORCH_GLOBALS: Mapping[str, Allowed] = {
    **PLAIN_GLOBALS,
    **NUMPY_GLOBALS,
    **{name: Allowed(name) for name in _MARKERS},
    **{name: Allowed(name, function) for name, function in _FUNCTIONS.items()},
    # Where a program ran, which checkpoints of training runs keep beside the weights.
    "pathlib.PosixPath": record("pathlib.PosixPath"),
    "pathlib.WindowsPath": record("pathlib.WindowsPath"),
}
"""What a torch checkpoint may name."""


def storage_from_id(identifier: Any) -> tuple[Storage, tuple[Any, ...]]:
    """The storage that a persistent id describes, and what the id holds beyond it.

    Raises:
        ValueError, CheckpointError: the id is not torch's.
    """
    if type(identifier) is not tuple or len(identifier) < 5 or identifier[0] != "storage":
        if type(identifier) is tuple and identifier[:1] == ("module",):
            raise CheckpointError(
                "the file holds a whole model with its code, not weights alone; load it in its own "
                "program and save `model.state_dict()`"
            )
        raise ValueError(f"a persistent id is not that of a storage: {describe(identifier)}")
    _, kind, key, _, size, *rest = identifier
    dtype = _STORAGE_NAMES.get(kind.name) if isinstance(kind, Allowed) else None
    if dtype is None:
        raise ValueError(f"a storage is of an unknown type: {describe(kind)}")
    if type(key) not in (str, int) or len(str(key)) > 100:
        raise ValueError("a storage has no usable key")
    if type(size) is not int or not 0 <= size < 2**59:
        raise ValueError(f"storage {key!r} has the size {describe(size)}")
    return Storage(str(key), dtype, size), tuple(rest)


def tensor_values(tensor: Tensor, elements: np.ndarray) -> np.ndarray:
    """The tensor as a read-only view of its storage.

    Args:
        tensor: checked when it was made.
        elements: the elements of its span, one-dimensional, in the tensor's dtype.
    """
    if tensor.is_contiguous or not tensor.size:
        values = elements.reshape(tensor.shape)
    else:
        step = tensor.dtype.itemsize
        values = np.lib.stride_tricks.as_strided(
            elements, tensor.shape, [stride * step for stride in tensor.strides], writeable=False
        )
    values.flags.writeable = False
    return values
