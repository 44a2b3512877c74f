"""The values of a `TensorProto`, as V1 checkpoints use it: in its typed, packed fields."""

from __future__ import annotations

import numpy as np

from keras_pretrained.checkpoints.damage import Malformed
from keras_pretrained.checkpoints.protobuf import BYTES, Message, read_packed_varints
from keras_pretrained.checkpoints.tf_types import STRING, type_name

_INT, _HALF = 7, 13
_STRINGS = 8

# Raw little-endian numbers: element type -> field.
_RAW_FIELDS = {1: 5, 2: 6, 8: 9, 18: 12}

# One varint an element: element type -> field.
_VARINT_FIELDS = {
    **dict.fromkeys([3, 4, 5, 6, 11, 12, 13, 15, 16, 17], _INT),
    9: 10,
    10: 11,
    14: _HALF,
    19: _HALF,
    22: 16,
    23: 17,
}


def read_values(
    encoded: memoryview, type_number: int, dtype: np.dtype, elements: int
) -> np.ndarray:
    """The flat values of one tensor; floats stay views into `encoded`.

    Args:
        encoded: a `TensorProto`.
        type_number: its element type, a `DataType` number.
        dtype: the NumPy dtype of that type.
        elements: how many values it must hold.

    Raises:
        Malformed: another number of values is stored, or one does not fit the type.
    """
    if type_number == STRING:
        return _read_strings(encoded, elements)
    if type_number in _RAW_FIELDS:
        data = _only(encoded, _RAW_FIELDS[type_number])
        _check_count(len(data) / dtype.itemsize, elements, type_number)
        return np.frombuffer(data, dtype)
    if type_number not in _VARINT_FIELDS:
        raise Malformed(f"V1 checkpoints cannot hold the type {type_name(type_number)}.")
    field = _VARINT_FIELDS[type_number]
    values = read_packed_varints(_only(encoded, field))
    _check_count(values.size, elements, type_number)
    return _narrow(values, dtype, is_bits=field == _HALF)


def _only(encoded: memoryview, field: int) -> memoryview:
    """The one packed run of a field; a parser may join several, no writer makes them."""
    runs = Message(encoded, {field: BYTES}).views(field)
    if len(runs) > 1:
        raise Malformed(f"The values are in {len(runs)} runs instead of one.")
    return runs[0] if runs else memoryview(b"")


def _check_count(found: float, elements: int, type_number: int) -> None:
    if found != elements:
        raise Malformed(
            f"{elements} values of type {type_name(type_number)} are declared, {found:g} stored."
        )


def _narrow(values: np.ndarray, dtype: np.dtype, is_bits: bool) -> np.ndarray:
    if is_bits:
        narrow = values.astype(np.uint16)
        if (narrow != values).any():
            raise Malformed("A half-precision value has more than 16 bits.")
        return narrow.view(dtype)
    narrow = values.view(np.int64).astype(dtype)
    # Negative int32 values are stored as 64-bit two's complement, so the wide forms must agree.
    if (narrow.astype(np.int64).view(np.uint64) != values).any():
        raise Malformed(f"A value does not fit in {dtype}.")
    return narrow


def _read_strings(encoded: memoryview, elements: int) -> np.ndarray:
    stored = Message(encoded, {_STRINGS: BYTES}).views(_STRINGS)
    _check_count(len(stored), elements, STRING)
    strings = np.empty(elements, object)
    for index, value in enumerate(stored):
        strings[index] = bytes(value)
    return strings
