"""Files that come with a checkpoint: regular, and of bounded size (for every tokenizer)."""

from __future__ import annotations

import os
from pathlib import Path

MAX_FILE_BYTES = 64 * 2**20


def read_bytes(path: str | os.PathLike[str], what: str, expected: str) -> bytes:
    """The bytes of a file of at most 64 MiB.

    Args:
        path: a regular file.
        what: what it is to hold, for errors: `"Vocabulary file"`.
        expected: what the caller was to pass, for errors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is too large.
    """
    file = Path(path)
    # Opening anything else, such as a pipe, could wait for ever.
    if not file.is_file():
        kind = "is a folder" if file.is_dir() else "does not exist"
        raise FileNotFoundError(f"{what} {str(file)!r} {kind}. Expected {expected}.")
    with file.open("rb") as stream:
        # Memory for what is asked for is set aside at once, however short the file.
        size = os.fstat(stream.fileno()).st_size
        data = stream.read(min(size, MAX_FILE_BYTES) + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(
            f"{what} {str(file)!r} is larger than {MAX_FILE_BYTES // 2**20} MiB: "
            f"it is not what was expected, {expected}."
        )
    return data


def decode_utf8(data: bytes, name: str, expected: str) -> str:
    """The text of a file.

    Raises:
        ValueError: no UTF-8; the message names the line.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{name} is not UTF-8 text: line {line} has the byte 0x{data[error.start]:02x} "
            f"({error.reason}). Expected {expected}; get the file again."
        ) from None
