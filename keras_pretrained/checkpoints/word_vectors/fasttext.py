"""fastText's `.bin`: words, and a table that has a row for each of them and for hashed parts.

The vector of a word is the mean of its own row and of those of its parts, so words that the file
does not list have vectors too. Labels of classifiers are left out. Models that were compressed with
`fasttext quantize` (`.ftz`) hold no such table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.word_vectors.subwords import subword_buckets
from keras_pretrained.checkpoints.word_vectors.vectors import (
    Progress,
    Unique,
    WordTable,
    WordVectors,
    check_finite,
    read_only,
)

MAGIC = struct.pack("<i", 793712314)
_ARGUMENTS = struct.Struct("<12id")
_COUNTS = struct.Struct("<3iq")
_SUPERVISED = 3
_LABEL = 1
# Of real models it is 6. A larger one than this would make a long word a lot of work.
_LONGEST_PART = 100
# Behind a word: how often it was seen, and whether it is a label.
_ENTRY_TAIL = 9
# Rows of parts that are in memory at a time, and letters of words whose parts are looked for.
_BLOCK = 4096
_BLOCK_BYTES = 2**15


@dataclass(frozen=True)
class FastTextHeader:
    """What a `.bin` says of itself before its words.

    Attributes:
        width: the size of a vector.
        buckets: rows for parts of words.
        shortest, longest: characters of a part; longest 0: words have no parts.
        entries, words: lines of the dictionary, and how many of them are words.
        end: where the dictionary begins.
        old: the layout before 2017, without a version.
    """

    width: int
    buckets: int
    shortest: int
    longest: int
    entries: int
    words: int
    end: int
    old: bool


def read_header(file: FileBytes, origin: Path) -> FastTextHeader | None:
    """The header of a fastText model, or None when the file is not one.

    Raises:
        CheckpointError: it is one that is damaged, compressed, or of a later version.
    """
    data = bytes(file.buffer[:128])
    old = not data.startswith(MAGIC)
    start, version = (0, 0) if old else (8, 0)
    if not old and len(data) >= 8:
        (version,) = struct.unpack_from("<i", data, 4)
        if version not in (11, 12):
            raise CheckpointError(
                f"{str(origin)!r} is a fastText model of version {version}. Expected 11 or 12."
            )
    if len(data) < start + _ARGUMENTS.size + _COUNTS.size + (0 if old else 8):
        if old:
            return None
        raise _damaged(origin, "it ends in its header")
    numbers = _ARGUMENTS.unpack_from(data, start)
    width, _, _, _, _, _, loss, model, buckets, shortest, longest, _, _ = numbers
    place = start + _ARGUMENTS.size
    entries, words, labels, _ = _COUNTS.unpack_from(data, place)
    place += _COUNTS.size
    plausible = (
        0 < width < 2**20
        and loss in (1, 2, 3, 4)
        and model in (1, 2, 3)
        and buckets >= 0
        and 0 <= words <= entries == words + labels
        and -1 <= shortest <= _LONGEST_PART
        and -1 <= longest <= _LONGEST_PART
    )
    if not plausible:
        if old:
            return None
        raise _damaged(origin, f"its header holds {numbers[:12]} and {entries}, {words}, {labels}")
    if not old:
        (pruned,) = struct.unpack_from("<q", data, place)
        place += 8
        if pruned != -1:
            raise _compressed(origin)
        if version == 11 and model == _SUPERVISED:
            # Their parts were never used.
            longest = 0
    return FastTextHeader(
        width, buckets, shortest, longest if buckets else 0, entries, words, place, old
    )


class FastTextModel(WordVectors):
    """A `.bin` of fastText.

    Args:
        file: opened.
        header: what `read_header` gave.
        origin: the path that the user gave, where `file` was unpacked from it.
    """

    dialect = "fasttext"

    def __init__(
        self, file: FileBytes, header: FastTextHeader, encoding: str, origin: Path
    ) -> None:
        super().__init__(origin, header.width, encoding)
        self._file = file
        self._header = header
        self._table: np.ndarray | None = None

    @property
    def composes(self) -> bool:
        return self._header.longest > 0

    def read(self, limit: int | None = None, progress: Progress | None = None) -> WordTable:
        words = list(self._words(progress))
        kept = words if limit is None else words[:limit]
        unique = Unique()
        vectors = np.empty((len(kept), self.width), np.float32)
        names: list[bytes] = []
        for start, stop in _blocks(kept):
            block = kept[start:stop]
            rows = self._vectors(block, range(start, stop))
            for more, values in unique.of([(block, rows)]):
                vectors[len(names) : len(names) + len(more)] = values
                names += more
        return WordTable(self.decode(names), read_only(vectors[: len(names)]), unique.repeated)

    def find(self, words: Iterable[str], progress: Progress | None = None) -> WordTable:
        asked = list(dict.fromkeys(words))
        wanted = self.encode(asked)
        rows: dict[bytes, int] = {}
        for row, word in enumerate(self._words(progress)):
            if word in wanted:
                rows.setdefault(word, row)
        # Without letters there are no parts: `<>` is one part, of nothing.
        names = [word for word in wanted if word and (word in rows or self._has_parts(word))]
        vectors = np.empty((len(names), self.width), np.float32)
        for start, stop in _blocks(names):
            block = names[start:stop]
            vectors[start:stop] = self._vectors(block, [rows.get(word, -1) for word in block])
        found = {wanted[word]: index for index, word in enumerate(names)}
        table = self.in_order(asked, found, vectors)
        composed = frozenset(wanted[word] for word in names if word not in rows)
        return WordTable(table.words, table.vectors, composed=composed)

    # --- vectors ----------------------------------------------------------------------------

    def _has_parts(self, word: bytes) -> bool:
        return next(self._parts([word]), None) is not None

    def _parts(self, words: Sequence[bytes]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        header = self._header
        return subword_buckets(words, header.shortest, header.longest, header.buckets)

    def _vectors(self, words: Sequence[bytes], rows: Sequence[int]) -> np.ndarray:
        """The means over the words' own rows, -1 for none, and those of their parts."""
        own = np.asarray(rows, np.int64)
        listed = np.flatnonzero(own >= 0)
        sums = np.zeros((len(words), self.width), np.float32)
        sums[listed] = self._rows(own[listed])
        counts = (own >= 0).astype(np.float32)
        for owners, buckets in self._parts(words):
            counts += np.bincount(owners, minlength=len(words))
            for start in range(0, len(owners), _BLOCK):
                part = owners[start : start + _BLOCK]
                values = self._rows(self._header.words + buckets[start : start + _BLOCK])
                runs = np.flatnonzero(np.diff(part, prepend=-1))
                # What is infinite here is reported below, with its word.
                with np.errstate(over="ignore", invalid="ignore"):
                    sums[part[runs]] += np.add.reduceat(values, runs, axis=0)
        vectors = sums / np.maximum(counts, 1)[:, None]
        check_finite(vectors, list(words), self.path)
        return vectors

    def _rows(self, rows: np.ndarray) -> np.ndarray:
        # The table begins anywhere: as bytes, it is not copied to be aligned.
        return self._matrix()[rows].view("<f4").astype(np.float32, copy=False)

    def _matrix(self) -> np.ndarray:
        """The rows of the table as bytes, (rows, 4 * width), a view into the file."""
        if self._table is None:
            for _ in self._words(None):
                pass
        if self._table is None:
            raise _damaged(self.path, "its dictionary has no end")
        return self._table

    # --- the dictionary ---------------------------------------------------------------------

    def _words(self, progress: Progress | None) -> Iterator[bytes]:
        """The words in order; behind the last one, the table is found."""
        buffer, place, told = self._file.buffer, self._header.end, 0
        for number in range(self._header.entries):
            end = buffer.find(b"\0", place, place + 2**16)
            if end < 0 or end + 1 + _ENTRY_TAIL > self._file.size:
                raise _damaged(self.path, f"it has no entry {number + 1:,} at byte {place:,}")
            is_label = buffer[end + _ENTRY_TAIL] == _LABEL
            if is_label != (number >= self._header.words):
                raise _damaged(self.path, f"entry {number + 1:,} is of the wrong kind")
            if not is_label:
                yield buffer[place:end]
            place = end + 1 + _ENTRY_TAIL
            if progress is not None and not number % _BLOCK:
                progress(place - told)
                told = place
        if self._table is None:
            self._table = self._find_table(place)

    def _find_table(self, place: int) -> np.ndarray:
        if not self._header.old:
            if self._file.read(place, 1) != b"\0":
                raise _compressed(self.path)
            place += 1
        rows, width = struct.unpack("<qq", self._file.read(place, 16))
        place += 16
        expected = self._header.words + self._header.buckets
        if width != self.width or rows < self._header.words or (self.composes and rows != expected):
            raise _damaged(
                self.path,
                f"its table has {rows:,} rows of {width} values; expected {expected:,} of "
                f"{self.width}",
            )
        return self._file.view(place, (rows, 4 * width), np.dtype(np.uint8))


def _blocks(words: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Spans of words of so many bytes in all, or of one word that is longer."""
    start = size = 0
    for index, word in enumerate(words):
        size += len(word)
        if size > _BLOCK_BYTES:
            if index > start:
                yield start, index
            start, size = index, len(word)
    if start < len(words):
        yield start, len(words)


def _damaged(path: Path, problem: str) -> CheckpointError:
    return CheckpointError(f"{str(path)!r} is a damaged fastText model: {problem}. Get it again.")


def _compressed(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{str(path)!r} is a fastText model that was compressed with `fasttext quantize` (.ftz): "
        "its vectors are approximations for classifying. Expected the .bin that it was made of, or "
        "the .vec beside it."
    )
