"""TensorFlow's element types and shapes as NumPy sees them."""

from __future__ import annotations

from math import prod

import ml_dtypes
import numpy as np

from keras_pretrained.checkpoints.damage import Malformed
from keras_pretrained.checkpoints.file_bytes import MAX_DIMENSIONS
from keras_pretrained.checkpoints.protobuf import BYTES, VARINT, Message, read_fields

STRING = 7

# The `DataType` enumeration. Quantised types are read as the integers that they store.
_DTYPES: dict[int, np.dtype] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    4: np.dtype("u1"),
    5: np.dtype("<i2"),
    6: np.dtype("i1"),
    STRING: np.dtype(object),
    8: np.dtype("<c8"),
    9: np.dtype("<i8"),
    10: np.dtype(bool),
    11: np.dtype("i1"),
    12: np.dtype("u1"),
    13: np.dtype("<i4"),
    14: np.dtype(ml_dtypes.bfloat16),
    15: np.dtype("<i2"),
    16: np.dtype("<u2"),
    17: np.dtype("<u2"),
    18: np.dtype("<c16"),
    19: np.dtype("<f2"),
    22: np.dtype("<u4"),
    23: np.dtype("<u8"),
    24: np.dtype(ml_dtypes.float8_e5m2),
    25: np.dtype(ml_dtypes.float8_e4m3fn),
    26: np.dtype(ml_dtypes.float8_e4m3fnuz),
    27: np.dtype(ml_dtypes.float8_e4m3b11fnuz),
    28: np.dtype(ml_dtypes.float8_e5m2fnuz),
    29: np.dtype(ml_dtypes.int4),
    30: np.dtype(ml_dtypes.uint4),
}

# Types of the enumeration that hold no array of numbers or strings, or that NumPy lacks.
_OTHER = {20: "resource", 21: "variant", 31: "int2", 32: "uint2"}


def numpy_dtype(number: int) -> np.dtype | None:
    """The dtype of a `DataType` number; None for a known type that has no NumPy form.

    Raises:
        Malformed: the number is no type of a stored tensor.
    """
    if number in _OTHER:
        return None
    try:
        return _DTYPES[number]
    except KeyError:
        raise Malformed(f"{number} is not the number of a TensorFlow element type.") from None


def type_name(number: int) -> str:
    """What to call an element type in metadata and messages."""
    return _OTHER.get(number) or str(_DTYPES.get(number, f"type {number}"))


def read_shape(encoded: memoryview) -> tuple[int, ...]:
    """A `TensorShapeProto` whose dimensions are all known.

    Raises:
        Malformed: an unknown or negative dimension, more than 32 dimensions, or more elements
            than memory has addresses.
    """
    shape: list[int] = []
    for number, wire, value in read_fields(encoded):
        if number == 3 and value:
            raise Malformed("A stored tensor has an unknown rank.")
        if number != 2:
            continue
        if wire != BYTES or not isinstance(value, memoryview):
            raise Malformed("A dimension of a shape is not a message.")
        size = Message(value, {1: VARINT}).integer(1)
        if size < 0:
            raise Malformed(f"A stored tensor has a dimension of {size}.")
        shape.append(size)
        if len(shape) > MAX_DIMENSIONS:
            raise Malformed(f"A stored tensor has more than {MAX_DIMENSIONS} dimensions.")
    # Empty tensors too: NumPy multiplies the other dimensions before it looks at the zero.
    if prod(size or 1 for size in shape) >= 1 << 58:
        raise Malformed(f"The shape {shape} has more elements than any memory.")
    return tuple(shape)
