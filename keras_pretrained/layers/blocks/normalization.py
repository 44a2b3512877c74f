"""Layer normalisation in float32, whatever the layers around it compute in."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.layers.blocks.block import Block


class LayerNormalization(Block):
    """Normalises the last axis: `gamma * (x - mean) / sqrt(variance + epsilon) + beta`.

    The published epsilon of many encoders is 1e-12, which vanishes in half precision, so
    the arithmetic runs in float32 at least and only the result has the layer's compute dtype.

    Reference: [Layer Normalization](https://arxiv.org/abs/1607.06450).

    Args:
        epsilon: added to the variance.
    """

    def __init__(self, epsilon: float = 1e-12, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        size = (input_shape[-1],)
        self.gamma = self.add_weight(shape=size, initializer="ones", name="gamma", autocast=False)
        self.beta = self.add_weight(shape=size, initializer="zeros", name="beta", autocast=False)

    def call(self, inputs: Any) -> Any:
        ops = keras.ops
        precise = keras.backend.result_type(self.compute_dtype, "float32")
        x = ops.cast(inputs, precise)
        centred = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        scale = ops.rsqrt(variance + self.epsilon) * ops.cast(self.gamma, precise)
        return ops.cast(centred * scale + ops.cast(self.beta, precise), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
