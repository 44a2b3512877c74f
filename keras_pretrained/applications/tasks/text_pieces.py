"""The tokens of texts, and which characters each stands for."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_pretrained.tokenizers import (
    ByteLevelBPETokenizer,
    SentencePieceTokenizer,
    WordPieceTokenizer,
)
from keras_pretrained.tokenizers.unicode_tables import CHINESE, PUNCTUATION, SPACES


@dataclass(frozen=True)
class TextPieces:
    """A text as tokens.

    Attributes:
        ids: int32 (tokens,).
        starts, ends: int32 (tokens,): the first character of each, and the one behind its last.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def covering(self, start: int, end: int) -> tuple[int, int] | None:
        """The first and the last token that share characters with a part of the text."""
        first = int(np.searchsorted(self.ends, start, side="right"))
        last = int(np.searchsorted(self.starts, end, side="left")) - 1
        return (first, last) if first <= last else None


def read_pieces(tokenizer: Any, texts: Sequence[str]) -> list[TextPieces]:
    """The tokens of texts, without special ones.

    Tokens of a word whose characters the tokenizer changes, so that they cannot be counted, stand
    each for the whole word.
    """
    pattern = _pattern(tokenizer)
    spans = [[match.span() for match in pattern.finditer(text)] for text in texts]
    words = [
        [text[start:end] for start, end in own] for text, own in zip(texts, spans, strict=True)
    ]
    unique = list(dict.fromkeys(word for own in words for word in own))
    known = {
        word: _word(tokenizer, word, ids)
        for word, ids in zip(unique, tokenizer.pieces(unique), strict=True)
    }
    return [
        _joined([known[word] for word in own], at) for own, at in zip(words, spans, strict=True)
    ]


def _joined(words: Sequence[TextPieces], spans: Sequence[tuple[int, int]]) -> TextPieces:
    none = np.zeros(0, np.int32)
    moved = [(word, start) for word, (start, _) in zip(words, spans, strict=True)]
    return TextPieces(
        np.concatenate([none, *(word.ids for word, _ in moved)]),
        np.concatenate([none, *(word.starts + start for word, start in moved)]),
        np.concatenate([none, *(word.ends + start for word, start in moved)]),
    )


def _word(tokenizer: Any, word: str, ids: np.ndarray) -> TextPieces:
    lengths = _lengths(tokenizer, word, [tokenizer.id_to_token(index) for index in ids.tolist()])
    if lengths is None:
        return TextPieces(ids, np.zeros_like(ids), np.full_like(ids, len(word)))
    ends = np.cumsum(lengths, dtype=np.int32)
    starts = ends - lengths.astype(np.int32)
    # A token of a part of a character, or of the space before the word, stands for a whole one.
    return TextPieces(ids, starts, np.minimum(np.maximum(ends, starts + 1), len(word)))


def _lengths(tokenizer: Any, word: str, tokens: list[str]) -> np.ndarray | None:
    """How many characters of the word each token stands for; None if that cannot be counted."""
    if isinstance(tokenizer, ByteLevelBPETokenizer):
        # A token's characters are bytes; a word begins with a space of its own.
        counts = np.array([len(token) for token in tokens], int)
        counts[:1] -= 1
        size = len(word.encode("utf-8", "surrogatepass"))
        if counts.sum() != size or (counts < 0).any():
            return None
        begins = np.cumsum([len(each.encode("utf-8", "surrogatepass")) for each in word])
        ends = np.searchsorted(begins, np.cumsum(counts), side="right")
        lengths = np.diff(ends, prepend=0)
    elif isinstance(tokenizer, WordPieceTokenizer):
        lengths = np.array([len(token.removeprefix("##")) for token in tokens], int)
    elif isinstance(tokenizer, SentencePieceTokenizer):
        lengths = np.array([len(token.replace("\u2581", "")) for token in tokens], int)
    else:
        return None
    return lengths if lengths.sum() == len(word) else None


def _pattern(tokenizer: Any) -> re.Pattern[str]:
    if isinstance(tokenizer, WordPieceTokenizer):
        return _word_pieces_pattern(tokenizer.split_chinese)
    return re.compile(r"\S+")


@functools.cache
def _word_pieces_pattern(split_chinese: bool) -> re.Pattern[str]:
    """What BERT splits before it looks for pieces, so that tokens are those of the whole text."""
    alone = _ranges(PUNCTUATION + (CHINESE if split_chinese else ""))
    return re.compile(f"[{alone}]|[^{alone}{_ranges(SPACES)}]+")


def _ranges(table: str) -> str:
    """A table of `unicode_tables` as the inside of a regular expression's brackets."""
    pairs = (part.partition("-") for part in table.split())
    return "".join(rf"\U{int(a, 16):08x}-\U{int(b or a, 16):08x}" for a, _, b in pairs)
