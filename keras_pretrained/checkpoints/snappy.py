"""Decompression of the Snappy block format (google/snappy, format_description.txt)."""

from __future__ import annotations

from keras_pretrained.checkpoints.damage import Malformed
from keras_pretrained.checkpoints.protobuf import read_varint

# The densest element, a copy with a two-byte offset, makes 64 bytes out of 3.
_MAX_EXPANSION = 22


def decompress(compressed: memoryview) -> bytes:
    """The original bytes of one Snappy block.

    The declared length is believed only as far as the stored bytes can justify it.

    Raises:
        Malformed: an element leaves the input or the output, or the lengths differ.
    """
    declared, position = read_varint(compressed, 0)
    end = len(compressed)
    if declared > _MAX_EXPANSION * end:
        raise Malformed(
            f"A Snappy block of {end} bytes declares {declared} bytes, which it cannot hold."
        )
    output = bytearray(declared)
    written = 0
    while position < end:
        tag = compressed[position]
        position += 1
        kind = tag & 3
        if kind == 0:
            length = (tag >> 2) + 1
            if length > 60:
                length, position = _trailing(compressed, position, length - 60)
                length += 1
            if length > end - position or length > declared - written:
                raise Malformed(f"A Snappy literal of {length} bytes leaves its block.")
            output[written : written + length] = compressed[position : position + length]
            position += length
        else:
            if kind == 1:
                length = ((tag >> 2) & 7) + 4
                low, position = _trailing(compressed, position, 1)
                offset = ((tag >> 5) << 8) | low
            else:
                length = (tag >> 2) + 1
                offset, position = _trailing(compressed, position, 2 if kind == 2 else 4)
            if not 0 < offset <= written or length > declared - written:
                raise Malformed(
                    f"A Snappy copy of {length} bytes from {offset} bytes back leaves its block."
                )
            start = written - offset
            if offset >= length:
                output[written : written + length] = output[start : start + length]
            else:
                # Source and target overlap: the last `offset` bytes repeat.
                pattern = bytes(output[start:written])
                repeated = pattern * (length // offset + 1)
                output[written : written + length] = repeated[:length]
        written += length
    if written != declared:
        raise Malformed(f"A Snappy block declares {declared} bytes and holds {written}.")
    return bytes(output)


def _trailing(compressed: memoryview, position: int, width: int) -> tuple[int, int]:
    if position + width > len(compressed):
        raise Malformed("A Snappy block ends inside an element.")
    return int.from_bytes(compressed[position : position + width], "little"), position + width
