"""The index of a TensorFlow V2 checkpoint: which tensor lies where in which data file."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.damage import Malformed, blame
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.protobuf import BYTES, FIXED32, VARINT, Message, as_text
from keras_pretrained.checkpoints.table import Table
from keras_pretrained.checkpoints.tf_slices import Extents, check_slices, read_extents, slice_key
from keras_pretrained.checkpoints.tf_types import STRING, numpy_dtype, read_shape, type_name

_READABLE_VERSION = 1
_BIG_ENDIAN = 1


@dataclass(frozen=True)
class Entry:
    """One tensor, or one slice of a partitioned tensor, as the index describes it."""

    type_number: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    slices: tuple[Extents, ...]


@dataclass(frozen=True)
class BundleIndex:
    """Everything an index says, checked against the sizes of its data files.

    Attributes:
        entries: by tensor name.
        pieces: the slices of partitioned tensors, by their table key.
        shards: the data files that are in use, by number.
        unreadable: names of stored objects that are no arrays (variants, resources), with their
            type.
    """

    prefix: Path
    shard_count: int
    entries: dict[str, Entry]
    pieces: dict[bytes, Entry]
    shards: dict[int, FileBytes]
    unreadable: dict[str, str]


def bundle_prefix(path: Path) -> Path:
    """`model.ckpt` for the prefix itself, `model.ckpt.index` or one of its data files."""
    name = path.name
    if name.endswith(".index"):
        return path.with_name(name.removesuffix(".index"))
    stem, mark, _ = name.rpartition(".data-")
    return path.with_name(stem) if mark and stem else path


def index_path(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + ".index")


def shard_path(prefix: Path, shard: int, count: int) -> Path:
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{count:05d}")


def read_index(prefix: Path) -> BundleIndex:
    """Read and check `{prefix}.index`; of the data files only the sizes are looked at.

    Raises:
        CheckpointError: the index is broken, a data file is missing or too short, or an entry's
            size is not what its type and shape need.
    """
    path = index_path(prefix)
    entries: dict[str, Entry] = {}
    pieces: dict[bytes, Entry] = {}
    unreadable: dict[str, str] = {}
    shard_count = 0
    with blame(str(path)):
        stored = Table(FileBytes(path).buffer).entries()
        key, value = next(stored, (None, memoryview(b"")))
        if key != b"":
            raise Malformed("The table does not begin with the header of a TensorFlow bundle.")
        shard_count = _read_header(value)
        for key, value in stored:
            # Only slices have a key that begins with a zero byte.
            name = "a slice" if key.startswith(b"\0") else as_text(key)
            try:
                entry = _read_entry(value, shard_count)
                if numpy_dtype(entry.type_number) is None:
                    unreadable[name] = type_name(entry.type_number)
                    continue
                _check_size(entry)
            except Malformed as error:
                raise Malformed(f"tensor {name!r}: {error}") from error
            if key.startswith(b"\0"):
                pieces[key] = entry
            else:
                entries[name] = entry
        for name, entry in entries.items():
            if entry.slices:
                _check_pieces(name, entry, pieces)
    shards = _open_shards(prefix, shard_count, [*entries.values(), *pieces.values()])
    return BundleIndex(prefix, shard_count, entries, pieces, shards, unreadable)


def _read_header(encoded: memoryview) -> int:
    header = Message(encoded, {1: VARINT, 2: VARINT, 3: BYTES})
    if header.integer(2) == _BIG_ENDIAN:
        raise Malformed("The data is big-endian, written on a machine that is not supported.")
    needed = Message(header.view(3), {2: VARINT}).integer(2)
    if needed > _READABLE_VERSION:
        raise Malformed(f"The bundle needs a reader of version {needed}, this is version 1.")
    count = header.integer(1)
    if count < 1:
        raise Malformed(f"The header declares {count} data files.")
    return count


def _read_entry(encoded: memoryview, shard_count: int) -> Entry:
    wanted = {1: VARINT, 2: BYTES, 3: VARINT, 4: VARINT, 5: VARINT, 6: FIXED32, 7: BYTES}
    fields = Message(encoded, wanted)
    entry = Entry(
        type_number=fields.integer(1),
        shape=read_shape(fields.view(2)),
        shard=fields.integer(3),
        offset=fields.integer(4),
        size=fields.integer(5),
        checksum=fields.integer(6),
        slices=tuple(read_extents(encoded) for encoded in fields.views(7)),
    )
    if not 0 <= entry.shard < shard_count:
        raise Malformed(f"It lies in data file {entry.shard} of {shard_count}.")
    if entry.offset < 0 or entry.size < 0:
        raise Malformed(f"It has {entry.size} bytes at byte {entry.offset}.")
    return entry


def _check_size(entry: Entry) -> None:
    """An allocation for a tensor is only ever as large as its stored bytes justify."""
    if entry.slices:
        return
    elements = prod(entry.shape)
    dtype = numpy_dtype(entry.type_number)
    if entry.type_number == STRING:
        # A length of at least one byte for each string, and their checksum.
        if entry.size < elements + 4:
            raise Malformed(f"{elements} strings cannot be stored in {entry.size} bytes.")
    elif dtype is None or entry.size != elements * dtype.itemsize:
        raise Malformed(f"{dtype}{list(entry.shape)} is declared with {entry.size} bytes of data.")


def _check_pieces(name: str, entry: Entry, pieces: dict[bytes, Entry]) -> None:
    try:
        regions = check_slices(list(entry.slices), entry.shape)
        for extents, region in zip(entry.slices, regions, strict=True):
            piece = pieces.get(slice_key(name, extents))
            expected = tuple(part.stop - part.start for part in region)
            if piece is None:
                raise Malformed(f"Its slice {extents} is listed but not stored.")
            if piece.slices or piece.shape != expected or piece.type_number != entry.type_number:
                raise Malformed(
                    f"Its slice {extents} is stored as {type_name(piece.type_number)}"
                    f"{list(piece.shape)}, expected {type_name(entry.type_number)}{list(expected)}."
                )
    except Malformed as error:
        raise Malformed(f"tensor {name!r}: {error}") from error


def _open_shards(prefix: Path, count: int, entries: list[Entry]) -> dict[int, FileBytes]:
    shards: dict[int, FileBytes] = {}
    by_shard: dict[int, list[tuple[int, int]]] = {}
    for entry in entries:
        if not entry.slices:
            by_shard.setdefault(entry.shard, []).append((entry.offset, entry.size))
    for number, ranges in sorted(by_shard.items()):
        path = shard_path(prefix, number, count)
        try:
            shard = FileBytes(path)
        except CheckpointError as error:
            raise CheckpointError(
                f"{index_path(prefix)} needs the data file {path.name!r} beside it "
                f"({count} in all). {error}"
            ) from error
        end = 0
        for offset, size in sorted(ranges):
            if size and offset < end:
                raise CheckpointError(
                    f"{index_path(prefix)}: two tensors share bytes at {offset} of {path.name!r}. "
                    "No program writes this: do not use the file."
                )
            end = max(end, offset + size)
        if end > shard.size:
            raise CheckpointError(
                f"{path} has {shard.size} bytes, its index describes {end}. "
                "The file is incomplete: get it again."
            )
        shards[number] = shard
    return shards
