"""`WordVectors`: what every file of word vectors offers, whatever its format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError

Progress = Callable[[int], object]
"""Told how many more bytes of the file have been read."""


@dataclass(frozen=True)
class WordTable:
    """Words and their vectors.

    Attributes:
        words: no word twice. Bytes that are no text in the file's encoding stand as surrogates,
            so that every word can be turned back into its bytes.
        vectors: float32 (words, width), read-only; often a view into a file.
        repeated: how many rows were left out because their word had come before.
        composed: words that the file does not list, and whose vectors were made of their parts.
    """

    words: list[str]
    vectors: np.ndarray
    repeated: int = 0
    composed: frozenset[str] = frozenset()


class WordVectors(ABC):
    """One file of word vectors; opening it reads no more than its beginning.

    Attributes:
        path: the file.
        dialect: `"glove"`, `"word2vec"`, `"word2vec-text"` or `"fasttext"`.
        width: the size of a vector.
        encoding: of the words.
    """

    dialect: str

    def __init__(self, path: Path, width: int, encoding: str) -> None:
        self.path = path
        self.width = width
        self.encoding = encoding

    @abstractmethod
    def read(self, limit: int | None = None, progress: Progress | None = None) -> WordTable:
        """All words with their vectors, in the order of the file.

        Args:
            limit: the first so many only; published files begin with the most frequent words.
            progress: told how the file is being read.

        Raises:
            CheckpointError: the file is damaged; the message names the line or the word.
        """

    @abstractmethod
    def find(self, words: Iterable[str], progress: Progress | None = None) -> WordTable:
        """Those of the given words that have a vector, in the order given; no others are kept.

        Raises:
            CheckpointError: the file is damaged.
        """

    @property
    def composes(self) -> bool:
        """Whether words that the file does not list can have vectors."""
        return False

    def decode(self, words: Iterable[bytes]) -> list[str]:
        """Words out of the file as text."""
        return [word.decode(self.encoding, "surrogateescape") for word in words]

    def encode(self, words: Iterable[str]) -> dict[bytes, str]:
        """Words as the bytes that the file would have; those that it cannot have are left out."""
        found = {}
        for word in words:
            try:
                found[word.encode(self.encoding, "surrogateescape")] = word
            except UnicodeEncodeError:
                continue
        return found

    def in_order(
        self, words: Iterable[str], found: dict[str, int], rows: np.ndarray, repeated: int = 0
    ) -> WordTable:
        """The table of the words that were found, in the order in which they were asked for."""
        kept = [word for word in dict.fromkeys(words) if word in found]
        vectors = rows[[found[word] for word in kept]].reshape(len(kept), self.width)
        return WordTable(kept, read_only(vectors), repeated)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self.path)!r} ({self.dialect}, width {self.width})>"


def read_only(array: np.ndarray) -> np.ndarray:
    """The same array, protected."""
    array.flags.writeable = False
    return array


def check_finite(vectors: np.ndarray, words: list[bytes], path: Path) -> None:
    """Fails when a value is infinite or no number, as in a binary file read at a wrong place.

    Raises:
        CheckpointError: names the word.
    """
    if np.isfinite(vectors).all():
        return
    row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
    raise CheckpointError(
        f"{str(path)!r}: the vector of {shown(words[row])} holds a value that is infinite or not a "
        "number. The file is damaged: get it again. If it is meant to be so, remove that word."
    )


def shown(word: bytes) -> str:
    """A word for an error message."""
    return repr(word[:60].decode("utf-8", "backslashreplace"))


class Unique:
    """Leaves out words that came before, and rows without a word.

    Attributes:
        repeated: how many rows were left out.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.repeated = 0
        self._limit = limit
        self._seen: set[bytes] = {b""}

    def of(
        self, blocks: Iterable[tuple[list[bytes], np.ndarray]]
    ) -> Iterator[tuple[list[bytes], np.ndarray]]:
        """Blocks of words and rows, without repetitions, up to the limit."""
        for words, vectors in blocks:
            kept = []
            for row, word in enumerate(words):
                if word not in self._seen:
                    self._seen.add(word)
                    kept.append(row)
            self.repeated += len(words) - len(kept)
            if len(kept) < len(words):
                words, vectors = [words[row] for row in kept], vectors[kept]
            over = 0 if self._limit is None else len(self._seen) - 1 - self._limit
            yield words[: len(words) - max(over, 0)], vectors[: len(words) - max(over, 0)]
            if over >= 0 and self._limit is not None:
                return
