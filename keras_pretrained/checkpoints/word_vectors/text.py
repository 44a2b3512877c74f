"""Files of text: GloVe's without a header, word2vec's and fastText's `.vec` with one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.word_vectors.cache import VectorCache
from keras_pretrained.checkpoints.word_vectors.lines import WrongLine, parse_lines
from keras_pretrained.checkpoints.word_vectors.streams import stream, whole_lines
from keras_pretrained.checkpoints.word_vectors.vectors import (
    Progress,
    Unique,
    WordTable,
    WordVectors,
    check_finite,
    read_only,
)

Block = tuple[list[bytes], np.ndarray]
_MOST_WORKERS = 8


class TextVectors(WordVectors):
    """A text file, perhaps in a `.gz`; it is parsed by several threads.

    The whole file is parsed once: what came of it is kept in the cache, where there is one, and
    mapped into memory from there. Reading a few words parses their lines alone and keeps nothing.

    Args:
        count: how many lines the header promises, or None without a header.
        header: whether the first line is one.
        separator: what stands between the values: a space, or a tab.
        cache: where parsed files are kept, or None.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        encoding: str,
        count: int | None = None,
        header: bool = False,
        separator: bytes = b" ",
        cache: VectorCache | None = None,
    ) -> None:
        super().__init__(path, width, encoding)
        self.dialect = "word2vec-text" if header else "glove"
        self._count = count
        self._header = header
        self._separator = separator
        self._cache = cache

    def read(self, limit: int | None = None, progress: Progress | None = None) -> WordTable:
        kept = self._cache.load(self.path, self.width) if self._cache else None
        if kept is None and self._cache is not None and limit is None:
            kept = self._cache.keep(self.path, self.width, self._blocks(progress))
        if kept is not None:
            return WordTable(self.decode(kept.words[:limit]), kept.vectors[:limit], kept.repeated)
        return self._in_memory(limit, progress)

    def _in_memory(self, limit: int | None, progress: Progress | None) -> WordTable:
        unique = Unique(limit)
        words: list[bytes] = []
        parts = [np.empty((0, self.width), np.float32)]
        for more, vectors in unique.of(self._blocks(progress)):
            words += more
            parts.append(vectors)
        return WordTable(self.decode(words), read_only(np.concatenate(parts)), unique.repeated)

    def find(self, words: Iterable[str], progress: Progress | None = None) -> WordTable:
        asked = list(words)
        wanted = self.encode(asked)
        found: dict[str, int] = {}
        if self._cache is not None and (kept := self._cache.load(self.path, self.width)):
            for row, word in enumerate(kept.words):
                if word in wanted:
                    found[wanted[word]] = row
            return self.in_order(asked, found, kept.vectors)
        rows: list[np.ndarray] = []
        lines = self._lines_of(wanted, progress)
        for more, vectors in self._parsed(lines, numbered=False):
            for word, vector in zip(more, vectors, strict=True):
                if word in wanted and wanted[word] not in found:
                    found[wanted[word]] = len(rows)
                    rows.append(vector)
            if len(found) == len(wanted):
                break
        return self.in_order(asked, found, np.array(rows, np.float32).reshape(-1, self.width))

    # --- lines ------------------------------------------------------------------------------

    def _blocks(self, progress: Progress | None) -> Iterator[Block]:
        """Everything, parsed; the last block comes after the header's promise is checked."""
        count = 0
        for words, vectors in self._parsed(self._lines(progress)):
            count += len(words)
            yield words, vectors
        if self._count is not None and count != self._count:
            raise CheckpointError(
                f"{str(self.path)!r} has {count:,} words, and its first line promises "
                f"{self._count:,}. It is incomplete or damaged: get it again."
            )

    def _lines(self, progress: Progress | None) -> Iterator[bytes]:
        with stream(self.path, progress) as source:
            at_start = self._header
            for lines in whole_lines(source, self.path):
                if at_start:
                    lines = lines[lines.index(b"\n") + 1 :]
                    at_start = False
                if lines:
                    yield lines

    def _lines_of(self, wanted: dict[bytes, str], progress: Progress | None) -> Iterator[bytes]:
        """The lines that may be of the wanted words: those that begin as one of them does."""
        separator = self._separator
        beginnings = {word.split(separator)[0] for word in wanted}
        for lines in self._lines(progress):
            each = lines.split(b"\n")
            kept = [line for line in each if line[: line.find(separator)] in beginnings]
            yield b"".join(line + b"\n" for line in kept)

    def _parsed(self, pieces: Iterable[bytes], numbered: bool = True) -> Iterator[Block]:
        """The pieces, parsed by threads, in order; only a few of them exist at a time.

        Args:
            numbered: whether all lines are there, so that an error can give a line's number.
        """
        workers = min(_cores(), _MOST_WORKERS)
        line = 1 + self._header
        with ThreadPoolExecutor(workers) as pool:
            waiting: deque[tuple[Future[Block], int]] = deque()

            def oldest() -> Block:
                future, first = waiting.popleft()
                return self._finished(future.result, first if numbered else None)

            try:
                for piece in pieces:
                    if not piece:
                        continue
                    waiting.append((pool.submit(parse_lines, piece, self.width), line))
                    line += piece.count(b"\n")
                    if len(waiting) > 2 * workers:
                        yield oldest()
                while waiting:
                    yield oldest()
            finally:
                for future, _ in waiting:
                    future.cancel()

    def _finished(self, result: Callable[[], Block], first: int | None) -> Block:
        try:
            words, vectors = result()
        except WrongLine as error:
            place = "a line" if first is None else f"line {first + error.line}"
            raise CheckpointError(
                f"{str(self.path)!r}, {place} ({error.start}): {error.problem}. Expected a word "
                f"and {self.width} numbers, separated by spaces, as in the lines before. The file "
                "is damaged, or of another kind: get it again."
            ) from None
        check_finite(vectors, words, self.path)
        return words, vectors


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
