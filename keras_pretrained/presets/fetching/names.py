"""File names from strangers: which of them may become a path below a folder of ours."""

from __future__ import annotations

import unicodedata

_LONGEST = 1024
_DEEPEST = 32
_LONGEST_STEP = 255


class UnsafeName(ValueError):
    """A name that could leave its folder, or mean two things."""


def safe_name(name: str) -> str:
    """The name as a relative path with `/`, without `.` and empty steps.

    Raises:
        UnsafeName: absolute, with `..`, a backslash, a colon (drives and streams of Windows), or
            characters that cannot be printed; too long or too deep; or empty.
    """
    steps = [step for step in name.split("/") if step not in ("", ".")]
    problem = None
    if name.startswith("/"):
        problem = "it is absolute"
    elif ".." in steps:
        problem = "it leaves its folder"
    elif "\\" in name or ":" in name:
        problem = "it has a backslash or a colon"
    elif not name.isprintable():
        problem = "it has characters that cannot be printed"
    elif not steps:
        problem = "it names nothing"
    elif (
        len(steps) > _DEEPEST
        or len(name.encode()) > _LONGEST
        or any(len(step.encode()) > _LONGEST_STEP for step in steps)
    ):
        problem = "it is too long or too deep"
    if problem:
        raise UnsafeName(f"the file name {name[:80]!r} is refused: {problem}")
    return "/".join(steps)


class Taken:
    """The names given out in one folder: none twice, and no file where a folder is.

    Names that differ in case or in the composition of accents are one file on some systems.
    """

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def add_file(self, name: str) -> None:
        key = _folded(name)
        if key in self._files or key in self._folders:
            raise UnsafeName(f"the file name {name[:80]!r} is there twice")
        self._add_folders(key.split("/")[:-1], name)
        self._files.add(key)

    def add_folder(self, name: str) -> None:
        self._add_folders(_folded(name).split("/"), name)

    def _add_folders(self, steps: list[str], name: str) -> None:
        for end in range(1, len(steps) + 1):
            folder = "/".join(steps[:end])
            if folder in self._files:
                raise UnsafeName(f"{name[:80]!r} lies below a file")
            self._folders.add(folder)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
