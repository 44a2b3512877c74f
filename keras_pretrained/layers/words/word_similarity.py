"""Which words are alike: cosines between vectors of words."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

_BLOCK = 65_536


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector at length 1; zeros stay zeros."""
    values = np.asarray(vector, np.float32)
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return values / np.where(length == 0, 1, length)


def nearest(
    table: np.ndarray, query: np.ndarray, count: int, excluded: Collection[int] = ()
) -> list[tuple[int, float]]:
    """The rows with the largest cosines to a vector, best first.

    Args:
        table: (rows, width).
        query: (width,).
        count: how many.
        excluded: rows that do not count.

    Returns:
        Pairs of row and cosine.
    """
    wanted = unit(query)
    # Unit vectors of the whole table would take as much memory again.
    cosines = np.concatenate(
        [unit(table[start : start + _BLOCK]) @ wanted for start in range(0, len(table), _BLOCK)]
    )
    cosines[list(excluded)] = -np.inf
    count = min(count, len(cosines) - len(set(excluded)))
    if count < 1:
        return []
    best = np.argpartition(-cosines, count - 1)[:count]
    order = best[np.argsort(-cosines[best], kind="stable")]
    return [(int(row), float(cosines[row])) for row in order]


def analogy_query(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """`b - a + c` of three words' unit vectors (Mikolov et al. 2013)."""
    first, second, third = (unit(vector) for vector in vectors)
    return second - first + third
