"""NumPy scalars and arrays inside pickles, rebuilt from their stored bytes alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from keras_pretrained.checkpoints.file_bytes import checked_shape
from keras_pretrained.checkpoints.pickled_plain import Allowed, Stateful

_CORE = ("numpy.core", "numpy._core")
_FIXED_SIZE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16|S\d{1,6})")


class PickledDtype(Stateful):
    """A dtype in the making: its state carries the byte order."""

    def __init__(self, code: str) -> None:
        if code in ("O", "O8", "|O"):
            code = "O"
        elif not _FIXED_SIZE.fullmatch(code):
            raise ValueError(
                f"the NumPy dtype {code[:50]!r} is not a fixed-size number, boolean or byte string"
            )
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise ValueError("a NumPy dtype has a state of an unknown kind")
        if any(part is not None for part in state[2:5]):
            raise ValueError("a NumPy dtype has fields or a subarray")
        if not self.dtype.hasobject:
            self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray(Stateful):
    """An array in the making: everything is in its state.

    Attributes:
        array: the numbers, read-only, once the state was set; None for an array of objects.
        objects: the elements of an array of objects, as plain data.
        shape: the dimensions.
    """

    def __init__(self) -> None:
        self.array: np.ndarray | None = None
        self.objects: list[Any] = []
        self.shape: tuple[int, ...] = (0,)

    def set_state(self, state: Any) -> None:
        if type(state) is not tuple or len(state) not in (4, 5):
            raise ValueError("a NumPy array has a state of an unknown kind")
        shape, dtype, fortran, data = state[-4:]
        if isinstance(dtype, PickledDtype) and dtype.dtype.hasobject:
            self.shape = checked_shape(shape, "a NumPy array")
            if type(data) is not list or len(data) != prod(self.shape):
                raise ValueError("a NumPy array of objects has another number of them")
            self.objects = data
            return
        self.array = _array(data, dtype, shape, "F" if fortran else "C")


def _array(data: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    if isinstance(data, str):
        # Bytes of a Python 2 pickle that happened to be valid UTF-8.
        data = data.encode("utf-8")
    if not isinstance(data, bytes) or not isinstance(dtype, PickledDtype):
        raise ValueError("a NumPy array is not made of bytes and a dtype")
    kind = dtype.dtype
    if kind.hasobject:
        raise ValueError("NumPy objects are not made of bytes")
    sizes = checked_shape(shape, "a NumPy array")
    if kind.itemsize * prod(sizes) != len(data):
        raise ValueError(f"{len(data)} bytes do not make a NumPy array {kind}{list(sizes)}")
    array = np.frombuffer(data, kind).reshape(sizes, order=order)  # type: ignore[call-overload]
    if not kind.isnative:
        array = array.astype(kind.newbyteorder("="))
    array.flags.writeable = False
    return array


def _dtype(code: Any, *flags: Any) -> PickledDtype:
    if not isinstance(code, str) or not all(flag in (0, 1, False, True) for flag in flags):
        raise ValueError("expected a code")
    return PickledDtype(code)


def _scalar(dtype: Any, data: Any) -> Any:
    return _array(data, dtype, (), "C").item()


def _reconstruct(kind: Any, shape: Any, code: Any) -> PickledArray:
    if getattr(kind, "name", None) != "numpy.ndarray" or shape != (0,):
        raise ValueError("expected an empty numpy.ndarray")
    return PickledArray()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> PickledArray:
    made = PickledArray()
    made.array = _array(data, dtype, shape, "F" if order == "F" else "C")
    return made


def _entry(name: str, build: Any = None) -> dict[str, Allowed]:
    return {name: Allowed(name, build)}


NUMPY_GLOBALS: Mapping[str, Allowed] = {
    **_entry("numpy.ndarray"),
    **_entry("numpy.dtype", _dtype),
}
for _core in _CORE:
    NUMPY_GLOBALS = {
        **NUMPY_GLOBALS,
        **_entry(f"{_core}.multiarray.scalar", _scalar),
        **_entry(f"{_core}.multiarray._reconstruct", _reconstruct),
        **_entry(f"{_core}.numeric._frombuffer", _from_buffer),
    }
"""Allow-list entries for arrays, scalars and dtypes; names before and since NumPy 2."""
