"""Gradients of a module's embeddings as Keras' optimizers need them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def summed_gradients(call: Callable[..., list[Any]], dense: bool) -> Callable[..., list[Any]]:
    """`call` whose gradient for a variable lists no row twice.

    The gradient of a lookup has a slice for each id, and Keras' optimizers square the slices
    before they sum them (keras 3.15): Adam then divides by a second moment that is too small
    wherever a batch repeats a word. `blocks.tensorflow.take_summed` does this for our own layers.

    Args:
        call: tensors -> tensors.
        dense: whether the gradient is one dense tensor, as XLA needs it, or has slices of its own
            for the rows that were looked up.
    """

    @tf.custom_gradient
    def summed(*inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([each for each in inputs if each.dtype.is_floating])
            results = call(*inputs)

        def gradient(*upstream: Any, variables: Sequence[Any] = ()) -> Any:
            floating = [each for each in inputs if each.dtype.is_floating]
            pairs = [
                (result, given)
                for result, given in zip(results, upstream, strict=True)
                if result.dtype.is_floating
            ]
            found = tape.gradient(
                [result for result, _ in pairs],
                [*floating, *variables],
                [given for _, given in pairs],
            )
            of_inputs = iter(found[: len(floating)])
            return (
                [next(of_inputs) if each.dtype.is_floating else None for each in inputs],
                [_summed(each, dense) for each in found[len(floating) :]],
            )

        return results, gradient

    return summed


def _summed(gradient: Any, dense: bool) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    if dense:
        rows = gradient.dense_shape[0]
        return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, rows)
    indices, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(indices))
    return tf.IndexedSlices(values, indices, gradient.dense_shape)
