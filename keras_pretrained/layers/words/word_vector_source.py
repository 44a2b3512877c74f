"""What a source of word vectors gives: the words, and the rows of the table."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_pretrained.checkpoints.word_vectors import WordTable, WordVectors, open_word_vectors
from keras_pretrained.presets import Preset, home, preset_of, resolve
from keras_pretrained.presets.fetching.progress import progress_bar
from keras_pretrained.tokenizers.files import decode_utf8, read_bytes
from keras_pretrained.tokenizers.whitespace import checked_words
from keras_pretrained.weights import LoadReport
from keras_pretrained.weights.report import shortened

FAMILY = "word-vectors"
OUT_OF_VOCABULARY = ("zero", "mean", "random")
SPECIAL_ROWS = 2
"""Padding, and the row of all words that the vocabulary lacks."""


@dataclass(frozen=True)
class WordReport(LoadReport):
    """What loading did with the words.

    Attributes:
        words: how many words have a vector of the file.
        missing: words of the vocabulary that the file has no vector for.
        composed: words that the file does not list, with vectors made of their parts (fastText).
        repeated: rows of the file that were left out, because their word had come before.
    """

    words: int = 0
    missing: tuple[str, ...] = ()
    composed: frozenset[str] = field(default_factory=frozenset)
    repeated: int = 0

    def __str__(self) -> str:
        lines = [f"{self.path} ({self.dialect}): {self.words:,} words with vectors"]
        if self.composed:
            lines.append(
                f"  {len(self.composed):,} of them made of their parts: "
                f"{shortened(sorted(self.composed))}"
            )
        if self.missing:
            lines.append(f"  {len(self.missing):,} words without: {shortened([*self.missing])}")
        if self.repeated:
            lines.append(f"  {self.repeated:,} rows left out: their words had come before")
        return "\n".join(lines)


@dataclass(frozen=True)
class WordSource:
    """A source, read as far as the layer needs it.

    Attributes:
        words: of the table, from row 2 on; None where nothing says which.
        width: of a vector.
        rows: how many, with the special ones.
        make_values: the table's first values; None for random ones.
        file: the open file.
    """

    words: list[str] | None = None
    width: int = 0
    rows: int = 0
    make_values: Callable[[], np.ndarray] | None = None
    report: WordReport | None = None
    file: WordVectors | None = None
    preset: str | None = None
    lowercase: bool | None = None


def read_vocabulary(
    vocabulary: Sequence[str] | str | os.PathLike[str] | None,
) -> list[str] | None:
    """The words of a vocabulary that is a list, or a file with one word a line."""
    if vocabulary is None:
        return None
    if isinstance(vocabulary, str | os.PathLike):
        expected = "a file with one word a line"
        name = f"Vocabulary file {str(Path(vocabulary))!r}"
        text = decode_utf8(read_bytes(vocabulary, "Vocabulary file", expected), name, expected)
        return checked_words(
            [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
        )
    return [str(word) for word in checked_words(vocabulary)]


def check_lowercase(words: Sequence[str]) -> None:
    """Raises ValueError for a word that lower-cased texts do not hold."""
    cased = [word for word in words if word != word.lower()]
    if cased:
        raise ValueError(
            f"Texts are lower-cased here, so that {len(cased):,} words of the vocabulary are never "
            f"met: {shortened(cased)}. Lower-case the vocabulary, or pass lowercase=False."
        )


def open_source(
    source: str | os.PathLike[str] | Preset,
    weights: str | os.PathLike[str] | None,
    dialect: str,
    encoding: str,
    keep: bool,
) -> WordSource:
    """Opens the file of a preset, a path or an address; of a preset without weights, none.

    Args:
        weights: `"auto"`, None, or another file.
        keep: whether parsed texts are kept in the cache.
    """
    preset = preset_of(source)
    if weights is None:
        if preset is None:
            raise ValueError(
                "`weights=None` needs a preset or an `architecture`, which says how large the "
                f"vectors are. Received: source={str(source)!r}"
            )
        width = preset.architecture["hidden_size"]
        rows = preset.architecture["num_words"] + SPECIAL_ROWS
        return WordSource(
            width=width, rows=rows, preset=preset.name, lowercase=preset.tokenizer["lowercase"]
        )
    path: str | os.PathLike[str] = weights
    if weights == "auto":
        located = resolve(preset or source, family=FAMILY)
        path = located.weights
        if dialect == "auto" and located.dialect is not None:
            dialect = located.dialect
    packed = Path(path).suffix == ".gz"
    with progress_bar(f"Unpacking {Path(path).name}", None, 0, show=packed) as progress:
        file = open_word_vectors(
            path,
            dialect=dialect,
            encoding=encoding,
            width=preset.architecture["hidden_size"] if preset else None,
            cache=cache_folder() if keep else None,
            progress=progress,
        )
    return WordSource(
        width=file.width,
        file=file,
        preset=preset.name if preset else None,
        lowercase=preset.tokenizer["lowercase"] if preset else None,
    )


def read_table(
    file: WordVectors, words: Sequence[str] | None, max_words: int | None
) -> tuple[WordTable, tuple[str, ...]]:
    """The words that were asked for, or all of them; and those that the file does not have."""
    size = file.path.stat().st_size
    with progress_bar(f"Reading {file.path.name}", size, 0, show=True) as progress:
        if words is None:
            return file.read(max_words, progress), ()
        table = file.find(words, progress)
    found = set(table.words)
    return table, tuple(word for word in words if word not in found)


def table_values(
    table: WordTable, words: Sequence[str], missing: Sequence[str], out_of_vocabulary: str
) -> np.ndarray:
    """The rows of the layer's table: padding, all other words, then the words in order."""
    width = table.vectors.shape[1]
    values = np.zeros((len(words) + SPECIAL_ROWS, width), np.float32)
    if missing:
        places = {word: row for row, word in enumerate(words, SPECIAL_ROWS)}
        values[[places[word] for word in table.words]] = table.vectors
    else:
        values[SPECIAL_ROWS:] = table.vectors
    new = [1, *(places[word] for word in missing)] if missing else [1]
    values[new] = _new_rows(table.vectors, len(new), out_of_vocabulary)
    return values


def _new_rows(vectors: np.ndarray, count: int, out_of_vocabulary: str) -> np.ndarray:
    shape = (count, vectors.shape[1])
    if out_of_vocabulary == "zero" or not len(vectors):
        return np.zeros(shape, np.float32)
    mean = vectors.mean(axis=0, dtype=np.float64)
    if out_of_vocabulary == "mean":
        return np.broadcast_to(mean, shape)
    import keras

    spread = vectors.std(axis=0, dtype=np.float64)
    # Keras' own seed rules, as for every other random weight.
    random = keras.ops.convert_to_numpy(keras.random.normal(shape, dtype="float32"))
    return mean + spread * random


def report_of(
    file: WordVectors, table: WordTable, missing: tuple[str, ...], variable: str
) -> WordReport:
    """The account of one loading."""
    return WordReport(
        path=file.path,
        format=file.dialect,
        dialect=file.dialect,
        loaded={variable: (f"{len(table.words):,} vectors",)},
        words=len(table.words),
        missing=missing,
        composed=table.composed,
        repeated=table.repeated,
    )


def cache_folder() -> Path:
    """Where texts are kept once they were parsed."""
    return home() / ".word-vectors"
