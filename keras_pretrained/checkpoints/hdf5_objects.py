"""HDF5 objects: superblock, object headers, groups and attributes, every step bounds-checked.

The HDF5 library is not used for reading: a few wrong bytes make it crash the process, loop for
minutes or ask for gigabytes, so no error could be reported. Read here is what h5py and Keras
write by default and what the first HDF5 1.8 files hold (superblocks 0 to 3, both kinds of
object header, symbol tables and links in the header). What is not read (links or attributes in
fractal heaps, which `libver="latest"` uses for large groups) says so and names the remedy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.hdf5_types import Bytes, ElementType, read_dimensions, read_type

SIGNATURE = b"\x89HDF\r\n\x1a\n"

DATASPACE, DATATYPE, LINK_INFO, EXTERNAL, LAYOUT = 0x1, 0x3, 0x2, 0x7, 0x8
LINK, FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = (
    0x6,
    0xB,
    0xC,
    0x10,
    0x11,
    0x15,
)

_MAX_DEPTH = 64
_MAX_NAME = 4096
_MAX_NODE_LEVEL = 32

REPACK = "Write it again with h5py's default settings, or run `h5repack` on it."


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
        return next((body for found, body in self.messages if found == kind), None)

    @property
    def is_dataset(self) -> bool:
        return self.find(LAYOUT) is not None


class Hdf5Objects:
    """The tree of groups and datasets of one HDF5 file, or of one inside an archive.

    Args:
        file: the bytes.
        start: where the HDF5 file begins in them.
        size: how many bytes it has.

    Raises:
        CheckpointError: it is no HDF5 file. Methods raise it for everything else; messages
            name no file, which the caller adds.
    """

    def __init__(self, file: FileBytes, start: int = 0, size: int | None = None) -> None:
        self.file = file
        self.start = start
        self.size = file.size - start if size is None else size
        # Reading the same bytes over and over is how small files take long. Real files read
        # each byte of structure about once.
        self._budget = 64 * self.size + 1_000_000
        self._nodes: set[int] = set()
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}
        self._read_superblock()

    def _read_superblock(self) -> None:
        at = 0
        while self.raw(at, 8) != SIGNATURE:
            at = max(512, at * 2)
            if at + 8 > self.size:
                raise CheckpointError("it does not start as an HDF5 file does")
        # Addresses count from the superblock; what stands before it belongs to the user.
        self.start += at
        self.size -= at
        cursor = Bytes(self.raw(0, min(self.size, 256)), 8)
        version = cursor.number(1)
        if version in (0, 1):
            cursor.take(4)
            self.offset_size, self.length_size = cursor.number(1), cursor.number(1)
            cursor.take(9 if version == 0 else 13)
        elif version in (2, 3):
            self.offset_size, self.length_size = cursor.number(1), cursor.number(1)
            cursor.take(1)
        else:
            raise CheckpointError(f"its superblock has the unknown version {version}")
        if self.offset_size not in (4, 8) or self.length_size not in (4, 8):
            raise CheckpointError("its addresses are neither 4 nor 8 bytes wide")
        self.undefined = 2 ** (8 * self.offset_size) - 1
        base = cursor.number(self.offset_size)
        cursor.take(self.offset_size)
        end = cursor.number(self.offset_size)
        cursor.take(2 * self.offset_size if version < 2 else 0)
        self.root_address = cursor.number(self.offset_size)
        if base != at:
            raise CheckpointError(f"its base address is {base}, but it begins at {at}")
        if end != self.undefined and end > at + self.size:
            raise CheckpointError(f"it should have {end} bytes, but {at + self.size} are there")

    def raw(self, address: int, length: int) -> bytes:
        """Bytes of the file. Raises `CheckpointError` outside of it, or when asked too often."""
        if address < 0 or length < 0 or address + length > self.size:
            raise CheckpointError(
                f"bytes {address} to {address + length} are needed, but it has {self.size}"
            )
        self.spend(length + 16)
        return self.file.read(self.start + address, length)

    def spend(self, amount: int) -> None:
        """Draws on the budget of work, which is proportional to the file."""
        self._budget -= amount
        if self._budget < 0:
            raise CheckpointError("its structure refers to the same parts again and again")

    # Object headers

    def read_object(self, address: int) -> HeaderObject:
        """Reads an object header with its continuation blocks."""
        start = self.raw(address, min(64, max(0, self.size - address)))
        if start[:4] == b"OHDR":
            return self._read_header_2(address, start)
        cursor = Bytes(start)
        if cursor.number(1) != 1:
            raise CheckpointError(f"there is no object header at byte {address}")
        cursor.take(7)
        blocks = [(address + 16, cursor.number(4))]
        found = HeaderObject(address)
        for block, length in _growing(blocks):
            body = Bytes(self.raw(block, length))
            while body.left >= 8:
                kind, size, flags = body.number(2), body.number(2), body.number(1)
                body.take(3)
                self._add_message(found, blocks, kind, flags, body.take(size))
        return found

    def _read_header_2(self, address: int, start: bytes) -> HeaderObject:
        cursor = Bytes(start, 4)
        version, flags = cursor.number(1), cursor.number(1)
        if version != 2:
            raise CheckpointError(f"an object header has the unknown version {version}")
        cursor.take((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
        length = cursor.number(1 << (flags & 3))
        blocks = [(address + cursor.position, length)]
        first = True
        found = HeaderObject(address)
        for block, size in _growing(blocks):
            data = self.raw(block, size)
            if not first:
                if data[:4] != b"OCHK" or size < 8:
                    raise CheckpointError("a continued object header is broken")
                data = data[4:-4]
            first = False
            body = Bytes(data)
            while body.left >= 4:
                kind, size, message_flags = body.number(1), body.number(2), body.number(1)
                if flags & 4:
                    body.take(2)
                self._add_message(found, blocks, kind, message_flags, body.take(size))
        return found

    def _add_message(
        self,
        found: HeaderObject,
        blocks: list[tuple[int, int]],
        kind: int,
        flags: int,
        body: bytes,
    ) -> None:
        self.spend(64)
        if kind == CONTINUATION:
            cursor = Bytes(body)
            blocks.append((cursor.number(self.offset_size), cursor.number(self.length_size)))
            return
        if flags & 2 and kind in (DATASPACE, DATATYPE, LAYOUT, FILTERS):
            raise CheckpointError(f"an object shares its description with another. {REPACK}")
        found.messages.append((kind, body))

    # Groups

    def walk(self) -> Iterator[tuple[str, HeaderObject]]:
        """Every object below the root by path, in the file's order; groups before their parts.

        Raises:
            CheckpointError: a link leaves the file or leads in a circle.
        """
        groups: set[int] = set()
        pending = [("", self.root_address, 0)]
        while pending:
            path, address, depth = pending.pop()
            found = self.read_object(address)
            self.spend(len(path) + 64)
            yield path, found
            if found.is_dataset:
                continue
            if address in groups or depth > _MAX_DEPTH:
                raise CheckpointError(f"the group {path!r} contains itself, or is there twice")
            groups.add(address)
            links = [(f"{path}/{name}" if path else name, to) for name, to in self._links(found)]
            if len({name for name, _ in links}) != len(links):
                raise CheckpointError(f"the group {path!r} holds one name twice")
            pending += [(name, to, depth + 1) for name, to in reversed(links)]

    def _links(self, group: HeaderObject) -> list[tuple[str, int]]:
        info = group.find(LINK_INFO)
        if info is not None:
            cursor = Bytes(info)
            flags = cursor.number(2) >> 8
            cursor.take(8 if flags & 1 else 0)
            if cursor.number(self.offset_size) != self.undefined:
                raise CheckpointError(
                    f"a group keeps its links in a heap of HDF5 1.8, which is not read. {REPACK}"
                )
        links = [self._link(body) for kind, body in group.messages if kind == LINK]
        table = group.find(SYMBOL_TABLE)
        if table is not None:
            cursor = Bytes(table)
            tree, heap = cursor.number(self.offset_size), cursor.number(self.offset_size)
            names = self._local_heap(heap)
            links += [
                link for node in self._leaves(tree) for link in self._symbol_node(node, names)
            ]
        return links

    def _link(self, body: bytes) -> tuple[str, int]:
        cursor = Bytes(body)
        version, flags = cursor.number(1), cursor.number(1)
        kind = cursor.number(1) if flags & 8 else 0
        cursor.take((8 if flags & 4 else 0) + (1 if flags & 0x10 else 0))
        name = _checked_name(cursor.take(cursor.number(1 << (flags & 3))))
        if version != 1 or kind != 0:
            _refuse_link(name, {1: "soft", 64: "external"}.get(kind, "user-defined"))
        return name, cursor.number(self.offset_size)

    def _local_heap(self, address: int) -> bytes:
        cursor = Bytes(self.raw(address, 8 + 2 * self.length_size + self.offset_size))
        if cursor.take(4) != b"HEAP" or cursor.number(1) != 0:
            raise CheckpointError("a group has no heap of names")
        cursor.take(3)
        size = cursor.number(self.length_size)
        cursor.take(self.length_size)
        return self.raw(cursor.number(self.offset_size), size)

    def _leaves(self, tree: int) -> list[int]:
        """The leaves below a node of a group's tree, in order."""
        leaves = []
        pending = [(tree, _MAX_NODE_LEVEL)]
        while pending:
            address, above = pending.pop()
            entry = self.length_size + self.offset_size
            level, count, body = self.tree_node(address, 0, above, entry)
            children = []
            for _ in range(count):
                body.take(self.length_size)
                children.append(body.number(self.offset_size))
            if level:
                pending += [(child, level) for child in reversed(children)]
            else:
                leaves += children
        return leaves

    def tree_node(self, address: int, kind: int, above: int, entry: int) -> tuple[int, int, Bytes]:
        """A node of a version 1 tree: its level, its number of children, and their entries.

        Raises:
            CheckpointError: it is broken, not below `above`, or was read before.
        """
        if address in self._nodes:
            raise CheckpointError("a node of a tree occurs twice")
        self._nodes.add(address)
        length = 8 + 2 * self.offset_size
        cursor = Bytes(self.raw(address, length))
        signature, found, level = cursor.take(4), cursor.number(1), cursor.number(1)
        count = cursor.number(2)
        if signature != b"TREE" or found != kind or level >= above:
            raise CheckpointError(f"the node of a tree at byte {address} is broken")
        return level, count, Bytes(self.raw(address + length, count * entry))

    def _symbol_node(self, address: int, names: bytes) -> list[tuple[str, int]]:
        if address in self._nodes:
            raise CheckpointError("a node of a tree occurs twice")
        self._nodes.add(address)
        head = Bytes(self.raw(address, 8))
        if head.take(4) != b"SNOD" or head.number(1) != 1:
            raise CheckpointError(f"the list of links at byte {address} is broken")
        head.take(1)
        count = head.number(2)
        entry = 2 * self.offset_size + 24
        body = Bytes(self.raw(address + 8, count * entry))
        links = []
        for _ in range(count):
            start, to = body.number(self.offset_size), body.number(self.offset_size)
            cache = body.number(4)
            body.take(20)
            end = names.find(b"\0", start, start + _MAX_NAME + 1)
            if start >= len(names) or end < 0:
                raise CheckpointError("the name of a link lies outside of its heap")
            name = _checked_name(names[start:end])
            if cache == 2:
                _refuse_link(name, "soft")
            self.spend(len(name) + 64)
            links.append((name, to))
        return links

    # Attributes

    def attributes(self, owner: HeaderObject, wanted: tuple[str, ...]) -> dict[str, Any]:
        """The attributes whose names start with one of `wanted`: text, or lists of text.

        Raises:
            CheckpointError: one of them is broken. Other kinds of values are left out.
        """
        info = owner.find(ATTRIBUTE_INFO)
        if info is not None:
            cursor = Bytes(info)
            flags = cursor.number(2) >> 8
            cursor.take(2 if flags & 1 else 0)
            if cursor.number(self.offset_size) != self.undefined:
                raise CheckpointError(
                    "an object keeps its attributes in a heap of HDF5 1.8, which is not read. "
                    f"{REPACK}"
                )
        result: dict[str, Any] = {}
        for kind, body in owner.messages:
            if kind == ATTRIBUTE:
                name, value = self._attribute(body, wanted)
                if value is not None:
                    result[name] = value
        return result

    def _attribute(self, body: bytes, wanted: tuple[str, ...]) -> tuple[str, Any]:
        cursor = Bytes(body)
        version, flags = cursor.number(1), cursor.number(1)
        sizes = [cursor.number(2) for _ in range(3)]
        if version not in (1, 2, 3):
            raise CheckpointError(f"an attribute has the unknown version {version}")
        if version == 3:
            cursor.take(1)
        parts = []
        for size in sizes:
            parts.append(cursor.take(size))
            if version == 1:
                cursor.take(min(cursor.left, -size % 8))
        name = parts[0].rstrip(b"\0").decode("utf-8")
        if not name.startswith(wanted) or (flags & 3 and version > 1):
            return name, None
        what = f"the attribute {name!r}"
        kind = read_type(parts[1])
        shape = read_dimensions(parts[2], self.length_size, what)
        count = 0 if shape is None else prod(shape)
        if count == 0:
            return name, []
        if kind.kind not in ("text", "reference"):
            return name, None
        stored = Bytes(cursor.take(count * kind.size))
        texts = self._texts(stored, kind, count)
        return name, texts if shape else texts[0]

    def _texts(self, stored: Bytes, kind: ElementType, count: int) -> list[str]:
        texts = []
        for _ in range(count):
            raw = stored.take(kind.size)
            if kind.kind == "reference":
                raw = self._heap_object(raw)
            texts.append(raw.split(b"\0", 1)[0].decode("utf-8", "replace"))
        return texts

    def _heap_object(self, reference: bytes) -> bytes:
        cursor = Bytes(reference)
        length, address = cursor.number(4), cursor.number(self.offset_size)
        wanted = cursor.number(4)
        if length == 0:
            return b""
        if address not in self._heaps:
            self._heaps[address] = self._global_heap(address)
        position, size = self._heaps[address].get(wanted, (0, -1))
        if length > size:
            raise CheckpointError("a text is not in its heap")
        return self.raw(position, length)

    def _global_heap(self, address: int) -> dict[int, tuple[int, int]]:
        """The objects of a global heap by index: position and size."""
        head = Bytes(self.raw(address, 8 + self.length_size))
        if head.take(4) != b"GCOL" or head.number(1) != 1:
            raise CheckpointError("a text lies in no heap")
        head.take(3)
        end = min(address + head.number(self.length_size), self.size)
        position = address + head.position
        found: dict[int, tuple[int, int]] = {}
        while position + 8 + self.length_size <= end:
            entry = Bytes(self.raw(position, 8 + self.length_size))
            index = entry.number(2)
            entry.take(6)
            size = entry.number(self.length_size)
            position += entry.position
            # Index 0 is the free space at the end.
            if index == 0:
                break
            found[index] = (position, size)
            position += size + -size % 8
        return found


def _growing(blocks: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Iterates over blocks while more are found; a real header has a handful."""
    for index in range(1000):
        if index == len(blocks):
            return
        yield blocks[index]
    raise CheckpointError("an object header continues without end")


def _checked_name(raw: bytes) -> str:
    name = raw.decode("utf-8")
    if not name or "/" in name or "\0" in name or len(raw) > _MAX_NAME or name in (".", ".."):
        raise CheckpointError(f"a link has the name {name[:100]!r}")
    return name


def _refuse_link(name: str, kind: str) -> None:
    raise CheckpointError(
        f"{name!r} is a {kind} link; only data that the file itself holds is read"
    )
