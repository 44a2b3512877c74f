"""What was parsed or unpacked once, kept for the next time: whole or not at all.

```text
<folder>/<hash>/            of a file's size, time of change, beginning and end
    manifest.json           what the others must be
    words                   the words' bytes, one a line
    vectors.npy             float32 (words, width), mapped into memory
<folder>/<hash>.unpacked    a `.gz` of a binary format
<folder>/.new-...           what is under way; nobody reads it
```

The folder may be removed at any time. A disk that is full, or a folder that cannot be written,
costs the next reading its speed, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.file_bytes import open_regular
from keras_pretrained.checkpoints.json_text import parse_json_object
from keras_pretrained.checkpoints.numpy_files import ARRAY_NAME, open_npy
from keras_pretrained.checkpoints.word_vectors.streams import CHUNK, stream
from keras_pretrained.checkpoints.word_vectors.vectors import Progress, Unique

_FORMAT = 1
_HEADER = 128
_NEW = ".new-"
# What a process that died left behind; no reading takes as long.
_ABANDONED_SECONDS = 24 * 3600
_LARGEST_MANIFEST = 10_000


@dataclass(frozen=True)
class Kept:
    """A parsed file: each word once, and its vectors in a memory map."""

    words: list[bytes]
    vectors: np.ndarray
    repeated: int


class VectorCache:
    """A folder for parsed files.

    Args:
        folder: made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, path: Path, width: int) -> Kept | None:
        """What was kept of a file, if it has not changed since."""
        place = self.folder / self._key(path, width)
        if not place.exists():
            return None
        try:
            return _load(place, width)
        except (CheckpointError, OSError, ValueError, KeyError, TypeError):
            # Spoiled by someone else: it is made anew.
            shutil.rmtree(place, ignore_errors=True)
            return None

    def keep(
        self, path: Path, width: int, blocks: Iterable[tuple[list[bytes], np.ndarray]]
    ) -> Kept | None:
        """Keeps what is being parsed, and gives it from there; None where that is impossible.

        Args:
            blocks: words and their rows; words that come again are left out.
        """
        place = self.folder / self._key(path, width)
        try:
            with self._under_way(directory=True) as new:
                _store(new, width, blocks)
                # Another process may have been faster, with the same content.
                with suppress(OSError):
                    os.rename(new, place)
            return self.load(path, width)
        except OSError:
            return None

    def unpacked(self, path: Path, progress: Progress | None = None) -> Path:
        """A `.gz` as a plain file.

        Raises:
            CheckpointError: it is damaged, or cannot be written here.
        """
        place = self.folder / f"{self._key(path, 0)}.unpacked"
        if place.is_file():
            return place
        try:
            with self._under_way(directory=False) as new:
                with stream(path, progress) as source, new.open("wb") as target:
                    while chunk := source.read(CHUNK):
                        target.write(chunk)
                    target.flush()
                    os.fsync(target.fileno())
                os.replace(new, place)
        except OSError as error:
            raise CheckpointError(
                f"{str(path)!r} cannot be unpacked into {str(self.folder)!r}: {error}. Unpack it "
                "yourself (gunzip) and give the path of the file."
            ) from error
        return place

    @contextmanager
    def _under_way(self, directory: bool) -> Iterator[Path]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()
        made = tempfile.mkdtemp(prefix=_NEW, dir=self.folder)
        try:
            yield Path(made) / "content"
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _remove_abandoned(self) -> None:
        for entry in self.folder.glob(f"{_NEW}*"):
            with suppress(OSError):
                if time.time() - entry.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(entry, ignore_errors=True)

    @staticmethod
    def _key(path: Path, width: int) -> str:
        """A name for this content: reading all of it to make sure would take as long as parsing."""
        digest = hashlib.sha256()
        with open_regular(path) as file:
            about = os.fstat(file.fileno())
            digest.update(json.dumps([_FORMAT, width, about.st_size, about.st_mtime_ns]).encode())
            digest.update(file.read(CHUNK))
            file.seek(max(0, about.st_size - CHUNK))
            digest.update(file.read(CHUNK))
        return digest.hexdigest()[:32]


def _store(folder: Path, width: int, blocks: Iterable[tuple[list[bytes], np.ndarray]]) -> None:
    unique = Unique()
    folder.mkdir()
    count = size = 0
    with (folder / "vectors.npy").open("wb") as rows, (folder / "words").open("wb") as words:
        rows.write(bytes(_HEADER))
        for more, vectors in unique.of(blocks):
            count += len(more)
            size += words.write(b"".join(word + b"\n" for word in more))
            rows.write(np.ascontiguousarray(vectors, "<f4").data)
        rows.seek(0)
        rows.write(_npy_header(count, width))
        for file in (rows, words):
            file.flush()
            os.fsync(file.fileno())
    manifest = {"words": count, "bytes": size, "repeated": unique.repeated}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _npy_header(count: int, width: int) -> bytes:
    """NumPy's header, as long as was left free for it."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {width}), }}"
    start = b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little")
    return start + text.ljust(_HEADER - 11).encode("ascii") + b"\n"


def _load(place: Path, width: int) -> Kept:
    manifest_file = place / "manifest.json"
    if manifest_file.stat().st_size > _LARGEST_MANIFEST:
        raise CheckpointError(f"{str(manifest_file)!r} is too large.")
    manifest = parse_json_object(manifest_file.read_bytes(), repr(str(manifest_file)))
    words_file = place / "words"
    if words_file.stat().st_size != manifest["bytes"]:
        raise CheckpointError(f"{str(words_file)!r} is incomplete.")
    words = words_file.read_bytes().split(b"\n")[:-1]
    vectors = open_npy(place / "vectors.npy")[ARRAY_NAME].read()
    if not len(words) == manifest["words"] == len(vectors) or vectors.shape[1:] != (width,):
        raise CheckpointError(f"{str(place)!r} is not what its manifest says.")
    return Kept(words, vectors, int(manifest["repeated"]))
