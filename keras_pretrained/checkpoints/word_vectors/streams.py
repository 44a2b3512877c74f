"""The bytes of a file from its beginning on, unpacked where it is a `.gz`."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.file_bytes import open_regular
from keras_pretrained.checkpoints.word_vectors.vectors import Progress

_GZIP = b"\x1f\x8b"
CHUNK = 2**20
# Numbers shrink to less than half. What unpacks to a hundred times its size is an attack.
_LARGEST_RATIO = 100
_ALWAYS_ALLOWED = 2**24
_LONGEST_LINE = 2**24


def is_gzip(path: Path) -> bool:
    """Whether a file is packed."""
    with _opened(path) as file:
        return file.read(2) == _GZIP


def read_head(path: Path, size: int) -> bytes:
    """The first bytes of a file, unpacked."""
    with stream(path) as source:
        return source.read(size)


class Stream:
    """Bytes in order; how many of them may come is bounded by the size of the file."""

    def __init__(
        self,
        file: IO[bytes],
        unpacked: IO[bytes] | gzip.GzipFile,
        path: Path,
        progress: Progress | None,
    ):
        self._file = file
        self._unpacked = unpacked
        self._path = path
        self._progress = progress
        self._told = 0
        size = os.fstat(file.fileno()).st_size
        packed = unpacked is not file
        self._left = max(_ALWAYS_ALLOWED, _LARGEST_RATIO * size) if packed else size

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end.

        Raises:
            CheckpointError: the file cannot be read or unpacked.
        """
        try:
            data = self._unpacked.read(size)
            position = self._file.tell()
        except (OSError, EOFError, zlib.error) as error:
            raise CheckpointError(
                f"{str(self._path)!r} cannot be read: {error}. Get it again."
            ) from error
        self._left -= len(data)
        if self._left < 0 and self._unpacked is not self._file:
            raise CheckpointError(
                f"{str(self._path)!r} unpacks to more than {_LARGEST_RATIO} times its size, which "
                "no file of vectors does."
            )
        if self._progress is not None:
            self._progress(position - self._told)
            self._told = position
        return data


@contextmanager
def stream(path: Path, progress: Progress | None = None) -> Iterator[Stream]:
    """Opens a file to be read from its beginning on."""
    with _opened(path) as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        if not packed:
            yield Stream(file, file, path, progress)
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield Stream(file, unpacked, path, progress)


def whole_lines(source: Stream, path: Path) -> Iterator[bytes]:
    """Pieces of about a mebibyte that end where a line ends; the last line gets its line feed.

    Raises:
        CheckpointError: a line is longer than any vector.
    """
    rest = b""
    while chunk := source.read(CHUNK):
        end = chunk.rfind(b"\n") + 1
        if not end:
            rest += chunk
            if len(rest) > _LONGEST_LINE:
                raise CheckpointError(
                    f"{str(path)!r} has a line of more than {_LONGEST_LINE:,} bytes: it is no text "
                    "file of word vectors."
                )
            continue
        yield rest + chunk[:end]
        rest = chunk[end:]
    rest = rest.rstrip(b"\r\n")
    if rest:
        yield rest + b"\n"


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with open_regular(path) as file:
            yield file
    except OSError as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from error
