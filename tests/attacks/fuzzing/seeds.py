"""The honest files that are damaged, each written by the program whose format it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import safetensors.numpy

GOLDENS = Path(__file__).parents[2] / "goldens"


def write_seeds(folder: Path) -> Path:
    """Writes all of them into a folder, which is returned."""
    _write_hdf5(folder)
    _write_keras(folder)
    tensors = {f"layer {n}": np.full((n, 3), n, np.float16) for n in range(6)}
    safetensors.numpy.save_file(tensors, folder / "a.safetensors", {"format": "pt"})
    np.save(folder / "plain.npy", np.arange(12, dtype=">f4").reshape(3, 4))
    layers = {"l": [np.ones(3), np.zeros(2)], "name": "x"}
    np.save(folder / "objects.npy", layers, allow_pickle=True)  # type: ignore[arg-type]
    for name in ("nested", "layouts", "nested_legacy", "layouts_legacy"):
        shutil.copy(GOLDENS / "torch_files" / f"{name}.pth", folder)
    return folder


def _write_keras(folder: Path) -> None:
    layers = [keras.Input((3,)), keras.layers.Dense(2), keras.layers.LayerNormalization()]
    model = keras.Sequential(layers)
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")


def _write_hdf5(folder: Path) -> None:
    with h5py.File(folder / "chunked.h5", "w") as file:
        values = np.arange(1000.0).reshape(10, 100)
        packed = {"compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("g/x", data=values, chunks=(3, 40), **packed)
        file["g/flag"], file["z"] = np.array([True, False]), np.complex64(1j)
        file.attrs["layer_names"] = ["g"]
        file["g"].attrs["weight_names"] = ["x", "flag"]
    with h5py.File(folder / "latest.h5", "w", libver="latest") as file:
        file["g/x"], file["y"] = np.arange(5), np.ones((2, 2), "f2")
        file.attrs["backend"] = "none"
    with h5py.File(folder / "old_keras.h5", "w") as file:
        file.attrs["layer_names"] = np.array([b"dense", b"norm"])
        file.attrs["keras_version"] = "2.1.6"
        for layer, weights in {"dense": ["dense/kernel:0"], "norm": ["norm/beta:0"]}.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight in weights:
                group[weight] = np.ones((2, 3), ">f4")
