"""Several texts in one row: who may attend to whom, positions that begin anew, pooling by text.

A row says where its texts begin: `starts` (batch, texts), ascending, and the length of the row or
more where it has fewer texts.
"""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.layers.blocks.attention import MASKED
from keras_pretrained.layers.blocks.pooling import POOLING

TEXT_STARTS = "text_starts"
"""The name of that input."""


def text_numbers(starts: Any, length: Any) -> Any:
    """(batch, length): 1 for the tokens of a row's first text, 2 for those of its second."""
    ops = keras.ops
    begun = ops.expand_dims(starts, 2) <= ops.arange(length, dtype="int32")[None, None]
    return ops.sum(ops.cast(begun, "int32"), axis=1)


def positions_in_texts(starts: Any, length: Any) -> Any:
    """(batch, length): the place of every token in its text, from 0."""
    ops = keras.ops
    places = ops.arange(length, dtype="int32")[None, None]
    begun = ops.expand_dims(starts, 2) <= places
    first = ops.max(ops.where(begun, ops.expand_dims(starts, 2), 0), axis=1)
    return places[:, 0] - first


def other_text_bias(numbers: Any, dtype: Any) -> Any:
    """(batch, 1, queries, keys) to add to the scores: no token sees another text."""
    ops = keras.ops
    other = ops.not_equal(ops.expand_dims(numbers, 2), ops.expand_dims(numbers, 1))
    return ops.expand_dims(ops.cast(other, dtype) * MASKED, 1)


def first_tokens(hidden: Any, starts: Any) -> Any:
    """(batch, length, width) -> (batch, texts, width): the vector of each text's first token."""
    ops = keras.ops
    last = ops.shape(hidden)[1] - 1
    return ops.take_along_axis(hidden, ops.expand_dims(ops.minimum(starts, last), 2), axis=1)


def pooled_texts(hidden: Any, mask: Any, starts: Any, pooling: str) -> Any:
    """(batch, length, width) -> (batch, texts, width) by one of `POOLING`, text by text.

    What stands at the place of a text that a row does not have, means nothing.
    """
    ops = keras.ops
    if pooling == "cls":
        return first_tokens(hidden, starts)
    texts, length, width = starts.shape[1], ops.shape(hidden)[1], hidden.shape[2]
    numbers = ops.expand_dims(text_numbers(starts, length), 1)
    own = ops.equal(numbers, ops.arange(1, texts + 1, dtype="int32")[None, :, None])
    own = ops.cast(own, "int32") * ops.expand_dims(ops.cast(mask, "int32"), 1)
    if pooling == "mean":
        # As one product: the general way below multiplies every text with the whole row.
        weights = ops.cast(own, "float32")
        total = ops.matmul(weights, ops.cast(hidden, "float32"))
        count = ops.maximum(ops.sum(weights, axis=2, keepdims=True), 1e-9)
        return ops.cast(total / count, hidden.dtype)
    rows = ops.repeat(hidden, texts, axis=0)
    found = POOLING[pooling](rows, ops.reshape(own, (-1, length)))
    return ops.reshape(found, (-1, texts, found.shape[-1] or width))
