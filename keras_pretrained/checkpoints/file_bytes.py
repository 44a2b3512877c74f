"""The bytes of one file behind a memory map, and array views of them."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.describe import describe

# NumPy 1.26 refuses arrays of more dimensions.
MAX_DIMENSIONS = 32


def _open_at_once(path: str, flags: int) -> int:
    """Opens without waiting, should the file have become a pipe since it was looked at."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def open_regular(path: Path) -> BinaryIO:
    """Opens a file for reading, and nothing that is no file.

    Raises:
        CheckpointError: it is no regular file (a pipe would block).
        OSError: it cannot be opened.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise CheckpointError(f"{str(path)!r} is not a regular file.")
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise CheckpointError(f"{str(path)!r} is not a regular file.")
    return file


class FileBytes:
    """The bytes of a file behind one shared read-only memory map.

    The map is made when the file is opened and outlives a rename or a deletion, so the bytes
    that were checked are the bytes that are read. Only a file that is truncated in place
    escapes that, and every access looks for it.

    Attributes:
        path: the file.
        size: its length in bytes.
        buffer: its bytes, sliceable and searchable without reading them all.

    Raises:
        CheckpointError: it cannot be read, or is no regular file (a pipe would block).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with open_regular(path) as file:
                self._identity: os.stat_result | None = os.fstat(file.fileno())
                self.size = self._identity.st_size
                self.buffer: mmap.mmap | bytes = (
                    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else b""
                )
        except OSError as error:
            raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from error

    @classmethod
    def of_memory(cls, path: Path, data: bytes) -> FileBytes:
        """Bytes that were unpacked from a file, under its name."""
        made = cls.__new__(cls)
        made.path, made.size, made.buffer, made._identity = path, len(data), data, None
        return made

    def read(self, offset: int, length: int) -> bytes:
        """A copy of stored bytes. Raises `CheckpointError` beyond the end of the file."""
        self._check(offset, length)
        return self.buffer[offset : offset + length]

    def view(self, offset: int, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
        """A read-only C-ordered array over the bytes at `offset`.

        It is a view into the map, except for data that is not aligned to its item size:
        not every consumer of a buffer accepts that, so such data is copied.
        """
        length = prod(shape) * dtype.itemsize
        self._check(offset, length)
        raw = np.frombuffer(self.buffer, np.uint8, count=length, offset=offset if length else 0)
        return typed_view(raw, shape, dtype, self.path)

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise CheckpointError(
                f"{str(self.path)!r} is damaged: bytes {offset} to {offset + length} are needed, "
                f"but the file has {self.size}. Get it again."
            )
        if self._identity is None:
            return
        try:
            now = os.stat(self.path)
        except OSError:
            return
        same = (now.st_dev, now.st_ino) == (self._identity.st_dev, self._identity.st_ino)
        if same and now.st_size < self.size:
            raise CheckpointError(
                f"{str(self.path)!r} shrank from {self.size} to {now.st_size} bytes after it was "
                "opened. Get it again, and open it when it is complete."
            )


def typed_view(
    raw: np.ndarray, shape: Sequence[int], dtype: np.dtype, origin: object
) -> np.ndarray:
    """Bytes as an array of another type, read-only, aligned, in this machine's byte order.

    Args:
        raw: uint8, exactly as many bytes as the shape needs.
        shape: the dimensions, C-ordered.
        dtype: any fixed-size type; big-endian ones are swapped.
        origin: the file, for the error message.

    Raises:
        CheckpointError: a boolean is neither 0 nor 1, with which NumPy's logic goes wrong.
    """
    if dtype == np.bool_ and raw.size and raw.max() > 1:
        raise CheckpointError(
            f"{str(origin)!r} is damaged: a boolean tensor holds the byte {raw.max()}; "
            "expected 0 or 1."
        )
    array = raw.view(dtype).reshape(tuple(shape))
    if not array.dtype.isnative:
        array = array.astype(dtype.newbyteorder("="))
    elif not array.flags.aligned:
        array = array.copy()
    array.flags.writeable = False
    return array


def checked_shape(shape: object, what: str) -> tuple[int, ...]:
    """A shape out of a file, as a tuple of plain sizes.

    Raises:
        CheckpointError: it is not a short sequence of non-negative integers whose product
            can be addressed.
    """
    if (
        not isinstance(shape, list | tuple)
        or len(shape) > MAX_DIMENSIONS
        or not all(type(size) is int and 0 <= size < 2**62 for size in shape)
    ):
        raise CheckpointError(
            f"{what}: its shape is {describe(shape)}; expected at most {MAX_DIMENSIONS} "
            "non-negative integers."
        )
    # NumPy too leaves zeros out when it looks whether a shape is too large.
    if prod(size for size in shape if size) >= 2**59:
        raise CheckpointError(f"{what}: its shape {tuple(shape)} is larger than any memory.")
    return tuple(shape)
