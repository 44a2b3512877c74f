"""From the vocabulary of a pretrained language model to that of the texts it will be tuned on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def adapted(
    values: Mapping[str, np.ndarray], old: Sequence[str], new: Sequence[str]
) -> dict[str, np.ndarray]:
    """Weights for another vocabulary, as the paper's scripts make them.

    A word that the old vocabulary has keeps its row of the token table, and its bias; any other
    gets the mean of all old rows.

    Args:
        values: path below the layer -> values.
        old, new: the words in the order of their ids.
    """
    places = {word: index for index, word in enumerate(old)}
    found = np.array([places.get(word, -1) for word in new])
    changed = dict(values)
    for path in ("table/embeddings", "decoder/bias"):
        if path in values:
            rows = values[path][found]
            rows[found < 0] = values[path].mean(axis=0)
            changed[path] = rows
    return changed
