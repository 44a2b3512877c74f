"""A target is replaced whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keras_pretrained.export import staging
from keras_pretrained.export.report import ExportError
from keras_pretrained.export.saved_model import is_saved_model
from keras_pretrained.export.staging import staged


def write_file(path: Path, overwrite: bool = False, text: str = "new") -> None:
    with staged(path, "ONNX file", overwrite, Path.is_file) as (_, artefact):
        artefact.write_text(text)


def write_folder(path: Path, overwrite: bool = False, text: str = "new") -> None:
    with staged(path, "SavedModel", overwrite, is_saved_model) as (_, artefact):
        (artefact / "variables").mkdir(parents=True)
        (artefact / "saved_model.pb").write_text(text)


def test_new_targets_and_their_parents_are_made(tmp_path: Path) -> None:
    write_file(tmp_path / "a" / "b" / "m.onnx")
    write_folder(tmp_path / "c" / "1")
    assert (tmp_path / "a/b/m.onnx").read_text() == "new"
    assert (tmp_path / "c/1/saved_model.pb").read_text() == "new"
    assert os.listdir(tmp_path / "a" / "b") == ["m.onnx"]
    assert os.listdir(tmp_path / "c") == ["1"]


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_existing_targets_are_replaced_on_request_only(tmp_path: Path, write) -> None:
    target = tmp_path / "m"
    write(target, text="old")
    with pytest.raises(ExportError, match="overwrite=True"):
        write(target)
    content = target / "saved_model.pb" if target.is_dir() else target
    assert content.read_text() == "old"
    write(target, overwrite=True)
    assert content.read_text() == "new"
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (write_file, "folder"),
        (write_file, "dangling link"),
        (write_folder, "folder"),
        (write_folder, "file"),
        (write_folder, "dangling link"),
    ],
)
def test_something_else_is_never_replaced(tmp_path: Path, write, kind: str) -> None:
    target = tmp_path / "precious"
    if kind == "folder":
        target.mkdir()
        (target / "letter.txt").write_text("dear")
    elif kind == "file":
        target.write_text("dear")
    else:
        target.symlink_to(tmp_path / "nowhere")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(ExportError, match="is not a"):
        write(target, overwrite=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing_and_keeps_the_older_artefact(tmp_path: Path, kind) -> None:
    def fail(target: Path) -> None:
        with staged(target, "SavedModel", True, is_saved_model) as (_, artefact):
            artefact.mkdir()
            (artefact / "saved_model.pb").write_text("half")
            raise kind("stop")

    write_folder(tmp_path / "old", text="old")
    for target in (tmp_path / "old", tmp_path / "deep" / "er" / "new"):
        with pytest.raises(kind):
            fail(target)
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old/saved_model.pb").read_text() == "old"


def test_a_parent_that_holds_other_files_by_then_stays(tmp_path: Path) -> None:
    def fail() -> None:
        with staged(tmp_path / "deep" / "m", "ONNX file", False, Path.is_file):
            (tmp_path / "deep" / "other").write_text("of another process")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert os.listdir(tmp_path / "deep") == ["other"]


def test_a_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "m"

    def write_late() -> None:
        with staged(target, "ONNX file", False, Path.is_file) as (_, artefact):
            artefact.write_text("new")
            target.write_text("of another process")

    with pytest.raises(ExportError, match="exists already"):
        write_late()
    assert target.read_text() == "of another process"
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, write, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"file/m.* cannot be written"):
        write(tmp_path / "file" / "m")

    def refuse(*args: object, **kwargs: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(staging.tempfile, "mkdtemp", refuse)
    with pytest.raises(ExportError, match="Permission denied"):
        write(tmp_path / "new" / "m")
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_is_named_and_cleaned_up(tmp_path: Path) -> None:
    def fail() -> None:
        with staged(tmp_path / "m", "ONNX file", False, Path.is_file) as (_, artefact):
            artefact.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(ExportError, match="No space left"):
        fail()
    assert os.listdir(tmp_path) == []


def test_an_older_folder_comes_back_when_the_move_fails(tmp_path: Path, monkeypatch) -> None:
    write_folder(tmp_path / "m", text="old")
    rename = os.rename

    def failing(source: Path, target: Path) -> None:
        if Path(target) == tmp_path / "m" and Path(source).name == "m":
            raise OSError("the move failed")
        rename(source, target)

    monkeypatch.setattr(staging.os, "rename", failing)
    with pytest.raises(ExportError, match="the move failed"):
        write_folder(tmp_path / "m", overwrite=True)
    assert (tmp_path / "m/saved_model.pb").read_text() == "old"
    assert os.listdir(tmp_path) == ["m"]


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path: Path) -> None:
    write_folder(tmp_path / "1", text="old")
    (tmp_path / "latest").symlink_to(tmp_path / "1")
    write_folder(tmp_path / "latest", overwrite=True)
    assert (tmp_path / "1/saved_model.pb").read_text() == "old"
    assert (tmp_path / "latest/saved_model.pb").read_text() == "new"
    assert not (tmp_path / "latest").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["1", "latest"]
