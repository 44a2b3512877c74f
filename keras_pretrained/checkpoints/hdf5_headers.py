"""HDF5 object headers of both versions: a group or a dataset as a list of messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.hdf5_checksums import check_structure
from keras_pretrained.checkpoints.hdf5_source import REPACK, Hdf5Source
from keras_pretrained.checkpoints.hdf5_types import Bytes

DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT = 0x1, 0x2, 0x3, 0x6, 0x7, 0x8
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0xB, 0xC, 0x10, 0x11, 0x15

_MAX_BLOCKS = 1000

_Blocks = list[tuple[int, int]]


@dataclass
class HeaderObject:
    """One object header: a group or a dataset.

    Attributes:
        address: where it is, which tells objects apart.
        messages: (kind, body) in order.
    """

    address: int
    messages: list[tuple[int, bytes]] = field(default_factory=list)

    def find(self, kind: int) -> bytes | None:
        """The body of the first message of a kind."""
        return next((body for found, body in self.messages if found == kind), None)

    @property
    def is_dataset(self) -> bool:
        return self.find(LAYOUT) is not None


def read_object(source: Hdf5Source, address: int) -> HeaderObject:
    """Reads an object header with its continuation blocks.

    Raises:
        CheckpointError: it is broken, or shares a description with another object.
    """
    start = source.raw(address, min(64, max(0, source.size - address)))
    if start[:4] == b"OHDR":
        return _read_version_2(source, address, start)
    cursor = Bytes(start)
    if cursor.number(1) != 1:
        raise CheckpointError(f"there is no object header at byte {address}")
    cursor.take(7)
    blocks = [(address + 16, cursor.number(4))]
    found = HeaderObject(address)
    for block, length in _growing(blocks):
        body = Bytes(source.raw(block, length))
        while body.left >= 8:
            kind, size, flags = body.number(2), body.number(2), body.number(1)
            body.take(3)
            _add_message(source, found, blocks, kind, flags, body.take(size))
    return found


def _read_version_2(source: Hdf5Source, address: int, start: bytes) -> HeaderObject:
    cursor = Bytes(start, 4)
    version, flags = cursor.number(1), cursor.number(1)
    if version != 2:
        raise CheckpointError(f"an object header has the unknown version {version}")
    cursor.take((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
    length = cursor.number(1 << (flags & 3))
    prefix = cursor.position
    blocks = [(address, prefix + length + 4)]
    found = HeaderObject(address)
    message_prefix = 6 if flags & 4 else 4
    for block, size in _growing(blocks):
        stored = source.raw(block, size)
        if found.address != block and (stored[:4] != b"OCHK" or size < 8):
            raise CheckpointError("a continued object header is broken")
        check_structure(stored[:-4], stored[-4:], "an object header")
        body = Bytes(stored[:-4], prefix)
        # What is left and too short for a message is a gap.
        while body.left >= message_prefix:
            kind, size, message_flags = body.number(1), body.number(2), body.number(1)
            body.take(message_prefix - 4)
            _add_message(source, found, blocks, kind, message_flags, body.take(size))
        prefix = 4
    return found


def _add_message(
    source: Hdf5Source, found: HeaderObject, blocks: _Blocks, kind: int, flags: int, body: bytes
) -> None:
    source.spend(64)
    if kind == CONTINUATION:
        cursor = Bytes(body)
        blocks.append((cursor.number(source.offset_size), cursor.number(source.length_size)))
        return
    if flags & 2 and kind in (DATASPACE, DATATYPE, LAYOUT, FILTERS):
        raise CheckpointError(f"an object shares its description with another. {REPACK}")
    found.messages.append((kind, body))


def _growing(blocks: _Blocks) -> Iterator[tuple[int, int]]:
    """Iterates over blocks while more are found; a real header has a handful."""
    for index in range(_MAX_BLOCKS):
        if index == len(blocks):
            return
        yield blocks[index]
    raise CheckpointError("an object header continues without end")
