"""LevelDB sorted tables: the container of TensorFlow's `.index` files and V1 checkpoints.

A table is data blocks, an index block with one handle a data block, and a 48-byte footer.
Every block is checked (checksum, bounds, order) before an entry of it is believed.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from keras_pretrained.checkpoints import snappy
from keras_pretrained.checkpoints.crc32c import crc32c, mask
from keras_pretrained.checkpoints.damage import Malformed
from keras_pretrained.checkpoints.protobuf import read_varint

FOOTER_SIZE = 48
MAGIC = bytes.fromhex("57fb808b247547db")
_TRAILER_SIZE = 5

# The largest published checkpoints have a few ten thousand tensors.
_MAX_ENTRIES = 1 << 18

# Writers store a full key at least every 16 entries, so decoded keys are at most 16 times the
# block. Without a limit, prefixes make the decoded size quadratic in the stored one.
_MAX_KEY_EXPANSION = 64


class Table:
    """A read-only sorted table over the bytes of one file.

    Args:
        stored: the whole file, usually a memory map. Values are views into it unless
            their block is compressed.

    Raises:
        Malformed: the footer or the index block is broken. Data blocks are checked when read.
    """

    def __init__(self, stored: mmap.mmap | bytes) -> None:
        self._file = memoryview(stored)
        size = len(self._file)
        if size < FOOTER_SIZE or self._file[-len(MAGIC) :] != MAGIC:
            raise Malformed("The file does not end with the mark of a LevelDB table.")
        footer = self._file[size - FOOTER_SIZE : size - len(MAGIC)]
        metaindex, position = _read_handle(footer, 0)
        index, _ = _read_handle(footer, position)
        self._check_handle(metaindex, size - FOOTER_SIZE)
        self._check_handle(index, size - FOOTER_SIZE)
        self._separators: list[bytes] = []
        self._handles: list[tuple[int, int]] = []
        previous_end = 0
        for key, value in _read_entries(self._read_block(index)):
            handle, end = _read_handle(value, 0)
            if end != len(value) or handle[0] < previous_end:
                raise Malformed("The index block lists data blocks that overlap or go backward.")
            self._check_handle(handle, min(index[0], metaindex[0]))
            previous_end = handle[0] + handle[1] + _TRAILER_SIZE
            self._separators.append(key)
            self._handles.append(handle)
            if len(self._handles) > _MAX_ENTRIES:
                raise Malformed(f"The table has more than {_MAX_ENTRIES} blocks.")
        self._cached: tuple[int, dict[bytes, memoryview]] | None = None

    def entries(self) -> Iterator[tuple[bytes, memoryview]]:
        """All entries in key order.

        Raises:
            Malformed: a block is broken, or keys are not strictly ascending.
        """
        count, previous = 0, None
        for block, handle in enumerate(self._handles):
            for key, value in _read_entries(self._read_block(handle)):
                if previous is not None and key <= previous:
                    raise Malformed("The keys of the table are not in ascending order.")
                if key > self._separators[block]:
                    raise Malformed("A block of the table holds a key behind its index entry.")
                count += 1
                if count > _MAX_ENTRIES:
                    raise Malformed(f"The table has more than {_MAX_ENTRIES} entries.")
                previous = key
                yield key, value

    def get(self, key: bytes) -> memoryview | None:
        """The value of one key, reading only the block that can hold it; None when absent.

        Raises:
            Malformed: that block is broken.
        """
        block = bisect_left(self._separators, key)
        if block == len(self._handles):
            return None
        cached = self._cached
        if cached is None or cached[0] != block:
            found: dict[bytes, memoryview] = {}
            for stored_key, value in _read_entries(self._read_block(self._handles[block])):
                found[stored_key] = value
                if len(found) > _MAX_ENTRIES:
                    raise Malformed(f"The table has more than {_MAX_ENTRIES} entries.")
            cached = self._cached = (block, found)
        return cached[1].get(key)

    def _check_handle(self, handle: tuple[int, int], limit: int) -> None:
        offset, size = handle
        if offset + size + _TRAILER_SIZE > limit:
            raise Malformed(
                f"A block of {size} bytes at byte {offset} would end behind byte {limit}."
            )

    def _read_block(self, handle: tuple[int, int]) -> memoryview:
        offset, size = handle
        contents = self._file[offset : offset + size]
        trailer = self._file[offset + size : offset + size + _TRAILER_SIZE]
        checksum = mask(crc32c(trailer[:1], crc32c(contents)))
        if checksum != int.from_bytes(trailer[1:], "little"):
            raise Malformed(f"The block of {size} bytes at byte {offset} has a wrong checksum.")
        if trailer[0] == 0:
            return contents
        if trailer[0] == 1:
            return memoryview(snappy.decompress(contents))
        raise Malformed(f"The block at byte {offset} has the unknown compression {trailer[0]}.")


def _read_handle(buffer: memoryview, position: int) -> tuple[tuple[int, int], int]:
    offset, position = read_varint(buffer, position)
    size, position = read_varint(buffer, position)
    return (offset, size), position


def _read_entries(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    end = _entries_end(block)
    position, key, decoded = 0, b"", 0
    entries = block[:end]
    first = True
    while position < end:
        shared, position = read_varint(entries, position)
        unshared, position = read_varint(entries, position)
        value_size, position = read_varint(entries, position)
        if shared > len(key) or unshared > end - position:
            raise Malformed(f"A key before byte {position} of its block leaves the block.")
        following = key[:shared] + bytes(entries[position : position + unshared])
        position += unshared
        if value_size > end - position:
            raise Malformed(f"A value of {value_size} bytes leaves its block.")
        if not first and following <= key:
            raise Malformed("The keys of a block are not in ascending order.")
        decoded += len(following)
        if decoded > _MAX_KEY_EXPANSION * len(block):
            raise Malformed("The keys of a block share more bytes than any writer produces.")
        key, first = following, False
        yield key, entries[position : position + value_size]
        position += value_size


def _entries_end(block: memoryview) -> int:
    """Where the entries end and the restart array begins, the array checked."""
    if len(block) < 4:
        raise Malformed("A block is too small for its restart array.")
    count = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * count
    if end < 0:
        raise Malformed(f"A block of {len(block)} bytes declares {count} restart points.")
    restarts = np.frombuffer(block[end:-4], "<u4").astype(np.int64)
    in_order = restarts.size == 0 or (restarts[0] == 0 and bool((np.diff(restarts) > 0).all()))
    if not in_order or (restarts.size > 1 and restarts[-1] >= end):
        raise Malformed("The restart points of a block are out of order or outside of it.")
    return end
