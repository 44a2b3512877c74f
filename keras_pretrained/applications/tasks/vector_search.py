"""The nearest of many vectors by cosine, exactly and in bounded memory; NumPy alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

QUERIES, VECTORS = 256, 16384
"""Vectors that are compared at a time: 16 MiB of cosines."""


class Match(NamedTuple):
    """A text that was found.

    Attributes:
        position: of the text or vector in the corpus.
        score: its cosine with the query.
        text: the text itself, or None where the corpus is vectors.
    """

    position: int
    score: float
    text: str | None


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (first, second): the cosine of each vector with each."""
    return np.asarray(unit(first) @ unit(second).T)


def unit(vectors: Any) -> np.ndarray:
    """float32: vectors of length 1, and zeros where there is no direction."""
    vectors = np.asarray(vectors, "float32")
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12))


def nearest(
    queries: np.ndarray, corpus: Iterable[np.ndarray], top_k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of a corpus with the highest cosines.

    Args:
        queries: (queries, width).
        corpus: parts of it in order, (vectors, width) each.
        top_k: how many a query; fewer where the corpus is smaller.

    Returns:
        Their positions and cosines (queries, found), the highest first.
    """
    queries = unit(queries)
    scores = np.empty((len(queries), 0), "float32")
    positions = np.empty((len(queries), 0), "int64")
    start = 0
    for part in _parts(corpus):
        found = [_best(rows @ unit(part).T, top_k) for rows in _blocks(queries, QUERIES)]
        scores = np.hstack([scores, np.vstack([score for _, score in found])])
        positions = np.hstack([positions, np.vstack([number for number, _ in found]) + start])
        kept, scores = _best(scores, top_k)
        positions = np.take_along_axis(positions, kept, axis=1)
        start += len(part)
    return positions, scores


def _best(scores: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and values of the highest scores of each row, in order."""
    if count < scores.shape[1]:
        columns = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    else:
        columns = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    values = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)


def _parts(corpus: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for vectors in corpus:
        yield from _blocks(vectors, VECTORS)


def _blocks(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
