"""Ids that a layer is given: whether its tables have rows for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def check_range(inputs: Any, counts: Mapping[str, int], layer_name: str) -> None:
    """Raises ValueError where arrays hold ids that a table has no row for.

    The lookup itself does not: ids below zero count from the end of the table, and ids behind it
    give NaN on JAX. Only NumPy arrays are looked at, because a tensor in a graph has no values
    yet, and one on a device would have to be waited for.

    Args:
        inputs: what the layer is called on: the first of `counts` alone, or a dictionary.
        counts: name of an input -> how many ids there are of it, from 0 on.
        layer_name: for the message.
    """
    given = inputs if isinstance(inputs, Mapping) else dict.fromkeys(list(counts)[:1], inputs)
    for name, count in counts.items():
        ids = given.get(name)
        if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu" or not ids.size:
            continue
        if ids.min() < 0 or ids.max() >= count:
            raise ValueError(
                f"Layer {layer_name!r} takes {name} from 0 to {count - 1}. Received: {ids.min()} "
                f"to {ids.max()}. Use the vocabulary that the network was trained with."
            )
