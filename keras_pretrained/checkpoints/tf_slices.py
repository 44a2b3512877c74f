"""Partitioned variables: tensors that TensorFlow stores as several slices.

A slice lies under its own key, built from the tensor's name and the extent in TensorFlow's
order-preserving code.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from keras_pretrained.checkpoints.damage import Malformed
from keras_pretrained.checkpoints.protobuf import BYTES, VARINT, Message

# One (start, length) a dimension; length -1 is the whole dimension.
Extents = tuple[tuple[int, int], ...]
WHOLE = (0, -1)


def read_extents(encoded: memoryview) -> Extents:
    """A `TensorSliceProto` as it is written in slice keys."""
    extents = []
    for extent in Message(encoded, {1: BYTES}).views(1):
        fields = Message(extent, {1: VARINT, 2: VARINT})
        extents.append((fields.integer(1), fields.integer(2) if 2 in fields else -1))
    return tuple(extents)


def place(extents: Extents, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Where a slice lies in the whole tensor.

    Raises:
        Malformed: the slice has another rank than the tensor or leaves it.
    """
    if len(extents) != len(shape):
        raise Malformed(f"A slice has {len(extents)} dimensions, its tensor {list(shape)}.")
    region = []
    for (start, length), size in zip(extents, shape, strict=True):
        if length == -1 and start == 0:
            length = size
        if start < 0 or length < 0 or start + length > size:
            raise Malformed(f"A slice [{start}, {start}+{length}) leaves a dimension of {size}.")
        region.append(slice(start, start + length))
    return tuple(region)


def region_shape(region: tuple[slice, ...]) -> tuple[int, ...]:
    return tuple(part.stop - part.start for part in region)


def check_slices(slices: list[Extents], shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """The regions of all slices of one tensor, which must be distinct and fill it in number.

    That they also do not overlap is checked by `assemble`, where the memory is at hand.
    """
    if len(set(slices)) != len(slices):
        raise Malformed("A tensor lists the same slice twice.")
    regions = [place(extents, shape) for extents in slices]
    elements = sum(prod(region_shape(region)) for region in regions)
    if elements != prod(shape):
        raise Malformed(
            f"The slices of a tensor of shape {list(shape)} hold {elements} elements "
            f"instead of {prod(shape)}."
        )
    return regions


def assemble(
    shape: tuple[int, ...],
    dtype: np.dtype,
    pieces: Iterable[tuple[tuple[slice, ...], np.ndarray]],
) -> np.ndarray:
    """One array from its slices, each element covered once.

    Raises:
        Malformed: slices overlap, so that a part of the tensor is missing.
    """
    whole = np.empty(shape, dtype)
    covered = np.zeros(shape, bool)
    for region, piece in pieces:
        whole[region] = piece
        covered[region] = True
    if not covered.all():
        raise Malformed(f"The slices overlap and leave a part of the shape {list(shape)} out.")
    return whole


def slice_key(name: str, extents: Extents) -> bytes:
    """The table key under which TensorFlow stores one slice of a tensor."""
    key = bytearray()
    _write_number(key, 0)
    for part in name.encode("utf-8").split(b"\0"):
        # The code escapes 0xff too, which UTF-8 never contains.
        key += part + b"\x00\xff"
    key[-1:] = b"\x01"
    _write_number(key, len(extents))
    for start, length in extents:
        _write_signed(key, start)
        _write_signed(key, length)
    return bytes(key)


def _write_number(key: bytearray, value: int) -> None:
    width = (value.bit_length() + 7) // 8
    key.append(width)
    key += value.to_bytes(width, "big")


def _write_signed(key: bytearray, value: int) -> None:
    """Length in unary in the leading bits (inverted for negatives), then two's complement."""
    bits = (~value if value < 0 else value).bit_length()
    width = bits // 7 + 1
    encoded = value & ((1 << 8 * width) - 1)
    # `width` one bits, followed by the complement of the sign, flip the sign extension.
    header = ((1 << width) - 1) << (8 * width - width)
    key += (encoded ^ header).to_bytes(width, "big")
