"""Torch files that were written without torch: our reader and torch itself read them back."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from keras_pretrained.checkpoints import open_checkpoint
from keras_pretrained.checkpoints.pickled_plain import Record
from keras_pretrained.checkpoints.torch_writer import write_torch

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "matrix": RANDOM.normal(size=(3, 5)).astype("float32"),
    "transposed": RANDOM.normal(size=(3, 5)).astype("float32").T,
    "big_endian": RANDOM.normal(size=4).astype(">f8"),
    "half": RANDOM.normal(size=(2, 1, 3)).astype("float16"),
    "bfloat": RANDOM.normal(size=7).astype(ml_dtypes.bfloat16),
    "steps": np.array(2**40, "int64"),
    "flags": np.array([True, False]),
    "empty": np.zeros((0, 4), "float32"),
    "größe": np.ones(1, "uint8"),
}
SETTINGS = {
    "layers": 3,
    "large": 2**31,
    "negative": -(2**63),
    "rate": 0.1,
    "name": "gelu",
    "flag": True,
    "none": None,
    "list": [1, 2.5, "x"],
}


def content() -> dict[str, Any]:
    return {
        "args": Record("argparse.Namespace", state=dict(SETTINGS)),
        "model": dict(ARRAYS),
        "epoch": 7,
    }


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = open_checkpoint(write_torch(tmp_path / "m.pt", content()))
    assert found.format == "torch-zip"
    assert set(found) == {f"model.{name}" for name in ARRAYS}
    for name, array in ARRAYS.items():
        read = found[f"model.{name}"].read()
        assert read.shape == array.shape
        assert read.dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(read, array)
    assert found.metadata["epoch"] == 7
    for name, value in SETTINGS.items():
        assert found.metadata[f"args.{name}"] == value


def test_torch_reads_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = write_torch(tmp_path / "m.pt", content())
    read = torch.load(path, weights_only=False)
    assert vars(read["args"]) == SETTINGS
    for name, array in ARRAYS.items():
        tensor = read["model"][name]
        assert tuple(tensor.shape) == array.shape
        np.testing.assert_array_equal(
            tensor.to(torch.float64).numpy(), np.asarray(array, "float64")
        )


def test_bytes_are_aligned_and_always_the_same(tmp_path: Path) -> None:
    first = write_torch(tmp_path / "a.pt", content())
    second = write_torch(tmp_path / "b.pt", content())
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        for member in archive.infolist():
            header = first.read_bytes()[member.header_offset :][:30]
            name, extra = struct.unpack("<HH", header[26:])
            assert (member.header_offset + 30 + name + extra) % 64 == 0, member.filename


def test_all_or_nothing(tmp_path: Path) -> None:
    path = write_torch(tmp_path / "m.pt", {"a": np.ones(2, "float32")})
    before = path.read_bytes()
    for wrong, message in (
        ({"model": {"b": np.array(["text"])}}, "'model.b' has dtype <U4"),
        ({"model": {"b": object()}}, "'model.b' is of type object"),
        ({"model": {3: 1}}, "keys are text here. Received: 3"),
        ({"c": [{}, b"x"]}, r"'c\.1' is of type bytes"),
        ({"c": Record("os.system")}, "'c' is of type Record"),
    ):
        with pytest.raises(ValueError, match=message):
            write_torch(path, wrong)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.pt"]


def test_an_array_may_be_large(tmp_path: Path, monkeypatch: Any) -> None:
    """The headers of members beyond 2 GiB, on a small one."""
    monkeypatch.setattr("keras_pretrained.checkpoints.torch_writer._ZIP64", 16)
    path = write_torch(tmp_path / "m.pt", {"a": np.arange(64, dtype="float32")})
    np.testing.assert_array_equal(open_checkpoint(path)["a"].read(), np.arange(64))
