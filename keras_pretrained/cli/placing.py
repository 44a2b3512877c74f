"""Written files stay out of sight until they are proven; then they move to their place."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class TargetError(ValueError):
    """The target of a command cannot be written: the message says why and what to do."""


@dataclass(frozen=True)
class Target:
    """Where a checkpoint is to be written.

    Attributes:
        path: the folder, the file, or the prefix of a TensorFlow checkpoint.
        folder: whether it is a folder as authors publish it.
    """

    path: Path
    folder: bool

    @classmethod
    def parse(cls, text: str) -> Target:
        """A folder ends in a slash, exists, or has no suffix; all else is a file."""
        path = Path(text)
        folder = text.endswith(("/", os.sep)) or not path.suffix or path.is_dir()
        return cls(Path(os.path.realpath(path)), folder)

    def occupied(self) -> list[Path]:
        """What stands there."""
        if self.path.is_dir():
            return sorted(self.path.iterdir())
        parts = re.compile(re.escape(self.path.name) + r"(\.index|\.data-\d{5}-of-\d{5})?")
        return sorted(entry for entry in self.path.parent.iterdir() if parts.fullmatch(entry.name))

    def check(self, force: bool) -> None:
        """Refuses to write over what is there, or into a folder that is not.

        Raises:
            TargetError: the message says what to do.
        """
        if not self.path.parent.is_dir():
            raise TargetError(f"{self.path.parent} is not a folder. Create it first.")
        there = self.occupied()
        if there and not force:
            what = "is not empty" if self.path.is_dir() else "exists already"
            raise TargetError(
                f"{self.path} {what} ({', '.join(entry.name for entry in there[:5])}"
                f"{', ...' if len(there) > 5 else ''}). Choose another target, or pass --force to "
                "replace it."
            )
        if self.folder and self.path in there:
            raise TargetError(
                f"{self.path} is a file, and a folder was to be written. Choose another target."
            )


@contextmanager
def placed(target: Target) -> Iterator[Path]:
    """Gives a path to write to; what is there when the block ends moves to the target.

    When the block raises, the target is as it was and nothing is left beside it. A folder is
    replaced only if each of its files is replaced: no other file is ever removed.
    """
    path = target.path
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}.", suffix=".partial", dir=path.parent
    ) as hidden:
        # Beside the target, because only a move within one file system is atomic.
        staged = Path(hidden) / "written" / ("folder" if target.folder else path.name)
        staged.parent.mkdir()
        yield staged
        if target.folder:
            _move_folder(staged, path, Path(hidden) / "previous")
        else:
            _move_files(staged.parent, target)


def _move_folder(staged: Path, path: Path, previous: Path) -> None:
    if not path.exists():
        os.rename(staged, path)
        return
    written = {entry.name for entry in staged.iterdir()}
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in written)
    if others:
        raise TargetError(
            f"{path} holds other files ({', '.join(others[:5])}), which would be read together "
            "with the new ones. Choose another target, or remove them yourself."
        )
    os.rename(path, previous)
    try:
        os.rename(staged, path)
    except BaseException:
        os.rename(previous, path)
        raise


def _move_files(written: Path, target: Target) -> None:
    before = target.occupied()
    # Data before index: a reader sees the old checkpoint until the new one is whole.
    names = sorted(entry.name for entry in written.iterdir())
    for name in names:
        os.replace(written / name, target.path.parent / name)
    for old in before:
        if old.name not in names:
            old.unlink()
