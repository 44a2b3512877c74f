"""From the characters of a word to a vector of fixed size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_pretrained.layers.blocks.block import Block


class CharacterConvolution(Block):
    """Convolutions of several widths over the characters of a word, each at its largest.

    For a filter of width `w`: `activation(max over positions (conv_w(table[ids]) + b))`. All
    positions of a word take part, also those of padding.

    References: [Character-Aware Neural Language Models](https://arxiv.org/abs/1508.06615),
    [Exploring the Limits of Language Modeling](https://arxiv.org/abs/1602.02410).

    Args:
        num_characters: rows of the character table, for the ids from 1 on. Id 0 is no character:
            its row is zero, does not train, and is not stored.
        size: width of the character table.
        filters: width and number of the filters of each convolution.
        activation: `"relu"` or `"tanh"`.

    Variables: `table` (num_characters, size), `kernel_0` (width, size, number), `bias_0` (number,),
    ... and so on.
    """

    def __init__(
        self,
        num_characters: int,
        size: int,
        filters: Sequence[Sequence[int]],
        activation: str = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_characters = num_characters
        self.size = size
        self.filters = [(int(width), int(count)) for width, count in filters]
        self.activation = activation

    @property
    def output_size(self) -> int:
        """The number of all filters."""
        return sum(count for _, count in self.filters)

    @property
    def longest(self) -> int:
        """The widest filter."""
        return max(width for width, _ in self.filters)

    def build(self, input_shape: Any = None) -> None:
        self.table = self.add_weight(
            shape=(self.num_characters, self.size),
            initializer=keras.initializers.RandomUniform(-1.0, 1.0),
            name="table",
        )
        self.kernels, self.biases = [], []
        for index, (width, count) in enumerate(self.filters):
            self.kernels.append(
                self.add_weight(
                    shape=(width, self.size, count),
                    initializer="glorot_uniform",
                    name=f"kernel_{index}",
                )
            )
            self.biases.append(
                self.add_weight(shape=(count,), initializer="zeros", name=f"bias_{index}")
            )

    def call(self, ids: Any) -> Any:
        """(words, characters) -> (words, number of all filters).

        The words must have at least as many characters as the widest filter.
        """
        ops = keras.ops
        table = ops.pad(ops.convert_to_tensor(self.table), [(1, 0), (0, 0)])
        characters = ops.take(table, ids, axis=0)
        activation = keras.activations.get(self.activation)
        found = []
        for kernel, bias in zip(self.kernels, self.biases, strict=True):
            # The largest of many sums is the sum with the largest: the bias need be added once.
            values = ops.max(ops.conv(characters, kernel, padding="valid"), axis=1) + bias
            found.append(activation(values))
        return ops.concatenate(found, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        return (input_shape[0], self.output_size)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_characters": self.num_characters,
            "size": self.size,
            "filters": [list(each) for each in self.filters],
            "activation": self.activation,
        }
