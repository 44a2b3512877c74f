"""TensorFlow V1 checkpoints: one sorted table `X.ckpt` with names and values together.

The TF-Slim releases of 2016 are this format. Values lie in the typed fields of a `TensorProto`.
"""

from __future__ import annotations

import re
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from keras_pretrained.checkpoints.checkpoint import Checkpoint, CheckpointError, LazyArray
from keras_pretrained.checkpoints.damage import Malformed, blame
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.protobuf import BYTES, VARINT, Message
from keras_pretrained.checkpoints.table import Table
from keras_pretrained.checkpoints.tensor_proto import read_values
from keras_pretrained.checkpoints.tf_slices import (
    Extents,
    assemble,
    check_slices,
    read_extents,
    region_shape,
    slice_key,
)
from keras_pretrained.checkpoints.tf_types import numpy_dtype, read_shape, type_name

_SHARD_NAME = re.compile(r"(?P<prefix>.+)-(\d{5}|\?{5})-of-(?P<count>\d{5})$")


class _Shard:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = FileBytes(path)
        with blame(str(path)):
            self._table = Table(self._file.buffer)

    def get(self, key: bytes) -> memoryview | None:
        # Touching a map behind the end of a file that shrank kills the process; this looks.
        self._file.read(self._file.size, 0)
        return self._table.get(key)


class _Tensor:
    """One tensor of the file's own list: its type and the slices, each with its shard."""

    def __init__(self, type_number: int, shape: tuple[int, ...]) -> None:
        self.type_number = type_number
        self.shape = shape
        self.slices: list[tuple[Extents, _Shard]] = []


def open_tf_v1(path: Path) -> Checkpoint:
    """Open a TensorFlow V1 checkpoint.

    Args:
        path: the file; of a sharded checkpoint any shard (`X-00000-of-00002`), the pattern
            that TensorFlow prints (`X-?????-of-00002`) or `X`.

    Returns:
        A `Checkpoint` of format `"tf-v1"`. Partitioned variables are put together when read.
        Metadata: `shards` (their number) and `unreadable` (stored objects that are no arrays:
        name -> type).

    Raises:
        CheckpointError: a file is missing or broken. Values are checked when they are read.
    """
    path = Path(path)
    shards = [_Shard(shard) for shard in _shard_paths(path)]
    tensors: dict[str, _Tensor] = {}
    for shard in shards:
        with blame(str(shard.path)):
            _list_tensors(shard, tensors)
    arrays: dict[str, LazyArray] = {}
    unreadable = {}
    for name, tensor in tensors.items():
        with blame(f"{path}, tensor {name!r}"):
            dtype = numpy_dtype(tensor.type_number)
            check_slices([extents for extents, _ in tensor.slices], tensor.shape)
        if dtype is None:
            unreadable[name] = type_name(tensor.type_number)
        else:
            arrays[name] = LazyArray(name, tensor.shape, dtype, partial(_read, name, tensor, dtype))
    metadata = {"shards": len(shards), "unreadable": unreadable}
    return Checkpoint(path, "tf-v1", arrays, metadata)


def _shard_paths(path: Path) -> list[Path]:
    found = _SHARD_NAME.fullmatch(path.name)
    if found is None:
        if path.exists():
            return [path]
        shards = sorted(path.parent.glob(_glob_escape(path.name) + "-00000-of-?????"))
        found = _SHARD_NAME.fullmatch(shards[0].name) if len(shards) == 1 else None
        if found is None:
            return [path]
    prefix, count = found["prefix"], int(found["count"])
    present = {file.name for file in path.parent.glob(_glob_escape(prefix) + "-?????-of-?????")}
    names = (f"{prefix}-{number:05d}-of-{count:05d}" for number in range(count))
    shards = []
    for name in names:
        if name not in present:
            raise CheckpointError(
                f"{str(path)!r} is one of {count} shards, {name!r} is missing beside it. "
                "Get all files of the checkpoint."
            )
        shards.append(path.with_name(name))
    return shards


def _glob_escape(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _list_tensors(shard: _Shard, tensors: dict[str, _Tensor]) -> None:
    header = shard.get(b"")
    if header is None:
        raise Malformed("The table has no list of tensors, so it is no V1 checkpoint.")
    listed = Message(Message(header, {1: BYTES}).view(1), {1: BYTES}).views(1)
    for encoded in listed:
        fields = Message(encoded, {1: BYTES, 2: BYTES, 3: VARINT, 4: BYTES})
        name, shape, number = fields.text(1), read_shape(fields.view(2)), fields.integer(3)
        tensor = tensors.setdefault(name, _Tensor(number, shape))
        if (tensor.type_number, tensor.shape) != (number, shape):
            raise Malformed(f"tensor {name!r} is listed with two types or shapes.")
        for extents in fields.views(4):
            tensor.slices.append((read_extents(extents), shard))


def _read(name: str, tensor: _Tensor, dtype: np.dtype) -> np.ndarray:
    regions = check_slices([extents for extents, _ in tensor.slices], tensor.shape)
    pieces = []
    for (extents, shard), region in zip(tensor.slices, regions, strict=True):
        with blame(f"{shard.path}, tensor {name!r}"):
            values = _read_slice(shard, name, extents, tensor.type_number, dtype, region)
            pieces.append((region, values))
    if len(pieces) == 1:
        return pieces[0][1]
    with blame(f"{tensor.slices[0][1].path}, tensor {name!r}"):
        return assemble(tensor.shape, dtype, pieces)


def _read_slice(
    shard: _Shard,
    name: str,
    extents: Extents,
    type_number: int,
    dtype: np.dtype,
    region: tuple[slice, ...],
) -> np.ndarray:
    stored = shard.get(slice_key(name, extents))
    if stored is None:
        raise Malformed(f"The slice {extents} is listed but not stored.")
    fields = Message(Message(stored, {2: BYTES}).view(2), {1: BYTES, 2: BYTES, 3: BYTES})
    if fields.text(1) != name or read_extents(fields.view(2)) != extents:
        raise Malformed(f"Under the key of the slice {extents} lies another one.")
    shape = region_shape(region)
    return read_values(fields.view(3), type_number, dtype, prod(shape)).reshape(shape)
