"""Words as rows of tokens, and where in the rows each word is tagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_pretrained.applications.tasks.windows import Window, word_windows
from keras_pretrained.tokenizers import CharacterTokenizer

CONTEXT = 8
"""An eighth of a row is context of the window beside it, on either side."""


@dataclass(frozen=True)
class TagRows:
    """Texts as rows.

    Attributes:
        arrays: what the tokenizer gives, (rows, length, ...).
        words: int32 (rows, length): at the first token of a word its number, counted through all
            texts; -1 elsewhere, and on words that are there as context.
    """

    arrays: dict[str, np.ndarray]
    words: np.ndarray


def tag_rows(tokenizer: Any, texts: Sequence[Sequence[str]]) -> TagRows:
    """The rows of texts; every word of every text is marked once.

    Raises:
        ValueError: a word that has no token, where the vocabulary has none for unknown words.
    """
    if isinstance(tokenizer, CharacterTokenizer):
        return _rows_of_words(tokenizer, texts)
    pieces = _pieces(tokenizer, texts)
    rows, marks = [], []
    for start, words, window in _windows(texts, pieces, tokenizer.room()):
        own = [pieces[word] for word in words[window.begin : window.end]]
        rows.append(np.concatenate(own))
        mark = np.full(len(rows[-1]), -1, np.int32)
        first_tokens = np.cumsum([0, *map(len, own[:-1])])
        mark[first_tokens] = _numbers(start, window)
        marks.append(mark)
    made = tokenizer.pack_pieces(rows, words=(marks,), pad_to="buckets")
    return TagRows(made, made.pop("word_ids"))


def _rows_of_words(tokenizer: CharacterTokenizer, texts: Sequence[Sequence[str]]) -> TagRows:
    """Of a network that reads a word at each place."""
    pieces = {word: np.zeros(1) for words in texts for word in words}
    windows = list(_windows(texts, pieces, tokenizer.max_length))
    made = tokenizer(
        [[*words[w.begin : w.end]] for _, words, w in windows], is_split=True, pad_to="buckets"
    )
    marks = np.full(made["padding_mask"].shape, -1, np.int32)
    for row, (start, _, window) in zip(marks, windows, strict=True):
        row[: window.end - window.begin] = _numbers(start, window)
    return TagRows(made, marks)


def _windows(
    texts: Sequence[Sequence[str]], pieces: dict[str, np.ndarray], room: int
) -> list[tuple[int, Sequence[str], Window]]:
    """With each window its text, and how many words come before that text."""
    found, start = [], 0
    for words in texts:
        counts = np.array([len(pieces[word]) for word in words], int)
        found += [(start, words, window) for window in word_windows(counts, room, room // CONTEXT)]
        start += len(words)
    return found


def _numbers(start: int, window: Window) -> np.ndarray:
    numbers = np.arange(window.begin, window.end)
    counts = (numbers >= window.first) & (numbers < window.last)
    return np.where(counts, start + numbers, -1)


def _pieces(tokenizer: Any, texts: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
    """Word -> its tokens, one at least and no more than a row holds."""
    unique = list(dict.fromkeys(word for words in texts for word in words))
    found = dict(zip(unique, tokenizer.pieces(unique), strict=True))
    room = tokenizer.room()
    for word, ids in found.items():
        if not len(ids):
            ids = np.array([_unknown_id(tokenizer, word)], np.int32)
        found[word] = ids[:room]
    return found


def _unknown_id(tokenizer: Any, word: str) -> int:
    try:
        return tokenizer.unknown_id
    except (AttributeError, ValueError):
        raise ValueError(
            f"The word {word!r} has no token, and the vocabulary has none for unknown words. Leave "
            "the word out."
        ) from None
