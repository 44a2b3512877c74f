"""HDF5 files: plain ones (ELMo), Keras' old `.h5`, and Keras 3's `.weights.h5`.

Tensors are named by their path in the file. Old Keras files list layers and weights in order,
which is how they must be loaded (paths vary with the Keras version): see `metadata`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_pretrained.checkpoints.checkpoint import Checkpoint, CheckpointError, LazyArray
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.hdf5_attributes import Hdf5Attributes
from keras_pretrained.checkpoints.hdf5_data import Dataset, read_dataset, read_values
from keras_pretrained.checkpoints.hdf5_groups import walk
from keras_pretrained.checkpoints.hdf5_source import SIGNATURE, Hdf5Source

_GROUP_ATTRIBUTES = (
    "layer_names",
    "weight_names",
    "keras_version",
    "backend",
    "model_config",
    "name",
)
_VARIABLE = re.compile(r"(.*/)?vars/\d+")


def is_hdf5(file: FileBytes) -> bool:
    """Whether a file has HDF5's signature where one may be: at 0, or behind a user block."""
    at = 0
    while at + 8 <= file.size:
        if file.buffer[at : at + 8] == SIGNATURE:
            return True
        at = max(512, at * 2)
    return False


def open_hdf5(path: str | os.PathLike[str]) -> Checkpoint:
    """Opens an HDF5 file; contiguous arrays are views of a memory map.

    Metadata:
        `keras_layers`: of Keras' old `.h5`, `[(layer name, [dataset path, ...]), ...]` in the
            order in which weights must be loaded.
        `keras_names`: of Keras 3's `.weights.h5`, group path -> the layer's own name.
        `keras_version`, `backend`, `model_config`: where they are stored, as text.
        `unreadable`: path -> why, for datasets that are left out (texts, records).

    Raises:
        CheckpointError: the file is damaged or hostile, refers to other files, declares more
            than it stores, or uses a feature that is not read.
    """
    return open_hdf5_bytes(FileBytes(Path(path)))


def open_hdf5_bytes(file: FileBytes, start: int = 0, size: int | None = None) -> Checkpoint:
    """Opens HDF5 data that is a part of a file; see `open_hdf5`."""
    try:
        return _open(Hdf5Source(file, start, size))
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{str(file.path)!r}: a name is not UTF-8: {error}.") from error
    except CheckpointError as error:
        raise CheckpointError(
            f"The HDF5 file {str(file.path)!r} cannot be read: {error}. If that is not what its "
            "publisher meant, it is damaged: get it again."
        ) from error


def _open(source: Hdf5Source) -> Checkpoint:
    attributes = Hdf5Attributes(source)
    arrays: dict[str, LazyArray] = {}
    skipped: dict[str, str] = {}
    groups: dict[str, dict[str, Any]] = {}
    # One dataset may have several names.
    datasets: dict[int, Dataset | str] = {}
    for path, found in walk(source):
        if not found.is_dataset:
            groups[path] = attributes.read(found, _GROUP_ATTRIBUTES)
            continue
        if found.address not in datasets:
            datasets[found.address] = read_dataset(source, attributes, found, path)
        dataset = datasets[found.address]
        if isinstance(dataset, str):
            skipped[path] = dataset
        else:
            dtype = dataset.dtype.newbyteorder("=") if not dataset.dtype.isnative else dataset.dtype
            arrays[path] = LazyArray(path, dataset.shape, dtype, _reader(source, dataset))
    format, metadata = _keras(groups, arrays)
    if skipped:
        metadata["unreadable"] = skipped
    return Checkpoint(source.file.path, format, arrays, metadata)


def _reader(source: Hdf5Source, dataset: Dataset) -> Callable[[], np.ndarray]:
    return lambda: read_values(source, dataset)


def _keras(
    groups: dict[str, dict[str, Any]], arrays: dict[str, LazyArray]
) -> tuple[str, dict[str, Any]]:
    """The format and what Keras noted beside the tensors."""
    metadata: dict[str, Any] = {}
    for path in ("model_weights", ""):
        for key in ("keras_version", "backend", "model_config"):
            value = groups.get(path, {}).get(key)
            if isinstance(value, str):
                metadata[key] = value
    base = "model_weights" if "model_weights" in groups else ""
    layers = _names(groups.get(base, {}), "layer_names")
    if layers is not None:
        metadata["keras_layers"] = _keras_layers(groups, arrays, base, layers)
        return "keras-h5", metadata
    if any(_VARIABLE.fullmatch(path) for path in arrays):
        names = {path: found["name"] for path, found in groups.items() if "name" in found}
        metadata["keras_names"] = {
            path.removesuffix("vars").rstrip("/"): name
            for path, name in names.items()
            if isinstance(name, str)
        }
        return "keras-weights-h5", metadata
    return "hdf5", metadata


def _keras_layers(
    groups: dict[str, dict[str, Any]],
    arrays: dict[str, LazyArray],
    base: str,
    layers: list[str],
) -> list[tuple[str, list[str]]]:
    if len(set(layers)) != len(layers):
        raise CheckpointError("it lists a layer twice")
    result = []
    for layer in layers:
        group = f"{base}/{layer}" if base else layer
        if group not in groups:
            raise CheckpointError(f"it lists the layer {layer!r}, but has no group for it")
        weights = _names(groups[group], "weight_names") or []
        if len(set(weights)) != len(weights):
            raise CheckpointError(f"it lists a weight of the layer {layer!r} twice")
        paths = [f"{group}/{weight}" for weight in weights]
        missing = [path for path in paths if path not in arrays]
        if missing:
            raise CheckpointError(
                f"it lists weights that it does not hold: {', '.join(missing[:5])}"
            )
        result.append((layer, paths))
    return result


def _names(attributes: dict[str, Any], name: str) -> list[str] | None:
    """A list of names; Keras cuts long ones into `name0`, `name1`, ..."""
    if isinstance(attributes.get(name), list):
        return attributes[name]
    parts: list[list[str]] = []
    while isinstance(attributes.get(f"{name}{len(parts)}"), list):
        parts.append(attributes[f"{name}{len(parts)}"])
    return [text for part in parts for text in part] if parts else None
