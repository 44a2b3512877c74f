"""What only TensorFlow needs; on other backends these are the plain operations."""

from __future__ import annotations

from typing import Any

import keras


def take_summed(table: Any, ids: Any, training: bool | None) -> Any:
    """`take(table, ids, axis=0)` whose gradient is one dense tensor.

    TensorFlow's gradient of a lookup lists a slice for each id, repeated ids included, and
    Keras' optimizers square the slices before they sum them (keras 3.15): Adam then divides by a
    second moment that is too small wherever a batch repeats a token. Other backends, and other
    frameworks, sum first.

    Args:
        table: (rows, width).
        ids: integers of any shape.
        training: whether a gradient will be taken; otherwise this is the plain operation.

    Returns:
        `ids.shape + (width,)`.
    """
    ops = keras.ops
    if not training or keras.backend.backend() != "tensorflow":
        return ops.take(table, ids, axis=0)
    import tensorflow as tf

    @ops.custom_gradient
    def lookup(values: Any) -> Any:
        def gradient(*args: Any, upstream: Any = None) -> Any:
            (slices,) = args if upstream is None else (upstream,)
            flat = ops.reshape(slices, (-1, values.shape[-1]))
            return ops.segment_sum(flat, ops.reshape(ids, (-1,)), num_segments=values.shape[0])

        return ops.take(values, ids, axis=0), gradient

    # A tensor, because a custom gradient may not read variables unseen.
    return lookup(tf.convert_to_tensor(table))
