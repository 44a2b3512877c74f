"""HDF5 datasets: where their bytes are, checked against the file before an array is promised.

Every byte that a dataset declares must be stored: contiguous data lies in the file as a whole;
chunks are all there, do not overlap, and unpack to at most 1032 times their size, which is the
limit of deflate. So a small file cannot declare a large array.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass
from math import prod

import ml_dtypes
import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.file_bytes import typed_view
from keras_pretrained.checkpoints.hdf5_attributes import Hdf5Attributes
from keras_pretrained.checkpoints.hdf5_checksums import matches_fletcher32
from keras_pretrained.checkpoints.hdf5_headers import (
    DATASPACE,
    DATATYPE,
    EXTERNAL,
    FILTERS,
    LAYOUT,
    HeaderObject,
)
from keras_pretrained.checkpoints.hdf5_source import REPACK, Hdf5Source
from keras_pretrained.checkpoints.hdf5_types import Bytes, read_dimensions, read_type
from keras_pretrained.checkpoints.zip_container import MAX_RATIO

_GZIP, _SHUFFLE, _CHECKSUM = 1, 2, 3
_FILTER_NAMES = {4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf", 32001: "blosc"}


@dataclass(frozen=True)
class Chunk:
    """One stored block: its first element's position, its bytes, and the filters it skipped."""

    corner: tuple[int, ...]
    address: int
    stored_size: int
    skipped: int


