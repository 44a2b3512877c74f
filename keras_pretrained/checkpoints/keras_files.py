"""Keras 3's `.keras` archives: `config.json`, `metadata.json` and `model.weights.h5`.

Tensors are named by their path inside the weights file, e.g. `layers/dense/vars/0`. A bare
`.weights.h5` is HDF5 and needs nothing of this.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from keras_pretrained.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.hdf5 import open_hdf5_bytes
from keras_pretrained.checkpoints.json_text import parse_json_object
from keras_pretrained.checkpoints.zip_container import ZipContainer

_WEIGHTS, _CONFIG, _METADATA = "model.weights.h5", "config.json", "metadata.json"
_MAX_TEXT = 100_000_000


def is_keras_zip(archive: ZipContainer) -> bool:
    """Whether an archive has the members of a `.keras` file."""
    return _CONFIG in archive and (_WEIGHTS in archive or _METADATA in archive)


def open_keras(path: str | os.PathLike[str]) -> Checkpoint:
    """Opens a `.keras` file; arrays are views of a memory map.

    Metadata: `config` (the text of `config.json`, not interpreted), `keras_version`,
    `keras_names` (group path -> layer name).

    Raises:
        CheckpointError: the archive or its weights are damaged or hostile, or the weights are
            in a form that is not HDF5.
    """
    return open_keras_zip(ZipContainer(FileBytes(Path(path))))


def open_keras_zip(archive: ZipContainer) -> Checkpoint:
    """Opens a `.keras` file whose archive was read already; see `open_keras`."""
    where = repr(str(archive.path))
    if _CONFIG not in archive or _WEIGHTS not in archive:
        raise CheckpointError(
            f"{where} is not a .keras file with its weights in one piece: expected the members "
            f"{_CONFIG} and {_WEIGHTS}, found {', '.join(sorted(archive)[:10])}. Save the model "
            "again with `model.save(path)`."
        )
    config = archive.read(_CONFIG, _MAX_TEXT)
    parse_json_object(config, f"{_CONFIG} in {where}")
    metadata: dict[str, Any] = {"config": config.decode("utf-8")}
    if _METADATA in archive:
        text = archive.read(_METADATA, _MAX_TEXT)
        version = parse_json_object(text, f"{_METADATA} in {where}").get("keras_version")
        if isinstance(version, str):
            metadata["keras_version"] = version
    member = archive[_WEIGHTS]
    if member.compressed:
        if member.is_bomb:
            raise CheckpointError(
                f"{where}: its weights have {member.size} bytes in {member.stored_size} stored "
                "ones, as no weights do. Save the model again with `model.save(path)`."
            )
        unpacked = FileBytes.of_memory(archive.path, archive.read(_WEIGHTS, member.size))
        weights = open_hdf5_bytes(unpacked)
    else:
        weights = open_hdf5_bytes(archive.file, member.offset, member.size)
    return Checkpoint(archive.path, "keras", dict(weights), {**weights.metadata, **metadata})
