"""`.npy` and `.npz` against NumPy."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError, open_checkpoint
from keras_pretrained.checkpoints.numpy_files import open_npy, open_npz

CODES = ("<f4", "<f8", "<f2", ">f4", ">i8", "<i4", "u1", "?", "<c8", "<U5", "S4", ">U5")


def arrays() -> dict[str, np.ndarray]:
    base = np.arange(24).reshape(2, 3, 4)
    made = {f"type {code}": base.astype(code) for code in CODES}
    made["fortran"] = np.asfortranarray(base)
    made["fortran big"] = np.asfortranarray(base.astype(">f4"))
    made["vector"] = base[0, 0]
    made["scalar"] = np.array(3.5)
    made["empty"] = np.zeros((0, 3))
    made["params/Dense_0/kernel"] = base
    return made


@pytest.mark.parity
@pytest.mark.parametrize("name", sorted(arrays()))
def test_npy(tmp_path: Path, name: str) -> None:
    expected = arrays()[name]
    np.save(tmp_path / "a.npy", expected)
    checkpoint = open_checkpoint(tmp_path / "a.npy")
    assert checkpoint.format == "npy"
    read = checkpoint["array"].read()
    assert read.dtype == expected.dtype.newbyteorder("=")
    assert read.flags.f_contiguous == expected.flags.f_contiguous
    np.testing.assert_array_equal(read, expected)
    assert not read.flags.writeable


@pytest.mark.parity
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: object) -> None:
    expected = arrays()
    save(tmp_path / "a.npz", **expected)  # type: ignore[operator]
    checkpoint = open_checkpoint(tmp_path / "a.npz")
    assert checkpoint.format == "npz"
    assert list(checkpoint) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(checkpoint[name].read(), value)


def test_stored_data_is_a_view_of_the_file(tmp_path: Path) -> None:
    values = np.arange(100, dtype=np.float32).reshape(10, 10)
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", values)
    assert not open_npy(tmp_path / "a.npy")["array"].read().flags.owndata
    np.testing.assert_array_equal(open_npz(tmp_path / "a.npz")["arr_0"].read(), values)


def test_bfloat16(tmp_path: Path) -> None:
    values = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    np.save(tmp_path / "a.npy", values)
    read = open_npy(tmp_path / "a.npy")["array"].read()
    assert read.dtype == ml_dtypes.bfloat16
    assert read.tobytes() == values.tobytes()


def test_version_2_headers(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, np.arange(3), version=(2, 0))
    np.testing.assert_array_equal(open_npy(tmp_path / "a.npy")["array"].read(), [0, 1, 2])


def header(text: str, data: bytes = b"") -> bytes:
    raw = text.encode().ljust(118 - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + data


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }",
        '{"shape": (2, 3), "fortran_order": False, "descr": "<f4"}',
        "{'shape':(2,3),'descr':'<f4','fortran_order':False}",
    ],
)
def test_headers_of_other_writers(tmp_path: Path, text: str) -> None:
    data = np.arange(6, dtype=np.float32)
    (tmp_path / "a.npy").write_bytes(header(text, data.tobytes()))
    read = open_npy(tmp_path / "a.npy")["array"].read()
    np.testing.assert_array_equal(read, data.reshape(2, 3))


def test_a_dictionary_that_was_saved_as_an_array(tmp_path: Path) -> None:
    """How several TensorFlow 1 ports publish weights: `np.save(path, {layer: [w, b]})`."""
    weights = {"conv1": [np.ones((2, 3), np.float32), np.zeros(3)], "fc": {"weights": np.arange(4)}}
    np.save(tmp_path / "net.npy", weights, allow_pickle=True)  # type: ignore[arg-type]
    checkpoint = open_checkpoint(tmp_path / "net.npy")
    assert set(checkpoint) == {"conv1.0", "conv1.1", "fc.weights"}
    np.testing.assert_array_equal(checkpoint["fc.weights"].read(), np.arange(4))


def test_objects_in_an_archive_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{}]), y=np.ones(2))
    with pytest.raises(CheckpointError, match="array 'x'"):
        open_npz(tmp_path / "a.npz")


def test_other_members_are_left_out_and_said_so(tmp_path: Path) -> None:
    import zipfile

    np.savez(tmp_path / "a.npz", y=np.ones(2))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("readme.txt", "hello")
    checkpoint = open_npz(tmp_path / "a.npz")
    assert list(checkpoint) == ["y"]
    assert "readme.txt" in checkpoint.metadata["unreadable"]
