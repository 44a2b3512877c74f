"""HDF5 groups: every object of a file by its path. Links lead nowhere but to the file's own."""

from __future__ import annotations

from collections.abc import Iterator

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.hdf5_headers import (
    LINK,
    LINK_INFO,
    SYMBOL_TABLE,
    HeaderObject,
    read_object,
)
from keras_pretrained.checkpoints.hdf5_source import REPACK, Hdf5Source
from keras_pretrained.checkpoints.hdf5_types import Bytes

_MAX_DEPTH = 64
_MAX_NAME = 4096
_MAX_NODE_LEVEL = 32


def walk(source: Hdf5Source) -> Iterator[tuple[str, HeaderObject]]:
    """Every object below the root by path, in the file's order; groups before their parts.

    Raises:
        CheckpointError: a link leaves the file or leads in a circle.
    """
    groups: set[int] = set()
    pending = [("", source.root_address, 0)]
    while pending:
        path, address, depth = pending.pop()
        found = read_object(source, address)
        source.spend(len(path) + 64)
        yield path, found
        if found.is_dataset:
            continue
        if address in groups or depth > _MAX_DEPTH:
            raise CheckpointError(f"the group {path!r} contains itself, or is there twice")
        groups.add(address)
        links = [(f"{path}/{name}" if path else name, to) for name, to in _links(source, found)]
        if len({name for name, _ in links}) != len(links):
            raise CheckpointError(f"the group {path!r} holds one name twice")
        pending += [(name, to, depth + 1) for name, to in reversed(links)]


def _links(source: Hdf5Source, group: HeaderObject) -> list[tuple[str, int]]:
    info = group.find(LINK_INFO)
    if info is not None:
        cursor = Bytes(info)
        flags = cursor.number(2) >> 8
        cursor.take(8 if flags & 1 else 0)
        if cursor.number(source.offset_size) != source.undefined:
            raise CheckpointError(
                f"a group keeps its links in a heap of HDF5 1.8, which is not read. {REPACK}"
            )
    links = [_link(source, body) for kind, body in group.messages if kind == LINK]
    table = group.find(SYMBOL_TABLE)
    if table is not None:
        cursor = Bytes(table)
        tree, heap = cursor.number(source.offset_size), cursor.number(source.offset_size)
        names = _local_heap(source, heap)
        for node in _leaves(source, tree):
            links += _symbol_node(source, node, names)
    return links


def _link(source: Hdf5Source, body: bytes) -> tuple[str, int]:
    cursor = Bytes(body)
    version, flags = cursor.number(1), cursor.number(1)
    kind = cursor.number(1) if flags & 8 else 0
    cursor.take((8 if flags & 4 else 0) + (1 if flags & 0x10 else 0))
    name = _checked_name(cursor.take(cursor.number(1 << (flags & 3))))
    if version != 1 or kind != 0:
        _refuse_link(name, {1: "soft", 64: "external"}.get(kind, "user-defined"))
    return name, cursor.number(source.offset_size)


def _local_heap(source: Hdf5Source, address: int) -> bytes:
    cursor = Bytes(source.raw(address, 8 + 2 * source.length_size + source.offset_size))
    if cursor.take(4) != b"HEAP" or cursor.number(1) != 0:
        raise CheckpointError("a group has no heap of names")
    cursor.take(3)
    size = cursor.number(source.length_size)
    cursor.take(source.length_size)
    return source.raw(cursor.number(source.offset_size), size)


def _leaves(source: Hdf5Source, tree: int) -> list[int]:
    """The leaves below a node of a group's tree, in order."""
    leaves: list[int] = []
    pending = [(tree, _MAX_NODE_LEVEL)]
    while pending:
        address, above = pending.pop()
        entry = source.length_size + source.offset_size
        level, count, body = source.tree_node(address, 0, above, entry)
        children = []
        for _ in range(count):
            body.take(source.length_size)
            children.append(body.number(source.offset_size))
        if level:
            pending += [(child, level) for child in reversed(children)]
        else:
            leaves += children
    return leaves


def _symbol_node(source: Hdf5Source, address: int, names: bytes) -> list[tuple[str, int]]:
    source.claim_node(address)
    head = Bytes(source.raw(address, 8))
    if head.take(4) != b"SNOD" or head.number(1) != 1:
        raise CheckpointError(f"the list of links at byte {address} is broken")
    head.take(1)
    count = head.number(2)
    entry = 2 * source.offset_size + 24
    body = Bytes(source.raw(address + 8, count * entry))
    links = []
    for _ in range(count):
        start, to = body.number(source.offset_size), body.number(source.offset_size)
        cache = body.number(4)
        body.take(20)
        end = names.find(b"\0", start, start + _MAX_NAME + 1)
        if start >= len(names) or end < 0:
            raise CheckpointError("the name of a link lies outside of its heap")
        name = _checked_name(names[start:end])
        if cache == 2:
            _refuse_link(name, "soft")
        source.spend(len(name) + 64)
        links.append((name, to))
    return links


def _checked_name(raw: bytes) -> str:
    name = raw.decode("utf-8")
    if not name or "/" in name or "\0" in name or len(raw) > _MAX_NAME or name in (".", ".."):
        raise CheckpointError(f"a link has the name {name[:100]!r}")
    return name


def _refuse_link(name: str, kind: str) -> None:
    raise CheckpointError(
        f"{name!r} is a {kind} link; only data that the file itself holds is read"
    )
