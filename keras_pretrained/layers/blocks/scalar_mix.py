"""The trainable weighted sum of several layers' outputs."""

from __future__ import annotations

from typing import Any

import keras


class ScalarMix(keras.layers.Layer):
    """`gamma * sum_j softmax(weights)_j * layer_j`, starting as the plain average.

    Reference: [Deep contextualized word representations](https://arxiv.org/abs/1802.05365),
    equation 1.
    """

    def build(self, input_shape: Any) -> None:
        self.mix = self.add_weight(shape=(len(input_shape),), initializer="zeros", name="mix")
        self.gamma = self.add_weight(shape=(), initializer="ones", name="gamma")

    def call(self, inputs: list[Any]) -> Any:
        """A list of tensors of one shape -> one tensor of that shape."""
        shares = keras.ops.softmax(self.mix)
        return self.gamma * sum(shares[index] * x for index, x in enumerate(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]