@dataclass(frozen=True)
class Dataset:
    """A checked dataset.

    Attributes:
        shape: its dimensions.
        dtype: as stored, byte order included.
        address: of contiguous data, else None.
        content: of data inside the object header, else None.
        chunks: of chunked data.
        chunk_shape: the dimensions of every chunk.
        filters: what was done to chunks, in order.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    address: int | None = None
    content: bytes | None = None
    chunks: tuple[Chunk, ...] = ()
    chunk_shape: tuple[int, ...] = ()
    filters: tuple[int, ...] = ()


def read_dataset(
    source: Hdf5Source, attributes: Hdf5Attributes, found: HeaderObject, path: str
) -> Dataset | str:
    """Checks a dataset, without reading its values.

    Returns:
        The dataset, or why it is no tensor (text, records, no elements).

    Raises:
        CheckpointError: it is broken, or its bytes are not all in the file.
    """
    what = f"dataset {path!r}"
    if found.find(EXTERNAL) is not None:
        raise CheckpointError(f"{what} keeps its values in another file, which is never opened")
    described, dimensions = found.find(DATATYPE), found.find(DATASPACE)
    layout = found.find(LAYOUT)
    if described is None or dimensions is None or layout is None:
        raise CheckpointError(f"{what} has no type, no shape or no layout")
    kind = read_type(described)
    shape = read_dimensions(dimensions, source.length_size, what)
    dtype = kind.dtype
    if kind.what == "opaque" and kind.size == 2:
        # Keras stores bfloat16 as two opaque bytes, and says so beside them.
        said = attributes.read(found, ("dtype",)).get("dtype")
        dtype = np.dtype(ml_dtypes.bfloat16) if said == "bfloat16" else None
    if dtype is None or shape is None:
        return kind.what or ("text" if kind.kind != "number" else "without elements")
    if dtype.itemsize != kind.size:
        raise CheckpointError(
            f"{what} has elements of {kind.size} bytes, expected {dtype.itemsize}"
        )
    return _Layout(source, what, shape, dtype).read(layout, found.find(FILTERS))


class _Layout:
    def __init__(
        self, source: Hdf5Source, what: str, shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        self.source = source
        self.what = what
        self.shape = shape
        self.dtype = dtype
        self.nbytes = prod(shape) * dtype.itemsize

    def read(self, body: bytes, filters: bytes | None) -> Dataset:
        cursor = Bytes(body)
        version = cursor.number(1)
        if version in (1, 2):
            return self._old(cursor, filters)
        if version not in (3, 4):
            raise CheckpointError(f"{self.what} has a layout of the unknown version {version}")
        kind = cursor.number(1)
        if kind == 0:
            return self._compact(cursor.take(cursor.number(2)))
        if kind == 1:
            address = cursor.number(self.source.offset_size)
            return self._contiguous(address, cursor.number(self.source.length_size))
        if kind == 2 and version == 3:
            rank = cursor.number(1)
            tree = cursor.number(self.source.offset_size)
            return self._chunked(tree, [cursor.number(4) for _ in range(rank)], filters)
        if kind == 3:
            raise CheckpointError(
                f"{self.what} is virtual: its values are those of other datasets or files, which "
                "are never opened"
            )
        raise CheckpointError(f"{self.what} is chunked in a way that is not read. {REPACK}")

    def _old(self, cursor: Bytes, filters: bytes | None) -> Dataset:
        rank, kind = cursor.number(1), cursor.number(1)
        cursor.take(5)
        address = 0 if kind == 0 else cursor.number(self.source.offset_size)
        sizes = [cursor.number(4) for _ in range(rank)]
        if kind == 0:
            return self._compact(cursor.take(cursor.number(4)))
        if kind == 1:
            return self._contiguous(address, self.nbytes)
        return self._chunked(address, sizes, filters)

    def _compact(self, content: bytes) -> Dataset:
        if len(content) != self.nbytes:
            raise self._not_stored(len(content))
        return Dataset(self.shape, self.dtype, content=content)

    def _contiguous(self, address: int, size: int) -> Dataset:
        if self.nbytes == 0:
            return Dataset(self.shape, self.dtype, content=b"")
        if address == self.source.undefined:
            raise self._not_stored(0)
        stored = min(size, max(0, self.source.size - address))
        if size != self.nbytes or stored != size:
            raise self._not_stored(stored)
        return Dataset(self.shape, self.dtype, address=address)

    def _not_stored(self, stored: int) -> CheckpointError:
        return CheckpointError(
            f"{self.what} declares {self.dtype}{list(self.shape)}, which is {self.nbytes} bytes, "
            f"but the file stores {stored} of them"
        )

    def _chunked(self, tree: int, sizes: list[int], filters: bytes | None) -> Dataset:
        rank = len(self.shape)
        if len(sizes) != rank + 1 or sizes[-1] != self.dtype.itemsize or 0 in sizes:
            raise CheckpointError(f"{self.what} has chunks {sizes} that do not fit its shape")
        chunk_shape = tuple(sizes[:-1])
        if self.nbytes == 0:
            return Dataset(self.shape, self.dtype, content=b"")
        if tree == self.source.undefined:
            raise self._not_stored(0)
        steps = self._filters(filters)
        chunks = self._chunk_tree(tree)
        unpacked = prod(sizes)
        expected = (
            {
                tuple(corner)
                for corner in itertools.product(
                    *(range(0, n, step) for n, step in zip(self.shape, chunk_shape, strict=True))
                )
            }
            if self._count(chunk_shape) == len(chunks)
            else set()
        )
        if {chunk.corner for chunk in chunks} != expected:
            raise CheckpointError(
                f"{self.what} should have {self._count(chunk_shape)} chunks, one a position, but "
                f"the file holds {len(chunks)}"
            )
        end = 0
        for chunk in sorted(chunks, key=lambda c: c.address):
            limit = MAX_RATIO * (chunk.stored_size + 1) if _GZIP in steps else chunk.stored_size
            if chunk.address < end or chunk.address + chunk.stored_size > self.source.size:
                raise CheckpointError(f"{self.what} has a chunk that overlaps or leaves the file")
            if unpacked > limit:
                raise CheckpointError(
                    f"{self.what} has a chunk of {chunk.stored_size} stored bytes that cannot "
                    f"unpack to {unpacked}"
                )
            end = chunk.address + chunk.stored_size
        return Dataset(self.shape, self.dtype, None, None, tuple(chunks), chunk_shape, tuple(steps))

    def _count(self, chunk_shape: tuple[int, ...]) -> int:
        return prod(-(-n // step) for n, step in zip(self.shape, chunk_shape, strict=True))

    def _chunk_tree(self, tree: int) -> list[Chunk]:
        rank = len(self.shape)
        chunks = []
        pending = [(tree, 32)]
        while pending:
            address, above = pending.pop()
            entry = 8 + 8 * (rank + 1) + self.source.offset_size
            level, count, body = self.source.tree_node(address, 1, above, entry)
            for _ in range(count):
                stored_size, skipped = body.number(4), body.number(4)
                corner = tuple(body.number(8) for _ in range(rank + 1))[:-1]
                child = body.number(self.source.offset_size)
                self.source.spend(64)
                if level:
                    pending.append((child, level))
                else:
                    chunks.append(Chunk(corner, child, stored_size, skipped))
        return chunks

    def _filters(self, body: bytes | None) -> list[int]:
        if body is None:
            return []
        cursor = Bytes(body)
        version, count = cursor.number(1), cursor.number(1)
        if version == 1:
            cursor.take(6)
        steps = []
        for _ in range(count):
            kind = cursor.number(2)
            name_length = cursor.number(2) if version == 1 or kind >= 256 else 0
            cursor.take(2)
            values = cursor.number(2)
            cursor.take(name_length + (-name_length % 8 if version == 1 else 0))
            cursor.take(4 * (values + (values % 2 if version == 1 else 0)))
            steps.append(kind)
        unknown = [step for step in steps if step not in (_GZIP, _SHUFFLE, _CHECKSUM)]
        if unknown or len(set(steps)) != len(steps):
            names = ", ".join(_FILTER_NAMES.get(step, str(step)) for step in unknown or steps)
            raise CheckpointError(
                f"{self.what} is packed by the filters {names}; gzip, shuffle and fletcher32 are "
                f"read. {REPACK}"
            )
        return steps


def read_values(source: Hdf5Source, dataset: Dataset) -> np.ndarray:
    """The values of a checked dataset, read-only; a view of the file where it is contiguous.

    Raises:
        CheckpointError: a chunk does not unpack to what it should.
    """
    shape, dtype = dataset.shape, dataset.dtype
    if dataset.address is not None:
        native = dtype if dtype.isnative else dtype.newbyteorder("=")
        start = source.start + dataset.address
        if native == dtype:
            return source.file.view(start, shape, dtype)
        raw = source.file.view(start, (prod(shape) * dtype.itemsize,), np.dtype("u1"))
        return typed_view(raw, shape, dtype, source.file.path)
    if dataset.content is not None:
        raw = np.frombuffer(dataset.content, np.uint8)
        return typed_view(raw, shape, dtype, source.file.path)
    values = np.empty(shape, dtype)
    for chunk in dataset.chunks:
        block = _unpack(source, dataset, chunk)
        place = tuple(
            slice(start, min(start + step, n))
            for start, step, n in zip(chunk.corner, dataset.chunk_shape, shape, strict=True)
        )
        inside = tuple(slice(0, part.stop - part.start) for part in place)
        values[place] = block[inside]
    raw = values.reshape(-1).view(np.uint8)
    return typed_view(raw, shape, dtype, source.file.path)


def _unpack(source: Hdf5Source, dataset: Dataset, chunk: Chunk) -> np.ndarray:
    data = source.file.read(source.start + chunk.address, chunk.stored_size)
    size = prod(dataset.chunk_shape) * dataset.dtype.itemsize
    for index, step in reversed(list(enumerate(dataset.filters))):
        if chunk.skipped & (1 << index):
            continue
        if step == _CHECKSUM:
            if len(data) < 4 or not matches_fletcher32(data[:-4], data[-4:]):
                raise CheckpointError(
                    f"{str(source.file.path)!r}: a chunk has a wrong checksum. The file is "
                    "damaged: get it again."
                )
            data = data[:-4]
        elif step == _GZIP:
            try:
                data = zlib.decompressobj().decompress(data, size + 5)
            except zlib.error as error:
                raise CheckpointError(
                    f"{str(source.file.path)!r}: a chunk cannot be unpacked: {error}"
                ) from error
        elif len(data) == size:
            columns = np.frombuffer(data, np.uint8).reshape(dataset.dtype.itemsize, -1)
            data = columns.T.tobytes()
    if len(data) != size:
        raise CheckpointError(
            f"{str(source.file.path)!r}: a chunk unpacks to {len(data)} bytes, expected {size}. "
            "The file is damaged: get it again."
        )
    return np.frombuffer(data, dataset.dtype).reshape(dataset.chunk_shape)
