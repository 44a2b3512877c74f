"""A place beside the target where an artefact grows until it is proven."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_pretrained.export.report import ExportError

Recognise = Callable[[Path], bool]


@contextmanager
def staged(
    path: str | os.PathLike[str], kind: str, overwrite: bool, recognise: Recognise
) -> Iterator[tuple[Path, Path]]:
    """Gives the target and a path to write to, which replaces the target at the end.

    When the block raises, the staging folder goes, and so do parent folders that were made
    for it. The staging folder lies beside the target, because only a move within one file
    system is atomic.

    Args:
        path: the target.
        kind: what is made, for messages.
        overwrite: whether an older artefact may be replaced.
        recognise: whether a path is an artefact of this kind. Nothing else is replaced: a
            mistyped path must not cost a folder of other files.
    """
    target = Path(os.path.abspath(os.fspath(path)))
    _check_target(target, kind, overwrite, recognise)
    made: list[Path] = []
    folder: Path | None = None
    try:
        made = _make_parents(target)
        folder = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
        )
    except OSError as error:
        _remove_empty(made)
        raise ExportError(f"{kind} {target} cannot be written: {error}") from error
    try:
        artefact = folder / target.name
        yield target, artefact
        _check_target(target, kind, overwrite, recognise)
        _move(artefact, target, folder)
    except OSError as error:
        raise ExportError(f"{kind} {target} cannot be written: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(target):
            _remove_empty(made)


def _check_target(target: Path, kind: str, overwrite: bool, recognise: Recognise) -> None:
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise ExportError(
            f"{target} exists already. Choose another path, or pass overwrite=True to replace it."
        )
    if not recognise(target):
        raise ExportError(
            f"{target} exists and is not a {kind}, so overwrite=True does not replace it. Choose "
            "another path, or remove it yourself."
        )


def _make_parents(target: Path) -> list[Path]:
    """Makes the missing parent folders; returns them, innermost first."""
    missing = []
    parent = target.parent
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    target.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _move(artefact: Path, target: Path, folder: Path) -> None:
    """Puts the artefact in place; a folder cannot replace a folder in one step."""
    if not artefact.is_dir() or not os.path.lexists(target):
        os.replace(artefact, target)
        return
    previous = folder / "previous"
    os.rename(target, previous)
    try:
        os.rename(artefact, target)
    except BaseException:
        os.rename(previous, target)
        raise
