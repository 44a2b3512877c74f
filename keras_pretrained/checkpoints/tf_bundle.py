"""TensorFlow V2 checkpoints: `X.index` with `X.data-00000-of-00001` (and further shards)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from keras_pretrained.checkpoints.checkpoint import Checkpoint, LazyArray
from keras_pretrained.checkpoints.crc32c import crc32c, mask
from keras_pretrained.checkpoints.damage import Malformed, blame
from keras_pretrained.checkpoints.object_graph import (
    OBJECT_GRAPH_KEY,
    exposed_names,
    read_full_names,
)
from keras_pretrained.checkpoints.protobuf import read_varint
from keras_pretrained.checkpoints.tf_bundle_index import (
    BundleIndex,
    Entry,
    bundle_prefix,
    read_index,
    shard_path,
)
from keras_pretrained.checkpoints.tf_slices import assemble, place, slice_key
from keras_pretrained.checkpoints.tf_types import STRING, numpy_dtype


def open_tf_bundle(prefix_or_index: Path) -> Checkpoint:
    """Open a TensorFlow V2 checkpoint.

    A name-based checkpoint (TF1, TF-Slim, `tf.compat.v1.train.Saver`) keeps its names. In an
    object-based one (`tf.train.Checkpoint`, `Model.save_weights` of TF2) a tensor is named by
    its object path without the suffix `/.ATTRIBUTES/VARIABLE_VALUE`.

    Args:
        prefix_or_index: `model.ckpt`, `model.ckpt.index` or one of its data files.

    Returns:
        A `Checkpoint` of format `"tf-bundle"`. Arrays are views into the data files. Metadata:
        `shards` (their number), `object_based`, `friendly_names` (of an object-based
        checkpoint: exposed name -> variable name) and `unreadable` (stored objects that are no
        arrays: name -> type).

    Raises:
        CheckpointError: a file is missing, broken or too short.
    """
    prefix = bundle_prefix(Path(prefix_or_index))
    index = read_index(prefix)
    full_names = read_graph_names(index)
    names = exposed_names(name for name in index.entries if name != OBJECT_GRAPH_KEY)
    arrays = {exposed: lazy_array(index, key, exposed) for key, exposed in names.items()}
    metadata: dict[str, Any] = {
        "shards": index.shard_count,
        "object_based": full_names is not None,
        "unreadable": index.unreadable,
    }
    if full_names is not None:
        metadata["friendly_names"] = {
            exposed: full_names[key] for key, exposed in names.items() if key in full_names
        }
    return Checkpoint(prefix, "tf-bundle", arrays, metadata)


def lazy_array(index: BundleIndex, key: str, name: str) -> LazyArray:
    """The tensor stored under `key`, to be called `name`."""
    entry = index.entries[key]
    dtype = numpy_dtype(entry.type_number)
    if dtype is None:
        raise TypeError(f"{key!r} is listed as an array but has no dtype")
    return LazyArray(name, entry.shape, dtype, partial(_read, index, key))


def read_graph_names(index: BundleIndex) -> Mapping[str, str] | None:
    """Checkpoint key -> variable name from the stored object graph; None without a graph."""
    entry = index.entries.get(OBJECT_GRAPH_KEY)
    if entry is None:
        return None
    with blame(f"{index.prefix}.index, tensor {OBJECT_GRAPH_KEY!r}"):
        if entry.type_number != STRING or entry.shape != ():
            raise Malformed("The object graph is not one string.")
        return read_full_names(memoryview(_read(index, OBJECT_GRAPH_KEY).item()))


def verify_bundle(prefix_or_index: Path) -> list[str]:
    """Compare every stored tensor with its checksum, reading all data once.

    Args:
        prefix_or_index: as for `open_tf_bundle`.

    Returns:
        The keys of the tensors whose bytes are not the ones that were saved; empty when the
        checkpoint is whole. Slices of a partitioned tensor count for their tensor.

    Raises:
        CheckpointError: the checkpoint cannot be opened at all.
    """
    index = read_index(bundle_prefix(Path(prefix_or_index)))
    damaged = []
    for name, entry in index.entries.items():
        parts = [index.pieces[slice_key(name, extents)] for extents in entry.slices] or [entry]
        if not all(_matches_checksum(index, part) for part in parts):
            damaged.append(name)
    return damaged


def _read(index: BundleIndex, key: str) -> np.ndarray:
    entry = index.entries[key]
    path = shard_path(index.prefix, entry.shard, index.shard_count)
    with blame(f"{path}, tensor {key!r}"):
        if not entry.slices:
            return _read_entry(index, entry)
        pieces = (
            (place(extents, entry.shape), _read_entry(index, index.pieces[slice_key(key, extents)]))
            for extents in entry.slices
        )
        dtype = numpy_dtype(entry.type_number)
        return assemble(entry.shape, np.dtype(dtype), pieces)


def _read_entry(index: BundleIndex, entry: Entry) -> np.ndarray:
    if entry.type_number == STRING:
        return _read_strings(_stored(index, entry), entry)
    dtype = np.dtype(numpy_dtype(entry.type_number))
    return index.shards[entry.shard].view(entry.offset, entry.shape, dtype)


def _stored(index: BundleIndex, entry: Entry) -> memoryview:
    shard = index.shards[entry.shard]
    return shard.view(entry.offset, (entry.size,), np.dtype(np.uint8)).data


def _read_strings(stored: memoryview, entry: Entry) -> np.ndarray:
    """All lengths, a checksum over them as 32-bit (if large, 64-bit) integers, all bytes."""
    lengths, position = _read_lengths(stored, prod(entry.shape))
    checksum = mask(crc32c(_plain_lengths(lengths)))
    if int.from_bytes(stored[position : position + 4], "little") != checksum:
        raise Malformed("The lengths of the strings have a wrong checksum.")
    position += 4
    if sum(lengths) != len(stored) - position:
        raise Malformed(f"Strings of {sum(lengths)} bytes are stored in {len(stored) - position}.")
    strings = np.empty(len(lengths), object)
    for number, length in enumerate(lengths):
        strings[number] = bytes(stored[position : position + length])
        position += length
    return strings.reshape(entry.shape)


def _read_lengths(stored: memoryview, count: int) -> tuple[list[int], int]:
    lengths, position = [], 0
    for _ in range(count):
        length, position = read_varint(stored, position)
        lengths.append(length)
    return lengths, position


def _plain_lengths(lengths: list[int]) -> bytes:
    return b"".join(n.to_bytes(4 if n <= 0xFFFFFFFF else 8, "little") for n in lengths)


def _matches_checksum(index: BundleIndex, entry: Entry) -> bool:
    stored = _stored(index, entry)
    if entry.type_number != STRING:
        return mask(crc32c(stored)) == entry.checksum
    try:
        lengths, position = _read_lengths(stored, prod(entry.shape))
    except Malformed:
        return False
    return mask(crc32c(stored[position:], crc32c(_plain_lengths(lengths)))) == entry.checksum
