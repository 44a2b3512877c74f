"""HDF5 files that refer elsewhere, lead in circles, or declare what they do not store."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError
from keras_pretrained.checkpoints.hdf5 import open_hdf5
from tests.attacks.attack import little_memory, refused


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


def test_layers_that_are_listed_again_and_again(tmp_path: Path) -> None:
    """A list of names times a list of names: some kilobytes would become gigabytes."""
    path = simple(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = np.array([b"group"] * 6000)
        file["group"].attrs["weight_names"] = np.array([b"x"] * 30_000)
    start = time.monotonic()
    refused(path, "a layer twice")
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = np.array([b"group"])
    refused(path, "twice")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "kind",
    [
        np.dtype([("a", "<f4"), ("b", "<i8"), ("c", "S3")]),
        np.dtype([("r", "<f4"), ("i", "<f8")]),
        np.dtype([("r", [("r", "<f4"), ("i", "<f4")]), ("i", "<c8")]),
        np.dtype(("<f4", (2, 3))),
        np.dtype("V7"),
        h5py.string_dtype(),
        h5py.vlen_dtype(np.float32),
        h5py.ref_dtype,
        h5py.regionref_dtype,
    ],
    ids=str,
)
def test_types_that_no_tensor_has(kind: np.dtype, tmp_path: Path) -> None:
    """Left out with a reason, next to what is read; none is taken for numbers."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("odd", (2,), kind)
        file["x"] = np.arange(3)
    checkpoint = open_hdf5(path)
    assert checkpoint["x"].read().tolist() == [0, 1, 2]
    assert list(checkpoint.metadata["unreadable"]) == ["odd"]


@pytest.mark.parametrize("options", [{"compression": "lzf"}, {"scaleoffset": 2}])
def test_filters_that_are_not_read(options: dict, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(100), chunks=(10,), **options)
    refused(path, "by the filters")


def packed_file(path: Path, **options: object) -> Path:
    with h5py.File(path, "w") as file:
        values = np.arange(1000, dtype=np.float32)
        file.create_dataset("x", data=values, chunks=(1000,), **options)
    return path


def test_a_chunk_that_was_changed(tmp_path: Path) -> None:
    path = packed_file(tmp_path / "a.h5", fletcher32=True)
    thousand = np.float32(999).tobytes()
    refused(changed(path, thousand, np.float32(998).tobytes()), "wrong checksum")


@pytest.mark.parametrize(("old", "new"), [(b"\x78", b"\x00"), (b"\x78", b"\xff")])
def test_a_chunk_that_is_no_longer_packed(old: bytes, new: bytes, tmp_path: Path) -> None:
    path = packed_file(tmp_path / "a.h5", compression="gzip")
    start = path.read_bytes().index(b"\x78\x5e")
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:start] + new + data[start + 1 :])
    refused(path, "cannot be unpacked")


@pytest.mark.parametrize("tag", [b"OHDR", b"\x89HDF"])
def test_a_header_that_was_changed(tag: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["x"] = np.arange(5)
    data = bytearray(path.read_bytes())
    data[data.index(tag) + 30] ^= 1
    path.unlink()
    path.write_bytes(data)
    refused(path, "has a wrong checksum")


def test_one_dataset_under_many_names(tmp_path: Path) -> None:
    """Hard links are the file's own; what they cost is paid for once."""
    path = packed_file(tmp_path / "a.h5", compression="gzip")
    with h5py.File(path, "a") as file:
        for number in range(500):
            file[f"link {number}"] = file["x"]
    with little_memory(4_000_000):
        checkpoint = open_hdf5(path)
    assert len(checkpoint) == 501
    np.testing.assert_array_equal(checkpoint["link 7"].read(), np.arange(1000))


def test_a_heap_of_a_terabyte_of_holes(tmp_path: Path) -> None:
    """A sparse file stores nothing of what it seems to hold."""
    path = simple(tmp_path / "a.h5")
    data = bytearray(path.read_bytes())
    at = data.index(b"HEAP") + 8
    data[at : at + 8] = (1 << 39).to_bytes(8, "little")
    path.unlink()
    with path.open("wb") as file:
        file.write(data)
        file.truncate(1 << 40)
    with little_memory(4_000_000), pytest.raises(CheckpointError, match="part of its structure"):
        open_hdf5(path)
    path.unlink()
