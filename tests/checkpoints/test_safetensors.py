"""safetensors: both directions against the reference implementation."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from keras_pretrained.checkpoints import CheckpointError, open_checkpoint, write_safetensors
from keras_pretrained.checkpoints.safetensors import open_safetensors

ERF = Path(__file__).parents[1] / "goldens" / "bert_hf" / "erf" / "model.safetensors"

PLAIN = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1")
WITHOUT_NUMPY = ("bfloat16", "float8_e4m3fn", "float8_e5m2")


def samples() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    made = {code: (random.normal(size=(3, 4)) * 50).astype(code) for code in PLAIN}
    made["bool"] = np.array([True, False, True])
    made["complex"] = np.array([1 + 2j, -3j], np.complex64)
    made["scalar"] = np.array(2.5, np.float32)
    made["empty"] = np.zeros((0, 7), np.float32)
    made["naïve 名前"] = np.arange(5, dtype=np.int64)
    return made


@pytest.mark.parity
def test_reads_what_the_reference_writes(tmp_path: Path) -> None:
    tensors = samples()
    safetensors.numpy.save_file(tensors, tmp_path / "a.safetensors", {"format": "np", "ü": "é"})
    checkpoint = open_checkpoint(tmp_path / "a.safetensors")
    assert checkpoint.format == "safetensors"
    assert dict(checkpoint.metadata) == {"format": "np", "ü": "é"}
    assert set(checkpoint) == set(tensors)
    for name, expected in tensors.items():
        assert checkpoint[name].dtype == expected.dtype
        np.testing.assert_array_equal(checkpoint[name].read(), expected)


@pytest.mark.parity
def test_writes_byte_for_byte_what_the_reference_writes(tmp_path: Path) -> None:
    tensors = samples()
    safetensors.numpy.save_file(tensors, tmp_path / "theirs.safetensors", {"format": "pt"})
    write_safetensors(tmp_path / "ours.safetensors", tensors, {"format": "pt"})
    ours = (tmp_path / "ours.safetensors").read_bytes()
    assert ours == (tmp_path / "theirs.safetensors").read_bytes()


@pytest.mark.parity
def test_the_reference_reads_a_published_layout_like_us() -> None:
    checkpoint = open_checkpoint(ERF)
    with safetensors.safe_open(ERF, "np") as reference:
        assert set(reference.keys()) == set(checkpoint)
        for name in checkpoint:
            np.testing.assert_array_equal(checkpoint[name].read(), reference.get_tensor(name))


@pytest.mark.parametrize("name", WITHOUT_NUMPY)
def test_types_that_numpy_lacks_keep_their_bits(tmp_path: Path, name: str) -> None:
    dtype = np.dtype(getattr(ml_dtypes, name))
    values = np.array([0.0, 1.0, -0.5, 4.0], dtype)
    path = write_safetensors(tmp_path / "a.safetensors", {"x": values})
    read = open_safetensors(path)["x"].read()
    assert read.dtype == dtype
    assert read.tobytes() == values.tobytes()
    with safetensors.safe_open(path, "np") as reference:
        assert reference.get_slice("x").get_shape() == [4]


def test_bfloat16_means_the_upper_half_of_float32(tmp_path: Path) -> None:
    header = json.dumps({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    numbers = np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16
    content = struct.pack("<Q", len(header)) + header + numbers.astype("<u2").tobytes()
    (tmp_path / "a.safetensors").write_bytes(content)
    read = open_safetensors(tmp_path / "a.safetensors")["x"].read()
    np.testing.assert_array_equal(read.astype(np.float32), [1.5, -2.0])


def test_arrays_are_read_only_views_of_the_file(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"x": np.ones((4, 4), np.float32)})
    array = open_safetensors(path)["x"].read()
    assert not array.flags.writeable
    assert not array.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 2


def test_unaligned_data_is_copied_into_an_aligned_array(tmp_path: Path) -> None:
    header = b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    assert len(header) % 4, "the point of this test"
    data = np.array([1, 2], np.float32)
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + data.tobytes())
    read = open_safetensors(path)["x"].read()
    assert read.flags.aligned
    np.testing.assert_array_equal(read, data)


def test_an_open_checkpoint_survives_replacement_and_deletion(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"x": np.zeros(1000, np.float32)})
    checkpoint = open_safetensors(path)
    write_safetensors(path, {"x": np.ones(1000, np.float32)})
    assert checkpoint["x"].read().sum() == 0
    path.unlink()
    assert checkpoint["x"].read().sum() == 0


def test_a_file_that_shrinks_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"x": np.zeros(100_000, np.float32)})
    checkpoint = open_safetensors(path)
    with path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(CheckpointError, match="shrank"):
        checkpoint["x"].read()


def test_writing_takes_any_layout_and_byte_order(tmp_path: Path) -> None:
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    tensors = {"transposed": base.T, "sliced": base[:, ::2, 1:], "big": base.astype(">f4")}
    read = open_safetensors(write_safetensors(tmp_path / "a.safetensors", tensors))
    for name, expected in tensors.items():
        np.testing.assert_array_equal(read[name].read(), expected)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"x": np.ones(3, np.float32)})
    before = path.read_bytes()

    class Breaks:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            raise RuntimeError("no values")

    with pytest.raises(RuntimeError, match="no values"):
        write_safetensors(path, {"x": Breaks()})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="dtype object"):
        write_safetensors(path, {"x": np.array([{}])})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"x": np.ones(3, np.float32)})
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_safetensors(path, {"x": np.zeros(3, np.float32)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("tensors", "metadata"),
    [
        ({"__metadata__": np.ones(2, np.float32)}, None),
        ({"x": np.array(["text"])}, None),
        ({"x": np.ones(2, np.float32)}, {"epoch": 3}),
    ],
)
def test_what_the_format_cannot_hold_is_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None
) -> None:
    with pytest.raises(ValueError, match="safetensors"):
        write_safetensors(tmp_path / "a.safetensors", tensors, metadata)
    assert not list(tmp_path.iterdir())
