"""HDF5 attributes that are texts: the notes that Keras leaves beside its weights."""

from __future__ import annotations

from math import prod
from typing import Any

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.hdf5_headers import ATTRIBUTE, ATTRIBUTE_INFO, HeaderObject
from keras_pretrained.checkpoints.hdf5_source import REPACK, Hdf5Source
from keras_pretrained.checkpoints.hdf5_types import Bytes, ElementType, read_dimensions, read_type


class Hdf5Attributes:
    """The attributes of the objects of one file; texts may lie in heaps that they share."""

    def __init__(self, source: Hdf5Source) -> None:
        self._source = source
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}

    def read(self, owner: HeaderObject, wanted: tuple[str, ...]) -> dict[str, Any]:
        """The attributes whose names start with one of `wanted`: text, or lists of text.

        Raises:
            CheckpointError: one of them is broken. Other kinds of values are left out.
        """
        info = owner.find(ATTRIBUTE_INFO)
        if info is not None:
            cursor = Bytes(info)
            flags = cursor.number(2) >> 8
            cursor.take(2 if flags & 1 else 0)
            if cursor.number(self._source.offset_size) != self._source.undefined:
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
        shape = read_dimensions(parts[2], self._source.length_size, what)
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
        length, address = cursor.number(4), cursor.number(self._source.offset_size)
        wanted = cursor.number(4)
        if length == 0:
            return b""
        if address not in self._heaps:
            self._heaps[address] = self._global_heap(address)
        position, size = self._heaps[address].get(wanted, (0, -1))
        if length > size:
            raise CheckpointError("a text is not in its heap")
        return self._source.raw(position, length)

    def _global_heap(self, address: int) -> dict[int, tuple[int, int]]:
        """The objects of a global heap by index: position and size."""
        source = self._source
        head = Bytes(source.raw(address, 8 + source.length_size))
        if head.take(4) != b"GCOL" or head.number(1) != 1:
            raise CheckpointError("a text lies in no heap")
        head.take(3)
        end = min(address + head.number(source.length_size), source.size)
        position = address + head.position
        found: dict[int, tuple[int, int]] = {}
        while position + 8 + source.length_size <= end:
            entry = Bytes(source.raw(position, 8 + source.length_size))
            index = entry.number(2)
            entry.take(6)
            size = entry.number(source.length_size)
            position += entry.position
            # Index 0 is the free space at the end.
            if index == 0:
                break
            found[index] = (position, size)
            position += size + -size % 8
        return found
