"""What lies where a file should be: pipes, devices, folders, links.

Links are followed, as the cache of Hugging Face is made of them: a link is made by who owns the
folder, and no archive that this library unpacks can bring one. What a link leads to is held to
the same rules as any file.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError, open_checkpoint, write_safetensors
from keras_pretrained.checkpoints import saved_model as saved_model_module
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.saved_model import open_saved_model
from keras_pretrained.presets import SourceError, read_json
from keras_pretrained.tokenizers.vocabulary import read_vocabulary
from tests.attacks.attack import read_all
from tests.attacks.fuzzing.targets.tensorflow import bundle_files
from tests.checkpoints.tf_files import table_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """Waiting for a pipe would be for ever; the run of the tests would show it."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 20


def weights(path: Path) -> Path:
    return write_safetensors(path, {"x": np.ones(2, np.float32)})


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    # A path of a socket has at most some hundred characters.
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def make_link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_link_to_random(path: Path) -> None:
    path.symlink_to("/dev/urandom")


def make_link_to_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("a pipe"))
    path.symlink_to("a pipe")


def make_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_folder(path: Path) -> None:
    path.mkdir()


WEIGHTS = [
    *("model.safetensors", "x.pth", "x.h5", "x.npy", "x.ckpt.index", "x.index.json"),
    "saved_model.pb",
]
NO_FILES = [
    make_pipe,
    make_socket,
    make_link_to_zeros,
    make_link_to_random,
    make_link_to_pipe,
    make_link_to_itself,
    make_dangling_link,
    make_folder,
]


@pytest.mark.parametrize("make", NO_FILES)
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_no_file(make: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    make(tmp_path / name)
    # What is there is of the wrong kind; where a link leads nowhere, there is nothing.
    with pytest.raises((CheckpointError, FileNotFoundError)) as info:
        open_checkpoint(tmp_path / name)
    assert name in str(info.value) or tmp_path.name in str(info.value)
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        open_checkpoint(tmp_path)
    with pytest.raises(CheckpointError):
        FileBytes(tmp_path / name)


@pytest.mark.parametrize("make", [make_pipe, make_socket, make_link_to_zeros])
def test_the_error_says_what_it_is(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="a pipe, a socket or a device"):
        open_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("make", NO_FILES)
def test_a_shard_that_is_none(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "x.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "x.safetensors"}}))
    with pytest.raises(CheckpointError, match="which is missing"):
        open_checkpoint(index)


@pytest.mark.parametrize("make", NO_FILES)
def test_parts_of_a_tensorflow_checkpoint(make: Callable[[Path], None], tmp_path: Path) -> None:
    entries, data = bundle_files()
    (tmp_path / "variables").mkdir()
    index = tmp_path / "variables" / "variables.index"
    shard = tmp_path / "variables" / "variables.data-00000-of-00001"
    index.write_bytes(table_of(entries).build())
    make(shard)
    with pytest.raises(CheckpointError, match="data-00000-of-00001"):
        read_all(open_saved_model(tmp_path))
    shutil.rmtree(shard) if shard.is_dir() and not shard.is_symlink() else shard.unlink()
    shard.write_bytes(data)
    read_all(open_saved_model(tmp_path))
    (tmp_path / "variables" / "a pipe").unlink(missing_ok=True)
    index.unlink()
    make(index)
    with pytest.raises(CheckpointError):
        open_saved_model(tmp_path)


def test_a_note_that_is_a_pipe(tmp_path: Path) -> None:
    for name in ("a.ckpt", "b.ckpt"):
        (tmp_path / name).write_bytes(b"x")
    os.mkfifo(tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="several checkpoints"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("make", NO_FILES)
def test_texts_that_are_no_files(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "text")
    with pytest.raises(SourceError):
        read_json(tmp_path / "text")
    with pytest.raises((ValueError, FileNotFoundError)):
        read_vocabulary(tmp_path / "text")


def test_a_file_that_becomes_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at a file and its opening, somebody may put another in its place."""
    path = weights(tmp_path / "x.safetensors")
    honest = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda self, **options: honest)
    assert stat.S_ISREG(path.stat().st_mode)
    with pytest.raises(CheckpointError, match="not a regular file"):
        FileBytes(path)


def test_links_are_followed_as_in_the_cache_of_hugging_face(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    weights(blobs / "5f3a")
    (snapshot / "model.safetensors").symlink_to("../../blobs/5f3a")
    assert list(open_checkpoint(snapshot)) == ["x"]
    (snapshot / "x.safetensors").symlink_to("../../blobs/5f3a")
    index = snapshot / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "x.safetensors"}}))
    assert list(open_checkpoint(index)) == ["x"]


def test_a_link_out_of_the_folder_shows_nothing_but_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("a secret that no error may show: 0123456789")
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.safetensors", "config.json"):
        (folder / name).symlink_to("../secret.txt")
    for read in (open_checkpoint, lambda path: read_json(path / "config.json")):
        with pytest.raises(ValueError, match=r"model\.safetensors|config\.json") as info:
            read(folder)
        # The first bytes tell what kind of file it is.
        assert "no error may show" not in str(info.value)


def test_assets_that_are_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_model_module, "_MAX_ASSETS", 50)
    (tmp_path / "many").mkdir()
    for number in range(51):
        (tmp_path / "many" / str(number)).write_bytes(b"")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"")
    (folder / "assets").symlink_to("../many")
    with pytest.raises(CheckpointError, match="more than 50 files"):
        open_checkpoint(folder)


def test_a_folder_in_itself(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "again").symlink_to("..")
    (tmp_path / "assets" / "vocab.txt").write_text("x")
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert open_checkpoint(tmp_path).metadata["assets"] == ["assets/vocab.txt"]


def test_a_folder_of_very_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras_pretrained.checkpoints.folders._MAX_ENTRIES", 50)
    for number in range(60):
        (tmp_path / str(number)).write_bytes(b"")
    with pytest.raises(CheckpointError, match="more than 50 files"):
        open_checkpoint(tmp_path)
