"""Honest files with random damage: each is refused properly, or read; nothing else happens.

The reads themselves are measured, too: what a damaged file may allocate is a small multiple of
what it holds (`test_memory_stays_bounded`).
"""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_pretrained.checkpoints import Checkpoint, CheckpointError, write_safetensors
from keras_pretrained.checkpoints.hdf5 import open_hdf5
from keras_pretrained.checkpoints.keras_files import open_keras
from keras_pretrained.checkpoints.numpy_files import open_npy, open_npz
from keras_pretrained.checkpoints.restricted_pickle import load_pickle
from keras_pretrained.checkpoints.safetensors import open_safetensors
from keras_pretrained.checkpoints.torch_files import open_torch
from tests.attacks.attack import (
    MANY_SEEDS,
    SEEDS,
    little_memory,
    mutate,
    read_all,
    survive,
)

GOLDENS = Path(__file__).parents[1] / "goldens" / "torch_files"
STRUCTURE = 4000


def torch_file(name: str) -> Callable[[Path], Path]:
    return lambda folder: GOLDENS / name


def safetensors_file(folder: Path) -> Path:
    tensors = {f"layer {n}": np.full((n, 3), n, np.float16) for n in range(6)}
    return write_safetensors(folder / "a.safetensors", tensors, {"format": "pt"})


def keras_model() -> keras.Model:
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2), keras.layers.LayerNormalization()]
    )


def keras_file(folder: Path) -> Path:
    keras_model().save(folder / "m.keras")
    return folder / "m.keras"


def keras_weights(folder: Path) -> Path:
    keras_model().save_weights(folder / "m.weights.h5")
    return folder / "m.weights.h5"


def chunked(folder: Path) -> Path:
    with h5py.File(folder / "c.h5", "w") as file:
        values = np.arange(1000.0).reshape(10, 100)
        packed = {"compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("g/x", data=values, chunks=(3, 40), **packed)
        file["g/flag"], file["z"] = np.array([True, False]), np.complex64(1j)
        file.attrs["layer_names"] = ["g"]
        file["g"].attrs["weight_names"] = ["x", "flag"]
    return folder / "c.h5"


def latest(folder: Path) -> Path:
    with h5py.File(folder / "l.h5", "w", libver="latest") as file:
        file["g/x"], file["y"] = np.arange(5), np.ones((2, 2), "f2")
        file.attrs["backend"] = "none"
    return folder / "l.h5"


def stored(folder: Path) -> Path:
    np.savez(folder / "s.npz", a=np.arange(10.0), b=np.asfortranarray(np.ones((3, 4), "f2")))
    return folder / "s.npz"


def packed(folder: Path) -> Path:
    np.savez_compressed(folder / "p.npz", a=np.arange(10.0), b=np.zeros((30, 4), "f2"))
    return folder / "p.npz"


def plain(folder: Path) -> Path:
    np.save(folder / "a.npy", np.arange(12, dtype=">f4").reshape(3, 4))
    return folder / "a.npy"


def objects(folder: Path) -> Path:
    np.save(folder / "o.npy", {"l": [np.ones(3), np.zeros(2)]}, allow_pickle=True)  # type: ignore[arg-type]
    return folder / "o.npy"


READERS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Checkpoint]]] = {
    "safetensors": (safetensors_file, open_safetensors),
    "torch zip": (torch_file("nested.pth"), open_torch),
    "torch zip layouts": (torch_file("layouts.pth"), open_torch),
    "torch stream": (torch_file("nested_legacy.pth"), open_torch),
    "torch stream layouts": (torch_file("layouts_legacy.pth"), open_torch),
    "hdf5 chunked": (chunked, open_hdf5),
    "hdf5 latest": (latest, open_hdf5),
    "keras weights": (keras_weights, open_hdf5),
    "keras": (keras_file, open_keras),
    "npz stored": (stored, open_npz),
    "npz packed": (packed, open_npz),
    "npy": (plain, open_npy),
    "npy objects": (objects, open_npy),
}


@pytest.mark.parametrize("name", sorted(READERS))
def test_random_damage(name: str, tmp_path: Path) -> None:
    make, open_file = READERS[name]
    data = make(tmp_path).read_bytes()
    path = tmp_path / "broken"
    refusals = survive(data, path, range(SEEDS), structure=STRUCTURE, open_file=open_file)
    assert refusals > SEEDS // 10


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", sorted(READERS))
def test_much_random_damage(name: str, tmp_path: Path) -> None:
    make, open_file = READERS[name]
    data = make(tmp_path).read_bytes()
    seeds = range(SEEDS, SEEDS + MANY_SEEDS)
    survive(data, tmp_path / "broken", seeds, structure=STRUCTURE, open_file=open_file)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", sorted(READERS))
def test_every_byte_of_the_structure(name: str, tmp_path: Path) -> None:
    make, open_file = READERS[name]
    data = make(tmp_path).read_bytes()
    path = tmp_path / "broken"
    for position in range(min(len(data), STRUCTURE)):
        for value in (0, 255, data[position] ^ 1):
            path.unlink(missing_ok=True)
            path.write_bytes(data[:position] + bytes([value]) + data[position + 1 :])
            try:
                read_all(open_file(path))
            except CheckpointError:
                continue


@pytest.mark.parametrize("name", sorted(READERS))
def test_memory_stays_bounded(name: str, tmp_path: Path) -> None:
    make, open_file = READERS[name]
    data = make(tmp_path).read_bytes()
    path = tmp_path / "broken"
    # A packed member or chunk of some bytes may honestly become a thousand times as many.
    with little_memory(20_000_000):
        for seed in range(1000, 1060):
            path.unlink(missing_ok=True)
            path.write_bytes(mutate(data, random.Random(seed), STRUCTURE))
            try:
                read_all(open_file(path))
            except CheckpointError:
                continue


def test_random_damage_to_a_pickle_alone() -> None:
    """The checksum of a zip protects its pickle from the damage above; here nothing does."""
    with zipfile.ZipFile(GOLDENS / "nested.pth") as archive:
        data = archive.read("nested/data.pkl")
    from keras_pretrained.checkpoints.pickled_state import flatten
    from keras_pretrained.checkpoints.torch_tensors import TORCH_GLOBALS, storage_from_id

    for seed in range(3 * SEEDS):
        broken = mutate(data, random.Random(seed))
        try:
            found, _ = load_pickle(
                broken,
                "a test",
                allowed=TORCH_GLOBALS,
                persistent_load=lambda identifier: storage_from_id(identifier)[0],
            )
            flatten(found, "a test")
        except CheckpointError:
            continue
