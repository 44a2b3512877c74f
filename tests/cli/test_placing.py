"""Files move to their place when they are proven, and nothing else is ever removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keras_pretrained.cli.placing import Target, TargetError, placed


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def write(path: Path, *files: str) -> None:
    path.mkdir(exist_ok=True)
    for name in files:
        (path / name).write_text(f"new {name}")


@pytest.mark.parametrize(
    ("text", "folder"),
    [("out", True), ("out/", True), ("bert-v1.0/", True), ("x.ckpt", False), ("x.ckpt-9", False)],
)
def test_what_is_a_folder(
    text: str, folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = Target.parse(text)
    assert target == Target(tmp_path / text.rstrip("/"), folder)
    (tmp_path / "there.v1").mkdir()
    assert Target.parse("there.v1").folder


def test_a_new_folder(tmp_path: Path) -> None:
    target = Target(tmp_path / "out", True)
    target.check(force=False)
    with placed(target) as path:
        write(path, "config.json", "model.safetensors")
        assert not target.path.exists()
    assert names(tmp_path) == ["out"]
    assert names(target.path) == ["config.json", "model.safetensors"]
    umask = os.umask(0)
    os.umask(umask)
    assert target.path.stat().st_mode & 0o777 == 0o777 & ~umask


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    target = Target(tmp_path / "out", True)
    target.path.mkdir()
    target.check(force=False)
    with placed(target) as path:
        write(path, "a")
    assert names(target.path) == ["a"]


def test_what_exists_is_replaced_only_on_request(tmp_path: Path) -> None:
    write(tmp_path / "out", "a", "b")
    (tmp_path / "out" / "a").write_text("old")
    target = Target(tmp_path / "out", True)
    with pytest.raises(TargetError, match=r"is not empty \(a, b\).*--force"):
        target.check(force=False)
    target.check(force=True)
    with placed(target) as path:
        write(path, "a", "b", "c")
    assert names(tmp_path) == ["out"]
    assert (target.path / "a").read_text() == "new a"


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "out", "a", "thesis.tex")
    target = Target(tmp_path / "out", True)
    with pytest.raises(TargetError, match=r"holds other files \(thesis.tex\)"), placed(target) as p:
        write(p, "a")
    assert names(tmp_path) == ["out"]
    assert names(target.path) == ["a", "thesis.tex"]


def test_a_failure_or_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "out", "a")
    (tmp_path / "out" / "a").write_text("old")

    def fail(error: type[BaseException]) -> None:
        with placed(Target(tmp_path / "out", True)) as path:
            write(path, "a")
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            fail(error)
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out" / "a").read_text() == "old"


def test_a_folder_that_cannot_move_in_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "out", "a")
    (tmp_path / "out" / "a").write_text("old")
    rename = os.rename

    def failing(source: Path, target: Path) -> None:
        if Path(source).name == "folder":
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr("os.rename", failing)
    with pytest.raises(OSError, match="No space"), placed(Target(tmp_path / "out", True)) as path:
        write(path, "a")
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out" / "a").read_text() == "old"


def test_a_checkpoint_prefix_replaces_all_files_of_the_old_one(tmp_path: Path) -> None:
    old = ["x.ckpt.index", "x.ckpt.data-00000-of-00002", "x.ckpt.data-00001-of-00002"]
    write(tmp_path, *old, "x.ckpt", "x.ckpt.meta", "other.ckpt.index")
    target = Target(tmp_path / "x.ckpt", False)
    with pytest.raises(TargetError, match="exists already"):
        target.check(force=False)
    target.check(force=True)
    with placed(target) as path:
        write(path.parent, "x.ckpt.index", "x.ckpt.data-00000-of-00001")
    kept = ["other.ckpt.index", "x.ckpt.data-00000-of-00001", "x.ckpt.index", "x.ckpt.meta"]
    assert names(tmp_path) == kept


def test_a_file_stands_where_a_folder_is_to_be(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(TargetError, match="is a file, and a folder"):
        Target(tmp_path / "out", True).check(force=True)
    with pytest.raises(TargetError, match=r"is not a folder\. Create it first"):
        Target(tmp_path / "none" / "out", True).check(force=False)


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real", "a")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    target = Target.parse(str(tmp_path / "link"))
    with placed(target) as path:
        write(path, "a", "b")
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "real") == ["a", "b"]
