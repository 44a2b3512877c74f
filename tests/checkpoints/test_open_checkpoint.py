"""`open_checkpoint` tells files apart by their bytes, whatever they are called."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError, open_checkpoint, write_safetensors

GOLDENS = Path(__file__).parents[1] / "goldens"
GOOGLE = GOLDENS / "bert_google"


def one_of_each(folder: Path) -> dict[str, Path]:
    """One file of every kind under a name that says nothing."""
    write_safetensors(folder / "1", {"x": np.ones(2, np.float32)})
    shutil.copy(GOLDENS / "torch_files" / "nested.pth", folder / "2")
    shutil.copy(GOLDENS / "torch_files" / "nested_legacy.pth", folder / "3")
    with h5py.File(folder / "4", "w") as file:
        file["x"] = np.ones(2)
    with h5py.File(folder / "5", "w", userblock_size=1024) as file:
        file["x"] = np.ones(2)
    with (folder / "6").open("wb") as stream:
        np.savez(stream, x=np.ones(2))
    with (folder / "7").open("wb") as stream:
        np.save(stream, np.ones(2))
    shutil.copy(GOOGLE / "v1" / "bert_model.ckpt", folder / "8")
    formats = ("safetensors", "torch-zip", "torch-legacy", "hdf5", "hdf5", "npz", "npy", "tf-v1")
    return {f"{format}-{number}": folder / str(number) for number, format in enumerate(formats, 1)}


@pytest.mark.parametrize("suffix", ["", ".h5", ".bin", ".safetensors", ".ckpt", ".index.txt"])
def test_names_do_not_matter(tmp_path: Path, suffix: str) -> None:
    for label, path in one_of_each(tmp_path).items():
        renamed = path.rename(path.with_name(path.name + suffix))
        checkpoint = open_checkpoint(str(renamed))
        assert checkpoint.format == label.rsplit("-", 1)[0]
        assert len(checkpoint) > 0
        assert checkpoint.path == renamed


@pytest.mark.parametrize(
    "path", ["bert_model.ckpt", "bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001", ""]
)
def test_a_tensorflow_checkpoint_by_any_of_its_names(path: str) -> None:
    checkpoint = open_checkpoint(GOOGLE / path if path else GOOGLE)
    assert checkpoint.format == "tf-bundle"
    assert "bert/embeddings/word_embeddings" in checkpoint


@pytest.mark.parametrize("path", ["", "saved_model.pb"])
def test_a_saved_model_by_folder_and_file(path: str) -> None:
    assert (
        open_checkpoint(GOLDENS / "bert_tf_models" / "saved_model" / path).format == "saved-model"
    )


def test_a_missing_path_lists_similar_names() -> None:
    with pytest.raises(FileNotFoundError, match=r"bert_model\.ckpt\.index") as info:
        open_checkpoint(GOOGLE / "bert_modle.ckpt")
    assert "bert_modle.ckpt" in str(info.value)
    with pytest.raises(FileNotFoundError, match="does not exist either"):
        open_checkpoint(GOOGLE / "nowhere" / "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"just some text", "b'just some text'"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"\x1f\x8b\x08\x00rest", "unpack"),
        (b"\x80\x04]\x94.", "pickle"),
        (b"PK\x05\x06" + bytes(18), "zip archive"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as info:
        open_checkpoint(path)
    assert "weights.bin" in str(info.value)


def test_the_error_lists_what_is_understood(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"?" * 100)
    with pytest.raises(CheckpointError) as info:
        open_checkpoint(tmp_path / "x")
    for kind in ("safetensors", "PyTorch", "TensorFlow", "SavedModel", "HDF5", ".keras", ".npz"):
        assert kind in str(info.value)


def test_a_device_or_pipe_is_not_opened(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises((CheckpointError, FileNotFoundError)):
        open_checkpoint(tmp_path / "pipe")


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    """A checkpoint whose values are never used costs its header only."""
    path = tmp_path / "big.safetensors"
    header = b'{"x":{"dtype":"F32","shape":[268435456],"data_offsets":[0,1073741824]}}'
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + (1 << 30))
    import tracemalloc

    tracemalloc.start()
    checkpoint = open_checkpoint(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert checkpoint["x"].nbytes == 1 << 30
    assert peak < 1_000_000
