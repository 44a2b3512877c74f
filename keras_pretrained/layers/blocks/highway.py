"""A highway layer: a gate decides how much of the input is replaced."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.layers.blocks.block import Block, Dense


class Highway(Block):
    """`gate * activation(x T + t) + (1 - gate) * x` with `gate = sigmoid(x C + c)`.

    The two projections have the names of bilm, where the gate of what is new is called `carry`;
    in the paper, and in AllenNLP, that is the gate of what is kept.

    Reference: [Highway Networks](https://arxiv.org/abs/1505.00387).

    Args:
        activation: of what is new.
    """

    def __init__(self, activation: str = "relu", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        size, policy = input_shape[-1], self.dtype_policy
        # Highways that are new begin by keeping most of their input.
        self.carry = Dense(
            size,
            activation="sigmoid",
            bias_initializer=keras.initializers.Constant(-2.0),
            dtype=policy,
            name="carry",
        )
        self.transform = Dense(size, activation=self.activation, dtype=policy, name="transform")
        self.carry.build(input_shape)
        self.transform.build(input_shape)

    def call(self, inputs: Any) -> Any:
        """(..., size) -> the same shape."""
        gate = self.carry(inputs)
        return gate * self.transform(inputs) + (1.0 - gate) * inputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": self.activation}
