"""Writing TensorFlow checkpoint containers byte by byte, so that tests can break them.

The checksums here are computed by the definition, bit by bit or by TensorFlow's reader, never by
the code under test: a file made here is accepted by TensorFlow itself (see `test_tf_table.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MAGIC = 0xDB4775248B80FB57


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field_number: int, value: int) -> bytes:
    return varint(field_number << 3) + varint(value)


def message(field_number: int, *contents: bytes) -> bytes:
    body = b"".join(contents)
    return varint(field_number << 3 | 2) + varint(len(body)) + body


def fixed32(field_number: int, value: int) -> bytes:
    return varint(field_number << 3 | 5) + value.to_bytes(4, "little")


def shape(*sizes: int) -> bytes:
    """The contents of a `TensorShapeProto`."""
    return b"".join(message(2, number(1, size)) for size in sizes)


def extents(*parts: tuple[int, int] | None) -> bytes:
    """The contents of a `TensorSliceProto`; None is a whole dimension."""
    return b"".join(
        message(1) if part is None else message(1, number(1, part[0]), number(2, part[1]))
        for part in parts
    )


def _byte_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _byte_table()


def plain_crc32c(data: bytes) -> int:
    state = 0xFFFFFFFF
    for byte in data:
        state = state >> 8 ^ _TABLE[(state ^ byte) & 0xFF]
    return state ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def block(
    entries: Iterable[tuple[bytes, bytes]],
    restarts: list[int] | None = None,
    interval: int = 16,
    share: int | None = None,
) -> bytes:
    """A block without its trailer; `restarts` and `share` override the honest values."""
    out = bytearray()
    found = []
    previous = b""
    for position, (key, value) in enumerate(entries):
        shared = 0
        if position % interval == 0:
            found.append(len(out))
        else:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        stored = shared if share is None else share
        out += varint(stored) + varint(len(key) - shared) + varint(len(value))
        out += key[shared:] + value
        previous = key
    for restart in restarts if restarts is not None else found or [0]:
        out += restart.to_bytes(4, "little")
    out += len(restarts if restarts is not None else found or [0]).to_bytes(4, "little")
    return bytes(out)


def trailer(contents: bytes, kind: int = 0) -> bytes:
    checked = contents + bytes([kind])
    return bytes([kind]) + masked(plain_crc32c(checked)).to_bytes(4, "little")


@dataclass
class TableFile:
    """A table in parts: change any, then `build()` repairs the checksums.

    Attributes:
        blocks: contents of the data blocks and their compression type.
        separators: the index keys; made from the block number when empty.
        handles: overrides of (offset, size) in the index block, by block number.
        index_handle, metaindex_handle: overrides in the footer.
    """

    blocks: list[tuple[bytes, int]]
    separators: list[bytes] = field(default_factory=list)
    handles: dict[int, tuple[int, int]] = field(default_factory=dict)
    index_handle: tuple[int, int] | None = None
    metaindex_handle: tuple[int, int] | None = None
    index_block: bytes | None = None

    def build(self) -> bytes:
        out = bytearray()
        index = []
        for position, (contents, kind) in enumerate(self.blocks):
            offset, size = self.handles.get(position, (len(out), len(contents)))
            out += contents + trailer(contents, kind)
            index.append((self.separators[position], varint(offset) + varint(size)))
        metaindex = self._append(out, block([]))
        index_block = block(index, interval=1) if self.index_block is None else self.index_block
        index_at = self._append(out, index_block)
        footer = bytearray()
        for handle in (self.metaindex_handle or metaindex, self.index_handle or index_at):
            footer += varint(handle[0]) + varint(handle[1])
        out += footer[:40].ljust(40, b"\0") + MAGIC.to_bytes(8, "little")
        return bytes(out)

    @staticmethod
    def _append(out: bytearray, contents: bytes) -> tuple[int, int]:
        offset = len(out)
        out += contents + trailer(contents)
        return offset, len(contents)


def table_of(entries: Iterable[tuple[bytes, bytes]], per_block: int = 1000) -> TableFile:
    """A table with the given entries, sorted, `per_block` entries in a block."""
    ordered = sorted(entries)
    groups = [ordered[start : start + per_block] for start in range(0, len(ordered), per_block)]
    return TableFile(
        blocks=[(block(group), 0) for group in groups],
        separators=[group[-1][0] for group in groups],
    )


def bundle_header(shards: int = 1, *more: bytes) -> tuple[bytes, bytes]:
    return b"", number(1, shards) + message(3, number(1, 1)) + b"".join(more)


def bundle_entry(
    dtype: int = 1,
    sizes: Iterable[int] = (2,),
    offset: int = 0,
    size: int = 8,
    shard: int = 0,
    checksum: int = 0,
    *slices: bytes,
) -> bytes:
    """An encoded `BundleEntryProto`."""
    encoded = number(1, dtype) + message(2, shape(*sizes)) + number(3, shard)
    encoded += number(4, offset) + number(5, size) + fixed32(6, checksum)
    return encoded + b"".join(message(7, part) for part in slices)


def v1_list(*tensors: bytes) -> tuple[bytes, bytes]:
    """The list of tensors that a V1 checkpoint stores under the empty key."""
    return b"", message(1, *(message(1, tensor) for tensor in tensors))


def v1_tensor(name: str, dtype: int, sizes: Iterable[int], *slices: bytes) -> bytes:
    encoded = message(1, name.encode()) + message(2, shape(*sizes)) + number(3, dtype)
    return encoded + b"".join(message(4, part) for part in slices)


def v1_slice(name: str, part: bytes, values: bytes) -> bytes:
    """A stored slice; `values` are the contents of its `TensorProto`."""
    return message(2, message(1, name.encode()), message(2, part), message(3, values))


def read_table(stored: bytes) -> list[tuple[bytes, bytes]]:
    """The entries of an honest uncompressed table: the small counterpart of `table_of`."""

    def get(data: bytes, at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value, at

    def entries(contents: bytes) -> list[tuple[bytes, bytes]]:
        end = len(contents) - 4 - 4 * int.from_bytes(contents[-4:], "little")
        at, key, found = 0, b"", []
        while at < end:
            shared, at = get(contents, at)
            unshared, at = get(contents, at)
            size, at = get(contents, at)
            key = key[:shared] + contents[at : at + unshared]
            at += unshared
            found.append((key, contents[at : at + size]))
            at += size
        return found

    footer = stored[-48:]
    _, at = get(footer, 0)
    _, at = get(footer, at)
    offset, at = get(footer, at)
    size, _ = get(footer, at)
    found = []
    for _, handle in entries(stored[offset : offset + size]):
        first, at = get(handle, 0)
        length, _ = get(handle, at)
        if stored[first + length] != 0:
            raise ValueError("a compressed block")
        found += entries(stored[first : first + length])
    return found
