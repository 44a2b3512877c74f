"""HDF5's descriptions of data: element types and dimensions, as NumPy knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import ml_dtypes
import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.file_bytes import checked_shape

# Sign bit, exponent position and size, mantissa size, exponent bias.
_FLOATS = {
    (2, 15, 10, 5, 10, 15): np.dtype("<f2"),
    (4, 31, 23, 8, 23, 127): np.dtype("<f4"),
    (8, 63, 52, 11, 52, 1023): np.dtype("<f8"),
    (2, 15, 7, 8, 7, 127): np.dtype(ml_dtypes.bfloat16),
}


class Bytes:
    """A cursor over stored bytes that cannot leave them."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    @property
    def left(self) -> int:
        return len(self.data) - self.position

    def take(self, length: int) -> bytes:
        if not 0 <= length <= self.left:
            raise CheckpointError(f"{length} bytes are announced, {self.left} are left")
        self.position += length
        return self.data[self.position - length : self.position]

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "little")

    def name(self, padded: bool) -> str:
        """A name that ends with a zero byte, its length padded to a multiple of 8."""
        end = self.data.find(b"\0", self.position)
        if end < 0:
            raise CheckpointError("a name does not end")
        raw = self.take(end - self.position)
        self.take(min(self.left, 8 - len(raw) % 8 if padded else 1))
        return raw.decode("utf-8")


@dataclass(frozen=True)
class ElementType:
    """How one element is stored.

    Attributes:
        kind: `"number"` has a `dtype`; `"text"` is a fixed number of bytes; `"reference"` is
            text elsewhere in the file; anything else is `"other"`.
        size: its bytes in the dataset.
        dtype: as stored, byte order included.
        what: for messages.
    """

    kind: Literal["number", "text", "reference", "other"]
    size: int
    dtype: np.dtype | None = None
    what: str = ""


def read_type(data: bytes, depth: int = 0) -> ElementType:
    """Parses a datatype message.

    Raises:
        CheckpointError: it is broken. A type that no tensor has is returned as `"other"`.
    """
    cursor = Bytes(data)
    head = cursor.number(1)
    version, kind = head >> 4, head & 15
    bits = cursor.take(3)
    size = cursor.number(4)
    if not 1 <= version <= 5 or not 0 < size < 2**31 or depth > 4:
        raise CheckpointError(f"a datatype of version {version} and {size} bytes is broken")
    order = ">" if bits[0] & 1 else "<"
    if kind == 0 and size in (1, 2, 4, 8):
        offset, precision = cursor.number(2), cursor.number(2)
        if (offset, precision) == (0, 8 * size):
            code = "i" if bits[0] & 8 else "u"
            return ElementType("number", size, np.dtype(f"{order}{code}{size}"))
        return ElementType("other", size, what=f"an integer of {precision} bits")
    if kind == 1:
        layout = cursor.take(12)
        key = (size, bits[1], layout[4], layout[5], layout[7], int.from_bytes(layout[8:], "little"))
        dtype = _FLOATS.get(key)
        standard = layout[:2] == b"\0\0" and layout[6] == 0 and not bits[0] & 0x40
        swapped = order == ">" and dtype == ml_dtypes.bfloat16
        if dtype is not None and standard and not swapped:
            dtype = dtype if order == "<" else dtype.newbyteorder(">")
            return ElementType("number", size, dtype)
        return ElementType("other", size, what=f"an unusual float of {size} bytes")
    if kind == 3:
        return ElementType("text", size)
    if kind == 5:
        return ElementType("other", size, what="opaque")
    if kind == 6:
        return _compound(cursor, version, size, int.from_bytes(bits[:2], "little"), depth)
    if kind == 8:
        return _enumeration(cursor, version, size, int.from_bytes(bits[:2], "little"), depth)
    if kind == 9 and bits[0] & 15 == 1:
        return ElementType("reference", size)
    return ElementType("other", size, what=f"of HDF5 class {kind}")


def _compound(cursor: Bytes, version: int, size: int, count: int, depth: int) -> ElementType:
    """Complex numbers are a pair (r, i) of floats; nothing else is a tensor."""
    other = ElementType("other", size, what="a record of several fields")
    if count != 2 or version == 2 or size not in (8, 16):
        return other
    offset_size = 4 if version == 1 else max(1, (size.bit_length() + 7) // 8)
    parts = []
    for _ in range(2):
        name = cursor.name(padded=version < 3)
        offset = cursor.number(offset_size)
        if version == 1:
            cursor.take(28)
        member = read_type(cursor.data[cursor.position :], depth + 1).dtype
        if member is None or member.kind != "f":
            return other
        cursor.take(8 + 12)
        parts.append((name, offset, member))
    real, imaginary = parts
    half = real[2]
    if half.itemsize * 2 != size:
        return other
    if real[:2] != ("r", 0) or imaginary != ("i", half.itemsize, half):
        return other
    order = half.byteorder if half.byteorder in "<>" else "<"
    return ElementType("number", size, np.dtype(f"{order}c{size}"))


def _enumeration(cursor: Bytes, version: int, size: int, count: int, depth: int) -> ElementType:
    """h5py stores booleans as an enumeration FALSE = 0, TRUE = 1 of one byte."""
    base = read_type(cursor.data[cursor.position :], depth + 1)
    if base.dtype is None or base.dtype.kind not in "iu" or count > 64:
        return ElementType("other", size, what="an enumeration")
    cursor.take(8 + 4)
    names = [cursor.name(padded=version < 3) for _ in range(count)]
    values = list(cursor.take(count * base.size))
    if size == 1 and dict(zip(names, values, strict=False)) == {"FALSE": 0, "TRUE": 1}:
        return ElementType("number", 1, np.dtype("?"))
    return ElementType("number", size, base.dtype)


def read_dimensions(data: bytes, length_size: int, what: str) -> tuple[int, ...] | None:
    """Parses a dataspace message; None is the null space, which has no element at all.

    Raises:
        CheckpointError: it is broken, or no array can have that shape.
    """
    cursor = Bytes(data)
    version, rank, _ = cursor.number(1), cursor.number(1), cursor.number(1)
    if version == 1:
        cursor.take(5)
    elif version != 2:
        raise CheckpointError(f"{what}: a dataspace of version {version} is broken")
    elif cursor.number(1) == 2:
        return None
    if rank * length_size > cursor.left:
        raise CheckpointError(f"{what}: a dataspace of {rank} dimensions is broken")
    return checked_shape(tuple(cursor.number(length_size) for _ in range(rank)), what)
