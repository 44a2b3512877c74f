"""Tokenizers that are Python functions, called eagerly or back from TensorFlow's graphs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from keras_pretrained.tokenizers.lazy import tensorflow

Rows = tuple[np.ndarray, np.ndarray]
"""The ids of all texts, int32, one behind the other, and where each text begins and ends, int64."""


def in_python(encode: Callable[[list[str]], Rows], strings: Any) -> Any:
    """Strings of shape `(count,)` to a RaggedTensor of int32 ids, `(count, None)`."""
    tf = tensorflow()

    def rows(data: np.ndarray) -> Rows:
        return encode([text_of(each) for each in data])

    if tf.is_symbolic_tensor(strings) or not tf.executing_eagerly():
        # Not stateful: equal texts have equal ids, so that tf.data may keep its order.
        ids, splits = tf.numpy_function(rows, [strings], [tf.int32, tf.int64], stateful=False)
        ids.set_shape([None])
        count = strings.shape[0]
        splits.set_shape([None if count is None else count + 1])
    else:
        ids, splits = map(tf.constant, rows(strings.numpy()))
    return tf.RaggedTensor.from_row_splits(ids, splits, validate=False)


def rows_of(ids: list[list[int]]) -> Rows:
    """The rows of a list for each text."""
    splits = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(row) for row in ids], out=splits[1:])
    return np.fromiter(chain.from_iterable(ids), np.int32, count=int(splits[-1])), splits


def text_of(data: bytes) -> str:
    """The text of bytes that may be no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    try:
        # A str held halves of surrogate pairs. As tiktoken, OpenAI's later program, does it: two
        # that fit are one character, any other is U+FFFD.
        halves = data.decode("utf-8", "surrogatepass")
        return halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")
