"""A download under way: the bytes so far, and the version of the file that they belong to."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from keras_pretrained.presets.fetching.failure import disk_failure
from keras_pretrained.presets.fetching.files import CHUNK, Staged, write_all


class Part:
    """A file that grows. It survives the process, so that the next one goes on where this ended.

    Attributes:
        size: bytes so far.
        validator: the server's name for the version of the file (ETag or date), or None, when no
            more than the whole file can be asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path.with_name(f"{path.name}.json")
        self._digest = hashlib.sha256()
        self.size = 0
        self.validator: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise disk_failure(error, path) from error
        self._recall()

    def _recall(self) -> None:
        """Takes up what an earlier process left, if it is known of what it is the beginning."""
        try:
            validator = json.loads(self._note.read_text(encoding="utf-8"))["validator"]
        except (OSError, ValueError, TypeError, KeyError):
            validator = None
        if not isinstance(validator, str):
            self.restart(None)
            return
        self.validator = validator
        while chunk := os.read(self._descriptor, CHUNK):
            self._digest.update(chunk)
            self.size += len(chunk)

    def restart(self, validator: str | None) -> None:
        """Begins again, with a version of the file."""
        try:
            # The note goes first and comes last: it must never name a version that the bytes are
            # not of.
            self._note.unlink(missing_ok=True)
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._digest, self.size, self.validator = hashlib.sha256(), 0, validator
            if validator is not None:
                temporary = self._note.with_suffix(".new")
                temporary.write_text(json.dumps({"validator": validator}), encoding="utf-8")
                os.replace(temporary, self._note)
        except OSError as error:
            raise disk_failure(error, self.path) from error

    def append(self, data: bytes) -> None:
        """Adds bytes.

        Raises:
            DiskFailure: the disk is full; the part is removed, so that it does not stay full.
        """
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            self.discard()
            raise disk_failure(error, self.path) from error
        self._digest.update(data)
        self.size += len(data)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Removes the file."""
        self.close()
        self._note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def finish(self) -> Staged:
        """The whole file, on the disk to stay."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.discard()
            raise disk_failure(error, self.path) from error
        self.close()
        return Staged(self.path, self.size, self.sha256)
