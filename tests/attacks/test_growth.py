"""How much memory the structure of a file can take for each of its bytes, at its densest.

The files of the fuzzer are small, so the fixed part of its bounds hides this; here it shows.
"""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_pretrained.checkpoints import open_checkpoint
from keras_pretrained.checkpoints.json_text import parse_json_object
from tests.attacks.attack import little_memory
from tests.attacks.fuzzing.zip_parts import Part, packed
from tests.checkpoints.tf_files import bundle_header, message, number, table_of

COUNT = 10_000


@pytest.mark.parametrize(
    "part",
    [b"[],", b"{},", b'{"":1},', b'{"":' * 400 + b"1" + b"}" * 400 + b",", b"0,", b'"ab",'],
    ids=["lists", "objects", "objects of one", "nested", "numbers", "texts"],
)
def test_json(part: bytes) -> None:
    text = b'{"a":[' + part * (500_000 // len(part)) + b"1]}"
    with little_memory(50 * len(text)):
        parse_json_object(text, "a test")


@pytest.mark.parametrize("prefix", [0, 60, 400])
def test_an_index_of_tensorflow(prefix: int, tmp_path: Path) -> None:
    """Entries of a dozen bytes, and keys that share their beginnings."""
    empty = number(1, 1) + message(2, message(2, number(1, 0)))
    entries = [(b"k" * prefix + b"%06d" % n, empty) for n in range(COUNT)]
    index = table_of([bundle_header(), *entries]).build()
    (tmp_path / "x.index").write_bytes(index)
    (tmp_path / "x.data-00000-of-00001").write_bytes(b"")
    with little_memory(120 * len(index)):
        assert len(open_checkpoint(tmp_path / "x.index")) == COUNT


def test_a_header_of_safetensors(tmp_path: Path) -> None:
    empty = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({str(n): empty for n in range(COUNT)}, separators=(",", ":")).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with little_memory(40 * len(header)):
        assert len(open_checkpoint(tmp_path / "a.safetensors")) == COUNT


def test_an_archive(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros(0))
    archive = packed([Part(f"{n}.npy", stream.getvalue()) for n in range(COUNT // 10)])
    (tmp_path / "a.npz").write_bytes(archive)
    with little_memory(20 * len(archive)):
        assert len(open_checkpoint(tmp_path / "a.npz")) == COUNT // 10


def test_an_hdf5_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        # Links of some twenty bytes to one dataset.
        group = file.create_group("g")
        group["0"] = np.zeros(0)
        for n in range(1, 8):
            group[str(n)] = group["0"]
    size = (tmp_path / "a.h5").stat().st_size
    with little_memory(100_000 + 64 * size):
        assert len(open_checkpoint(tmp_path / "a.h5")) == 8
