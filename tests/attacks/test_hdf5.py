"""HDF5 files that refer elsewhere, lead in circles, or declare what they do not store."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_pretrained.checkpoints.hdf5 import open_hdf5
from tests.attacks.attack import refused


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones(3)
    (tmp_path / "secret.bin").write_bytes(bytes(100))
    return path


@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize("kind", ["external link", "soft link", "soft loop", "dangling link"])
def test_links_are_not_followed(kind: str, version: str, secret: Path) -> None:
    path = secret.with_name("a.h5")
    links = {
        "external link": h5py.ExternalLink(str(secret), "/x"),
        "soft link": h5py.SoftLink("/real"),
        "soft loop": h5py.SoftLink("/link"),
        "dangling link": h5py.SoftLink("/nowhere"),
    }
    with h5py.File(path, "w", libver=version) as file:
        file["real"] = np.ones(2)
        file["link"] = links[kind]
    refused(path, "link")


def test_values_in_another_file(secret: Path) -> None:
    path = secret.with_name("a.h5")
    with h5py.File(path, "w") as file:
        outside = [(str(secret.with_name("secret.bin")), 0, 40)]
        file.create_dataset("x", (10,), "f4", external=outside)
    refused(path, "another file")


def test_virtual_values(secret: Path) -> None:
    path = secret.with_name("a.h5")
    with h5py.File(path, "w", libver="latest") as file:
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "x", (3,))
        file.create_virtual_dataset("x", layout)
    refused(path, "virtual")


@pytest.mark.parametrize("options", [{}, {"chunks": (1024,)}, {"compression": "gzip"}])
def test_a_small_file_cannot_declare_a_large_array(options: dict, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (2**33,), "f4", **options)
    assert path.stat().st_size < 10_000
    refused(path, "the file")


def test_one_chunk_of_many(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (2**30,), "f4", chunks=(1024,))[:10] = 1
    refused(path, "chunks")


def test_a_chunk_that_packs_too_well(tmp_path: Path) -> None:
    """The size of a chunk is not stored with its data, so a small one can claim a large one."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.zeros(1000, "f4"), chunks=(1000,), compression="gzip")
    data = path.read_bytes()
    thousand = (1000).to_bytes(4, "little")
    path.unlink()
    path.write_bytes(data.replace(thousand, (2**28).to_bytes(4, "little")))
    refused(path)


def test_groups_in_a_circle(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("a/b")
        group["again"] = file["a"]
        group["x"] = np.ones(1)
    refused(path, "contains itself")


def test_nested_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(100):
            group = group.create_group("g")
    refused(path)


def changed(path: Path, old: bytes, new: bytes, count: int = -1) -> Path:
    data = path.read_bytes()
    assert old in data
    path.unlink()
    path.write_bytes(data.replace(old, new, count))
    return path


def simple(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["group/x"] = np.arange(1000, dtype=np.float32)
        file.attrs["layer_names"] = ["group"]
        file["group"].attrs["weight_names"] = ["x"]
    return path


@pytest.mark.parametrize("size", [1001, 2**31, 2**40, 2**61, 2**63, 2**64 - 1])
def test_a_dimension_that_lies(size: int, tmp_path: Path) -> None:
    path = simple(tmp_path / "a.h5")
    refused(changed(path, (1000).to_bytes(8, "little"), (size % 2**64).to_bytes(8, "little")))


@pytest.mark.parametrize("keep", [0, 7, 8, 50, 96, 800, 2000, -1])
def test_a_cut_file(keep: int, tmp_path: Path) -> None:
    path = simple(tmp_path / "a.h5")
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:keep])
    refused(path, open_file=open_hdf5)


def test_names_that_leave_their_group(tmp_path: Path) -> None:
    for name in (b"../..\0", b"gr/up\0", b"..\0\0\0\0"):
        path = simple(tmp_path / "a.h5")
        refused(changed(path, b"group\0", name, 1))
        path.unlink()


@pytest.mark.parametrize("tag", [b"TREE", b"SNOD", b"HEAP", b"GCOL"])
def test_structures_that_are_none(tag: bytes, tmp_path: Path) -> None:
    refused(changed(simple(tmp_path / "a.h5"), tag, b"xxxx"))


def test_texts_that_repeat_a_large_one(tmp_path: Path) -> None:
    """Many names that are all the same long text: each would be copied."""
    path = tmp_path / "a.h5"
    long = "x" * 1_000_000
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [long] + [f"name {n}" for n in range(3000)]
    data = path.read_bytes()
    first = data.index((1_000_000).to_bytes(4, "little"))
    reference = data[first : first + 16]
    end = first + 16 * 3001
    path.unlink()
    path.write_bytes(data[:first] + reference * 3001 + data[end:])
    start = time.monotonic()
    refused(path, limit=200_000_000)
    assert time.monotonic() - start < 10
