"""Folders: one checkpoint by published names, or an error that says which there are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError, open_checkpoint, write_safetensors
from keras_pretrained.checkpoints.folders import find_in_folder

GOLDENS = Path(__file__).parents[1] / "goldens"


def safetensors(path: Path, **tensors: float) -> None:
    write_safetensors(path, {name: np.float32([value]) for name, value in tensors.items()})


def shards(folder: Path, weight_map: dict[str, str] | None = None, **more: object) -> Path:
    safetensors(folder / "model-00001-of-00002.safetensors", a=1, b=2)
    safetensors(folder / "model-00002-of-00002.safetensors", c=3)
    weight_map = weight_map or {
        "a": "model-00001-of-00002.safetensors",
        "c": "model-00002-of-00002.safetensors",
        "b": "model-00001-of-00002.safetensors",
    }
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 12}, "weight_map": weight_map, **more}))
    return path


@pytest.mark.parametrize("by_file", [True, False])
def test_shards_are_one_checkpoint(tmp_path: Path, by_file: bool) -> None:
    path = shards(tmp_path)
    checkpoint = open_checkpoint(path if by_file else tmp_path)
    assert list(checkpoint) == ["a", "c", "b"]
    assert [float(checkpoint[name].read()[0]) for name in "abc"] == [1, 2, 3]
    assert checkpoint.metadata["total_size"] == 12
    assert checkpoint.path == path


def test_shards_of_torch_files(tmp_path: Path) -> None:
    for number in (1, 2):
        source = GOLDENS / "torch_files" / ("dtypes.pth" if number == 1 else "modern_.pth")
        source = source if source.exists() else GOLDENS / "torch_files" / "layouts.pth"
        shutil.copy(source, tmp_path / f"pytorch_model-0000{number}-of-00002.bin")
    names = {}
    for number in (1, 2):
        shard = f"pytorch_model-0000{number}-of-00002.bin"
        names.update(dict.fromkeys(open_checkpoint(tmp_path / shard), shard))
    index = {"weight_map": names}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.format == "torch-zip"
    assert set(checkpoint) == set(names)


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": "model-00001-of-00002.safetensors"}, "does not list: b"),
        ({"zzz": "model-00001-of-00002.safetensors"}, "'zzz' is in"),
        ({"a": "model-00003-of-00003.safetensors"}, "missing"),
        ({"a": 3}, "name of a file with tensors"),
    ],
)
def test_an_index_that_does_not_match(
    tmp_path: Path, weight_map: dict[str, str], message: str
) -> None:
    path = shards(tmp_path, weight_map)
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(path)


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = np.ones(1)


def test_the_order_of_preference(tmp_path: Path) -> None:
    """The same model in every format, as on the Hugging Face hub: files go away one by one."""
    safetensors(tmp_path / "model.safetensors", x=1)
    shutil.copy(GOLDENS / "torch_files" / "single.pth", tmp_path / "pytorch_model.bin")
    for part in ("index", "data-00000-of-00001"):
        shutil.copy(GOLDENS / "bert_google" / f"bert_model.ckpt.{part}", tmp_path)
    shutil.copytree(GOLDENS / "bert_tf_models" / "saved_model", tmp_path, dirs_exist_ok=True)
    hdf5(tmp_path / "tf_model.h5")
    np.savez(tmp_path / "weights.npz", x=np.ones(1))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "training_args.bin").write_bytes(b"a pickle")
    (tmp_path / "optimizer.pt").write_bytes(b"a pickle")
    expected = [
        ("safetensors", "model.safetensors"),
        ("torch-zip", "pytorch_model.bin"),
        ("tf-bundle", "bert_model.ckpt.index"),
        ("saved-model", "saved_model.pb"),
        ("hdf5", "tf_model.h5"),
        ("npz", "weights.npz"),
    ]
    for format, name in expected:
        assert open_checkpoint(tmp_path).format == format
        assert find_in_folder(tmp_path).name == name
        (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match="no checkpoint that is known by its name"):
        open_checkpoint(tmp_path)


def test_several_of_the_preferred_kind(tmp_path: Path) -> None:
    safetensors(tmp_path / "one.safetensors", x=1)
    assert open_checkpoint(tmp_path).path.name == "one.safetensors"
    safetensors(tmp_path / "two.safetensors", x=1)
    with pytest.raises(CheckpointError, match=r"one\.safetensors, two\.safetensors"):
        open_checkpoint(tmp_path)
    safetensors(tmp_path / "model.safetensors", x=1)
    assert open_checkpoint(tmp_path).path.name == "model.safetensors"
    shards(tmp_path)
    with pytest.raises(CheckpointError, match="several checkpoints"):
        open_checkpoint(tmp_path)


def test_the_note_of_tensorflow_names_the_current_checkpoint(tmp_path: Path) -> None:
    for step in (1, 20):
        for part in ("index", "data-00000-of-00001"):
            source = GOLDENS / "bert_google" / f"bert_model.ckpt.{part}"
            shutil.copy(source, tmp_path / f"model.ckpt-{step}.{part}")
    with pytest.raises(CheckpointError, match="several checkpoints"):
        open_checkpoint(tmp_path)
    note = 'model_checkpoint_path: "/somewhere/else/model.ckpt-20"\nall_model_checkpoint_paths: "x"'
    (tmp_path / "checkpoint").write_text(note)
    assert open_checkpoint(tmp_path).path.name == "model.ckpt-20"


def test_an_empty_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors.*no file"):
        open_checkpoint(tmp_path)
