"""`open_word_vectors`: which format a file of word vectors has, told by its content."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.word_vectors.cache import VectorCache
from keras_pretrained.checkpoints.word_vectors.fasttext import (
    MAGIC,
    FastTextModel,
    read_header,
)
from keras_pretrained.checkpoints.word_vectors.lines import count_values
from keras_pretrained.checkpoints.word_vectors.streams import is_gzip, read_head
from keras_pretrained.checkpoints.word_vectors.text import TextVectors
from keras_pretrained.checkpoints.word_vectors.vectors import Progress, WordVectors
from keras_pretrained.checkpoints.word_vectors.word2vec import HEADER, Word2VecBinary

DIALECTS = ("glove", "word2vec", "word2vec-text", "fasttext")
# Enough for some lines of the widest vectors.
_HEAD = 2**20
_LINES_SEEN = 50
_SUFFIXES = (".txt", ".vec", ".bin", ".gz", ".vectors", ".model")


def open_word_vectors(
    path: str | os.PathLike[str],
    *,
    dialect: str = "auto",
    encoding: str = "utf-8",
    width: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> WordVectors:
    """Opens a file of word vectors of any known format.

    Args:
        path: GloVe's text, word2vec's `.bin` or text, fastText's `.bin` or `.vec`, each also as
            `.gz`; or a folder that holds one of them.
        dialect: `"auto"`, or `"glove"` (text without a header), `"word2vec"` (binary),
            `"word2vec-text"` (text with a header, as a `.vec` is), `"fasttext"` (its `.bin`).
        encoding: of the words.
        width: the size of a vector, if it is known; any other one is an error.
        cache: a folder where a text is kept in binary form once it was parsed as a whole, and
            where binary files are unpacked; without one, texts are parsed every time and
            packed binary files cannot be read.
        progress: told how a packed binary file is being unpacked.

    Raises:
        FileNotFoundError: nothing is at the path.
        CheckpointError: the file is none of these, or damaged; the message says what it is.
        ValueError: an unknown dialect or encoding.

    Example:

    ```python
    vectors = open_word_vectors("glove.6B.100d.txt")
    table = vectors.find(["the", "dog"])     # of all its lines, these two are parsed
    table.words, table.vectors.shape         # (['the', 'dog'], (2, 100))
    ```
    """
    if dialect not in ("auto", *DIALECTS):
        raise ValueError(
            f"`dialect` must be 'auto' or one of {', '.join(DIALECTS)}. Received: {dialect!r}"
        )
    _check_encoding(encoding)
    origin = _only_file(Path(path))
    kept = VectorCache(Path(cache)) if cache is not None else None
    try:
        opened = _open(_Place(origin, kept, progress), dialect, encoding)
    except OSError as error:
        raise CheckpointError(f"{str(origin)!r} cannot be read: {error}") from error
    if width is not None and opened.width != width:
        raise CheckpointError(
            f"{str(origin)!r} has vectors of {opened.width} values. Expected {width}: it is "
            "another file than the one that was meant."
        )
    return opened


@dataclass(frozen=True)
class _Place:
    """A file, the cache where there is one, and who is told of unpacking."""

    origin: Path
    cache: VectorCache | None
    progress: Progress | None

    def plain(self) -> Path:
        """The file itself, or what a packed one unpacks to."""
        if not is_gzip(self.origin):
            return self.origin
        if self.cache is None:
            raise CheckpointError(
                f"{str(self.origin)!r} is packed, and in its format vectors are looked up at their "
                "places. Unpack it (gunzip), or give a folder for that: cache=..."
            )
        return self.cache.unpacked(self.origin, self.progress)


def _open(place: _Place, dialect: str, encoding: str) -> WordVectors:
    origin = place.origin
    head = read_head(origin, _HEAD)
    found = HEADER.match(head)
    if dialect == "fasttext" or head.startswith(MAGIC):
        return _open_fasttext(place, encoding, head)
    if dialect == "auto":
        if found is not None and _has_lines(head[found.end() :], int(found[2])):
            dialect = "word2vec-text"
        elif found is not None and found[2] != b"0":
            dialect = "word2vec"
        elif _has_lines(head, 1):
            dialect = "glove"
        else:
            return _open_fasttext(place, encoding, head)
    if dialect != "glove" and (found is None or found[2] == b"0"):
        raise CheckpointError(
            f"{str(origin)!r} does not begin with a line such as `400000 300`, the number of words "
            f"and the size of a vector. Expected dialect {dialect!r}. It begins with "
            f"{head[:24]!r}."
        )
    if found is not None and dialect == "word2vec":
        return Word2VecBinary(
            FileBytes(place.plain()),
            int(found[1]),
            int(found[2]),
            found.end(),
            encoding,
            origin,
        )
    separator = b"\t" if b"\t" in head.split(b"\n", 1)[0].split(b" ", 1)[0] else b" "
    if found is not None and dialect == "word2vec-text":
        return TextVectors(
            origin, int(found[2]), encoding, int(found[1]), True, separator, cache=place.cache
        )
    return TextVectors(
        origin, _width_of(head, origin), encoding, separator=separator, cache=place.cache
    )


def _open_fasttext(place: _Place, encoding: str, head: bytes) -> FastTextModel:
    origin = place.origin
    file = FileBytes(place.plain()) if _may_be_model(head) else None
    header = read_header(file, origin) if file is not None else None
    if file is None or header is None:
        raise CheckpointError(_unknown(origin, head))
    return FastTextModel(file, header, encoding, origin)


def _may_be_model(head: bytes) -> bool:
    """Whether it could be a model, before a packed file is unpacked for that."""
    return len(head) >= 64 and b"\0" in head[:64]


def _has_lines(head: bytes, width: int) -> bool:
    """Whether text follows in which words have at least so many values."""
    line = head.split(b"\n", 1)[0]
    return b"\0" not in line and count_values(line) >= width


def _width_of(head: bytes, origin: Path) -> int:
    """How many values the first lines have in common; a word may look like a number."""
    lines = head.split(b"\n")
    # The last one may be cut; the only one of a small file is not.
    whole = lines[:-1] if len(lines) > 1 else lines
    widths = [count_values(line) for line in whole[:_LINES_SEEN] if line.strip()]
    if not widths or min(widths) == 0:
        raise CheckpointError(
            f"{str(origin)!r}: one of its first lines is not a word and its vector, numbers "
            "separated by spaces. It is no file of word vectors, or damaged."
        )
    return min(widths)


def _only_file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {str(path)!r}.")
    entries = sorted(path.iterdir()) if path.is_dir() else []
    names = [entry.name for entry in entries if entry.is_file() and entry.name[0] != "."]
    # What an address gave alone has the name that it had there.
    found = [name for name in names if name.endswith(_SUFFIXES)] or names
    if len(found) != 1:
        raise CheckpointError(
            f"{str(path)!r} holds {', '.join(found[:10]) or 'no file'}. Give the path "
            "of the file with the vectors."
        )
    return path / found[0]


def _check_encoding(encoding: str) -> None:
    try:
        "".encode(encoding)
    except (LookupError, TypeError) as error:
        raise ValueError(
            f"`encoding` must be the name of a text encoding that Python knows. "
            f"Received: {encoding!r}"
        ) from error


def _unknown(origin: Path, head: bytes) -> str:
    message = (
        f"{str(origin)!r} is no file of word vectors that is known: GloVe or word2vec text, "
        "word2vec .bin, fastText .vec or .bin."
    )
    start = head.lstrip().lower()
    if not head:
        return f"{message} It is empty: get it again."
    if head.startswith(b"PK\x03\x04"):
        return f"{message} It is a zip archive: unpack it, and give the file in it."
    if head.startswith(b"version https://git-lfs"):
        return f"{message} It is a Git LFS pointer: run `git lfs pull`, or download the file."
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"{message} It is a web page: download the file again."
    if re.match(rb"\x80[\2-\5]", head):
        return (
            f"{message} It is a pickle, as gensim's own `save` writes; those are programs and are "
            "not run. Write it with gensim's `save_word2vec_format(path, binary=True)`."
        )
    return f"{message} It begins with {head[:16]!r}."
