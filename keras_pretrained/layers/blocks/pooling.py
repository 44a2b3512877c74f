"""From one vector a token to one vector a text, padding left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

_LOWEST = -1e30


def first(hidden: Any, mask: Any) -> Any:
    """The vector at position 0."""
    return hidden[:, 0]


def last(hidden: Any, mask: Any) -> Any:
    """The vector at the last real position, wherever the padding is."""
    ops = keras.ops
    positions = ops.arange(ops.shape(mask)[1], dtype="int32")
    index = ops.max(ops.where(ops.cast(mask, "bool"), positions, 0), axis=1)
    return ops.squeeze(ops.take_along_axis(hidden, index[:, None, None], axis=1), axis=1)


def mean(hidden: Any, mask: Any) -> Any:
    """The average over real positions, summed in float32."""
    ops = keras.ops
    weights = ops.expand_dims(ops.cast(mask, "float32"), -1)
    total = ops.sum(ops.cast(hidden, "float32") * weights, axis=1)
    count = ops.maximum(ops.sum(weights, axis=1), 1e-9)
    return ops.cast(total / count, hidden.dtype)


def maximum(hidden: Any, mask: Any) -> Any:
    """The largest value of each feature over real positions."""
    ops = keras.ops
    lowest = ops.cast((1.0 - ops.cast(mask, "float32")) * _LOWEST, "float32")
    return ops.cast(
        ops.max(ops.cast(hidden, "float32") + ops.expand_dims(lowest, -1), axis=1), hidden.dtype
    )


def mean_maximum(hidden: Any, mask: Any) -> Any:
    """Mean and maximum side by side: twice the hidden size."""
    return keras.ops.concatenate([mean(hidden, mask), maximum(hidden, mask)], axis=-1)


POOLING: dict[str, Callable[[Any, Any], Any]] = {
    "cls": first,
    "mean": mean,
    "max": maximum,
    "mean-max": mean_maximum,
    "last": last,
}
