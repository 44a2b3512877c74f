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


def last_maximum_mean(hidden: Any, mask: Any) -> Any:
    """ULMFiT's concat pooling: last, maximum and mean side by side, three times the hidden size."""
    parts = [last(hidden, mask), maximum(hidden, mask), mean(hidden, mask)]
    return keras.ops.concatenate(parts, axis=-1)


def pooled_parts(pooling: str | None) -> int:
    """How many vectors of the hidden size stand side by side in a pooled one."""
    return 1 if pooling is None else pooling.count("-") + 1


POOLING: dict[str, Callable[[Any, Any], Any]] = {
    "cls": first,
    "mean": mean,
    "max": maximum,
    "mean-max": mean_maximum,
    "last": last,
    "last-max-mean": last_maximum_mean,
}


@keras.saving.register_keras_serializable(package="keras_pretrained")
class TextPooling(keras.layers.Layer):
    """One of these as a layer: [(batch, length, size), mask (batch, length)] -> (batch, ...)."""

    def __init__(self, pooling: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pooling = pooling

    def call(self, inputs: Any) -> Any:
        hidden, mask = inputs
        return POOLING[self.pooling](hidden, mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, _, size = input_shape[0]
        return batch, size * pooled_parts(self.pooling)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pooling": self.pooling}
