"""The protocol buffer wire format, read without generated code and with every step bounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_pretrained.checkpoints.damage import Malformed

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIRE_NAMES = {VARINT: "varint", FIXED64: "fixed64", BYTES: "length-delimited", FIXED32: "fixed32"}

# A field needs two stored bytes but some 150 bytes as a Python object and a microsecond to skip.
# No message in a checkpoint has this many, and without the limits a file of some megabytes
# fills the memory, and one of some gigabytes of skipped fields takes an hour.
_MAX_STORED_FIELDS = 1 << 18
_MAX_FIELDS = 1 << 22

# Bulk decoding needs some 50 bytes of working memory for each stored byte of a part.
_PART = 1 << 18


def read_varint(buffer: memoryview, position: int) -> tuple[int, int]:
    """The unsigned 64-bit varint at `position`, and the position behind it.

    Raises:
        Malformed: the buffer ends inside the number, or it does not fit in 64 bits.
    """
    value = shift = 0
    end = len(buffer)
    while position < end:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, position
        shift += 7
        if shift > 63:
            break
    if position >= end and shift <= 63:
        raise Malformed(f"The data ends inside a variable-length number at byte {position}.")
    raise Malformed(f"A variable-length number before byte {position} does not fit in 64 bits.")


def signed(value: int) -> int:
    """A 64-bit varint read as int64 (two's complement)."""
    return value - (1 << 64) if value >> 63 else value


def read_fields(buffer: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """The fields of one message in stored order: (number, wire type, value).

    Values are unsigned ints, or views for length-delimited fields; nothing is copied.

    Raises:
        Malformed: a field number of 0, a group, or a length that leaves the buffer.
    """
    position, end = 0, len(buffer)
    count = 0
    while position < end:
        count += 1
        if count > _MAX_FIELDS:
            raise Malformed(f"A message has more than {_MAX_FIELDS} fields.")
        tag, position = read_varint(buffer, position)
        number, wire = tag >> 3, tag & 7
        if number == 0 or number >> 29:
            raise Malformed(f"A message has the impossible field number {number}.")
        value: int | memoryview
        if wire == VARINT:
            value, position = read_varint(buffer, position)
        elif wire == BYTES:
            length, position = read_varint(buffer, position)
            if length > end - position:
                raise Malformed(
                    f"Field {number} declares {length} bytes, only {end - position} are left."
                )
            value = buffer[position : position + length]
            position += length
        elif wire in (FIXED32, FIXED64):
            width = 4 if wire == FIXED32 else 8
            if width > end - position:
                raise Malformed(f"Field {number} ends outside its message.")
            value = int.from_bytes(buffer[position : position + width], "little")
            position += width
        else:
            raise Malformed(f"Field {number} has the unsupported wire type {wire}.")
        yield number, wire, value


class Message:
    """The wanted fields of one message; everything else is skipped unread.

    Args:
        buffer: the encoded message.
        wanted: field number -> wire type that it must have.
    """

    def __init__(self, buffer: memoryview, wanted: dict[int, int]) -> None:
        self._wanted = wanted
        self._values: dict[int, list[int | memoryview]] = {}
        stored = 0
        for number, wire, value in read_fields(buffer):
            expected = wanted.get(number)
            if expected is None:
                continue
            if wire != expected:
                raise Malformed(
                    f"Field {number} is stored as {_WIRE_NAMES[wire]}, "
                    f"expected {_WIRE_NAMES[expected]}."
                )
            stored += 1
            if stored > _MAX_STORED_FIELDS:
                raise Malformed(f"A message has more than {_MAX_STORED_FIELDS} fields.")
            self._values.setdefault(number, []).append(value)

    def __contains__(self, number: int) -> bool:
        return number in self._values

    def integer(self, number: int) -> int:
        """The last value of a numeric field as int64 (fixed32: unsigned); 0 when absent."""
        value = self._values.get(number, [0])[-1]
        if not isinstance(value, int):
            raise TypeError(f"field {number} was not asked for as a number")
        return signed(value)

    def views(self, number: int) -> list[memoryview]:
        """All values of a length-delimited field, in stored order."""
        return [value for value in self._values.get(number, []) if isinstance(value, memoryview)]

    def view(self, number: int) -> memoryview:
        """The last value of a length-delimited field; empty when absent."""
        views = self.views(number)
        return views[-1] if views else memoryview(b"")

    def text(self, number: int) -> str:
        """The last value of a string field; empty when absent."""
        return as_text(self.view(number))


def as_text(stored: memoryview | bytes) -> str:
    """Stored bytes as UTF-8 text."""
    try:
        return bytes(stored).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"A name is not valid UTF-8: {bytes(stored[:64])!r}.") from error


def read_packed_varints(buffer: memoryview) -> np.ndarray:
    """A packed repeated varint field as uint64, decoded in bulk.

    Raises:
        Malformed: the last number is cut off, or one does not fit in 64 bits.
    """
    stored = np.frombuffer(buffer, np.uint8)
    if stored.size and stored[-1] >= 0x80:
        raise Malformed("Packed numbers end inside a number.")
    count = sum(
        int(np.count_nonzero(stored[start : start + _PART] < 0x80))
        for start in range(0, stored.size, _PART)
    )
    values = np.empty(count, np.uint64)
    start = filled = 0
    while start < stored.size:
        part = stored[start : start + _PART]
        ends = np.flatnonzero(part < 0x80)
        if ends.size == 0:
            raise Malformed("A packed number does not fit in 64 bits.")
        part = part[: ends[-1] + 1]
        values[filled : filled + ends.size] = _decode_varints(part, ends)
        filled += ends.size
        start += part.size
    return values


def _decode_varints(stored: np.ndarray, ends: np.ndarray) -> np.ndarray:
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    longest = int(lengths.max())
    if longest > 10 or (longest == 10 and (stored[ends[lengths == 10]] > 1).any()):
        raise Malformed("A packed number does not fit in 64 bits.")
    values = (stored[starts] & 0x7F).astype(np.uint64)
    for index in range(1, longest):
        longer = np.flatnonzero(lengths > index)
        bits = (stored[starts[longer] + index] & 0x7F).astype(np.uint64)
        values[longer] |= bits << np.uint64(7 * index)
    return values
