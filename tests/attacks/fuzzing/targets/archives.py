"""Zip archives: the directory itself, `.npz`, `.keras`."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path

import numpy as np

from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.keras_files import open_keras
from keras_pretrained.checkpoints.numpy_files import open_npz
from keras_pretrained.checkpoints.zip_container import ZipContainer
from tests.attacks.fuzzing.mutations import damaged_bytes, damaged_json, json_bytes
from tests.attacks.fuzzing.target import Target, reading
from tests.attacks.fuzzing.targets.flat import damaged_npy
from tests.attacks.fuzzing.targets.hdf5_files import Hdf5Seed
from tests.attacks.fuzzing.zip_parts import DEFLATED, Part, damaged_directory, packed

DOORS = (
    "zip_container.ZipContainer._end_record",
    "zip_container.ZipContainer._directory",
    "zip_container.ZipContainer._unpack",
)
"""Where archives end: no directory, a wrong checksum."""


def parts_of(stored: bytes) -> list[Part]:
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        return [Part(info.filename, archive.read(info)) for info in archive.infolist()]


def _npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def _arrays() -> list[Part]:
    columns = np.asfortranarray(np.arange(12, dtype="f2").reshape(3, 4))
    return [
        Part("a.npy", _npy(np.arange(10.0))),
        Part("folder/b.npy", _npy(columns), DEFLATED),
        Part("note.txt", b"nothing"),
    ]


def npz(seeds: Path) -> Target:
    def make(chance: random.Random) -> dict[str, bytes]:
        parts = _arrays()
        part = parts[chance.randrange(2)]
        part.data = damaged_npy(part.data, chance)
        part.method = chance.choice([0, DEFLATED])
        if chance.random() < 0.04:
            return {"a.npz": damaged_bytes(packed(parts), chance)}
        return {"a.npz": packed(parts, chance.choice([0, 0, 17]))}

    return Target(
        "npz",
        make,
        lambda: [{"a.npz": packed(_arrays())}],
        reading(open_npz),
        ("numpy_files._read_header", *DOORS),
        minimum=0.4,
        growth=1100,
    )


def zip_directory(seeds: Path) -> Target:
    """The directory alone: its parser is what is fuzzed, so only the end record is a door."""

    def read(path: Path) -> None:
        archive = ZipContainer(FileBytes(path))
        for name, member in archive.items():
            archive.head(member, 100)
            archive.read(name, 1 << 20)

    return Target(
        "zip directory",
        lambda chance: {"a.zip": damaged_directory(_arrays(), chance)},
        lambda: [{"a.zip": packed(_arrays())}, {"a.zip": packed(_wide())}],
        read,
        ("zip_container.ZipContainer._end_record",),
        minimum=0.75,
        growth=1100,
    )


def _wide() -> list[Part]:
    return [Part(part.name, part.data, part.method, {}, True) for part in _arrays()]


def keras(seeds: Path) -> Target:
    """A `.keras` file: damage to the weights inside, to its JSON, to its members."""
    stored = (seeds / "model.keras").read_bytes()
    honest = parts_of(stored)
    weights = next(part for part in honest if part.name == "model.weights.h5")
    inner = Hdf5Seed(weights.data)

    def make(chance: random.Random) -> dict[str, bytes]:
        parts = [Part(part.name, part.data) for part in honest]
        kind = chance.random()
        part = next(part for part in parts if part.name == weights.name)
        if kind < 0.6:
            part.data = inner.damaged(chance)
            part.method = chance.choice([0, 0, DEFLATED])
        elif kind < 0.85:
            part = chance.choice([part for part in parts if part.name.endswith(".json")])
            part.data = json_bytes(damaged_json(json.loads(part.data), chance), chance)
        elif kind < 0.96:
            return {"model.keras": damaged_directory(parts, chance)}
        else:
            return {"model.keras": damaged_bytes(stored, chance)}
        return {"model.keras": packed(parts)}

    return Target(
        "keras",
        make,
        lambda: [{"model.keras": stored}, {"model.keras": packed(honest)}],
        reading(open_keras),
        (*DOORS, "json_text.parse_json_object", "hdf5_source.Hdf5Source._read_superblock"),
    )
