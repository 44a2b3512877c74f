"""Writing files in a way that a full disk, a crash or a stranger's archive cannot spoil."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keras_pretrained.presets.fetching.failure import DiskFailure, disk_failure

CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Staged:
    """A whole file that waits for its place in an entry."""

    path: Path
    size: int
    sha256: str


def check_space(folder: Path, needed: int) -> None:
    """Fails before the first byte when the disk has no room for all of them.

    Raises:
        DiskFailure: says how much is missing.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFailure(
            f"{needed:,} bytes do not fit on the disk of {folder}, which has {free:,} left. Make "
            "room, or set KERAS_PRETRAINED_HOME to a folder on another disk"
        )


def write_file(path: Path, read: Callable[[int], bytes]) -> Staged:
    """Writes a new file from a reader, and makes it last.

    Args:
        path: must not exist; neither links nor what they point at are written to.
        read: gives up to so many bytes, none at the end. What it raises is passed on.

    Raises:
        DiskFailure: it cannot be written. Nothing is left of it.
    """
    digest, size = hashlib.sha256(), 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("xb", buffering=0)
    except OSError as error:
        raise disk_failure(error, path) from error
    with stream:
        while chunk := read(CHUNK):
            try:
                write_all(stream.fileno(), chunk)
            except OSError as error:
                path.unlink(missing_ok=True)
                raise disk_failure(error, path) from error
            digest.update(chunk)
            size += len(chunk)
        os.fsync(stream.fileno())
    return Staged(path, size, digest.hexdigest())


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all bytes: a disk that is nearly full takes a part of them first."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def staged(path: Path) -> Staged:
    """A file that another program wrote."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        os.fsync(stream.fileno())
    return Staged(path, path.stat().st_size, digest)


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
