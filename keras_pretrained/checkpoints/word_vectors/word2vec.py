"""word2vec's binary files: a line `words width`, then for each word its bytes, a space, its floats.

The words are of different lengths, so that one is found only by going through those before it; the
file is mapped, and its vectors are passed over. word2vec's own program writes a line feed behind
each vector, gensim writes none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.word_vectors.vectors import (
    Progress,
    Unique,
    WordTable,
    WordVectors,
    check_finite,
    read_only,
)

HEADER = re.compile(rb"(\d{1,12}) (\d{1,6}) ?\r?\n")
_BLOCK = 4096
_LONGEST_WORD = 2**16


class Word2VecBinary(WordVectors):
    """A `.bin` of word2vec or gensim.

    Args:
        file: opened.
        count, width, start: what the first line says, and where it ends.
        origin: the path that the user gave, where `file` was unpacked from it.
    """

    dialect = "word2vec"

    def __init__(
        self, file: FileBytes, count: int, width: int, start: int, encoding: str, origin: Path
    ) -> None:
        super().__init__(origin, width, encoding)
        # A word may be empty; its space and its vector are there.
        if start + count * (1 + 4 * width) > file.size:
            raise CheckpointError(
                f"{str(origin)!r} promises {count:,} words with {width} values each, for which its "
                f"{file.size:,} bytes are too few. It is incomplete or damaged: get it again."
            )
        self._file = file
        self._count = count
        self._start = start

    def read(self, limit: int | None = None, progress: Progress | None = None) -> WordTable:
        count = self._count if limit is None else min(limit, self._count)
        unique = Unique(limit)
        words: list[bytes] = []
        vectors = np.empty((count, self.width), np.float32)
        for more, rows in unique.of(self._blocks(progress)):
            vectors[len(words) : len(words) + len(more)] = rows
            words += more
        kept = read_only(vectors[: len(words)])
        return WordTable(self.decode(words), kept, unique.repeated)

    def find(self, words: Iterable[str], progress: Progress | None = None) -> WordTable:
        asked = list(words)
        wanted = self.encode(asked)
        found: dict[str, int] = {}
        places: list[int] = []
        for word, place in self._records(progress):
            name = wanted.get(word)
            if name is not None and name not in found:
                found[name] = len(places)
                places.append(place)
                # Frequent words come first: the rest need not be gone through.
                if len(places) == len(wanted):
                    break
        rows = self._vectors(places)
        check_finite(rows, [word.encode() for word in found], self.path)
        return self.in_order(asked, found, rows)

    def _blocks(self, progress: Progress | None) -> Iterator[tuple[list[bytes], np.ndarray]]:
        words: list[bytes] = []
        places: list[int] = []
        for word, place in self._records(progress):
            words.append(word)
            places.append(place)
            if len(words) == _BLOCK:
                yield words, self._checked(words, places)
                words, places = [], []
        yield words, self._checked(words, places)

    def _checked(self, words: list[bytes], places: list[int]) -> np.ndarray:
        rows = self._vectors(places)
        check_finite(rows, words, self.path)
        return rows

    def _records(self, progress: Progress | None) -> Iterator[tuple[bytes, int]]:
        """Each word, and where its vector begins."""
        buffer, size = self._file.buffer, 4 * self.width
        place, told = self._start, 0
        for number in range(self._count):
            space = buffer.find(b" ", place, place + _LONGEST_WORD)
            if space < 0 or space + 1 + size > self._file.size:
                raise CheckpointError(
                    f"{str(self.path)!r} has no word {number + 1:,} of {self._count:,} at byte "
                    f"{place:,}. It is incomplete or damaged: get it again."
                )
            yield buffer[place:space].lstrip(b"\n"), space + 1
            place = space + 1 + size
            if progress is not None and not number % _BLOCK:
                progress(place - told)
                told = place
        if self._file.size - place > 1:
            raise CheckpointError(
                f"{str(self.path)!r} goes on for {self._file.size - place:,} bytes behind the "
                f"{self._count:,} words that its first line promises. It is damaged, or its "
                f"vectors have not {self.width} values: get it again."
            )

    def _vectors(self, places: list[int]) -> np.ndarray:
        """A copy of the vectors at these places, which are not aligned to anything."""
        rows = np.empty((len(places), self.width), "<f4")
        if places:
            # Looks once whether the file is still all there.
            self._file.read(max(places), 4 * self.width)
        for row, place in enumerate(places):
            rows[row] = np.frombuffer(self._file.buffer, "<f4", self.width, place)
        return rows.astype(np.float32, copy=False)
