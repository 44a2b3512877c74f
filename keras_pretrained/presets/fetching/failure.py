"""Why files could not be fetched; the text is one clause for a list of all sources tried."""

from __future__ import annotations

import errno
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FetchFailure(Exception):
    """One source does not give its files; another one may."""


class Absent(FetchFailure):
    """The source is there and has no such file."""


class Transient(FetchFailure):
    """It may work in a moment.

    Attributes:
        retry_after: seconds that the server asks to wait, or None.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Unreachable(Transient):
    """No connection to the host, so nothing was asked yet."""


class DiskFailure(FetchFailure):
    """This machine cannot keep the files, from whatever source they come."""


def disk_failure(error: OSError, path: Path) -> DiskFailure:
    """What to tell of a failed write."""
    if error.errno in _FULL:
        return DiskFailure(
            f"the disk of {path.parent} is full, or a quota or file size limit is reached "
            f"({error.strerror}). What was half written has been removed. Make room, or set "
            "KERAS_PRETRAINED_HOME to a folder on another disk"
        )
    return DiskFailure(
        f"cannot write {path} ({error.strerror or error}). Set KERAS_PRETRAINED_HOME to a folder "
        "that you may write to"
    )
