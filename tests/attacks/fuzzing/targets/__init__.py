"""Every reader that a checkpoint or its texts can reach, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tests.attacks.fuzzing.target import Target
from tests.attacks.fuzzing.targets import archives, flat, hdf5_files, pickles, tensorflow, texts

NAMES = (
    *("safetensors", "shard index", "npy", "npz", "zip directory", "keras", "hdf5"),
    *("torch zip", "torch stream", "pickle", "tf bundle", "tf v1", "saved model"),
    *("json config", "vocabulary"),
)


def targets(seeds: Path) -> Mapping[str, Callable[[], Target]]:
    """The targets by name; each is made when it is called."""
    factories: Mapping[str, Callable[[Path], Target]] = {
        "safetensors": flat.safetensors,
        "shard index": flat.shard_index,
        "npy": flat.npy,
        "npz": archives.npz,
        "zip directory": archives.zip_directory,
        "keras": archives.keras,
        "hdf5": hdf5_files.hdf5,
        "torch zip": pickles.torch_zip,
        "torch stream": pickles.torch_stream,
        "pickle": pickles.pickle_alone,
        "tf bundle": tensorflow.bundle,
        "tf v1": tensorflow.v1,
        "saved model": tensorflow.saved_model,
        "json config": texts.json_config,
        "vocabulary": texts.vocabulary,
    }
    return {name: partial(factories[name], seeds) for name in NAMES}
