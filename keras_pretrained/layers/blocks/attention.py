"""Multi-head self-attention with a key mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from keras_pretrained.layers.blocks.block import Block, Dense

MASKED = -10000.0
"""What the original BERT adds to the score of a masked key (not minus infinity)."""
LATER = -1e9
"""What is added to the score of a later key."""


def key_mask_bias(padding_mask: Any, dtype: Any) -> Any:
    """(batch, keys) of 1 = real, 0 = padding -> (batch, 1, 1, keys) to add to the scores."""
    ops = keras.ops
    bias = (1.0 - ops.cast(padding_mask, dtype)) * MASKED
    return ops.expand_dims(ops.expand_dims(bias, 1), 1)


def causal_bias(length: Any, dtype: Any) -> Any:
    """(1, 1, queries, keys) to add to the scores: no query sees a later key.

    It outweighs the bias of padding, so that a query before which all is padding does not look
    ahead either.
    """
    ops = keras.ops
    positions = ops.arange(length)
    later = ops.cast(positions[None, :] > positions[:, None], dtype)
    return (later * LATER)[None, None]


@dataclass(frozen=True)
class Past:
    """What the positions before left behind, for a step of generation.

    Attributes:
        keys, values: (batch, heads, keys, head size).
        here: (keys,), true at the place of the new position.
    """

    keys: Any
    values: Any
    here: Any


class SelfAttention(Block):
    """`softmax(Q K^T / sqrt(head size) + bias) V`, projected back to the hidden size.

    Reference: [Attention Is All You Need](https://arxiv.org/abs/1706.03762).

    Args:
        num_heads: number of heads; divides the hidden size.
        dropout: rate of the dropout on the attention probabilities.
        kernel_initializer: initializer of the four projections.
    """

    def __init__(
        self,
        num_heads: int,
        dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.dropout_rate = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        hidden_size = input_shape[-1]
        if hidden_size is None or hidden_size % self.num_heads:
            raise ValueError(
                f"The hidden size must be a multiple of num_heads={self.num_heads}. "
                f"Received: hidden size {hidden_size}"
            )
        self.head_size = hidden_size // self.num_heads
        for name in ("query", "key", "value", "output_projection"):
            dense = Dense(
                hidden_size,
                kernel_initializer=self.kernel_initializer.clone(),
                dtype=self.dtype_policy,
                name=name,
            )
            setattr(self, name, dense)
            dense.build(input_shape)

    def call(
        self, hidden: Any, bias: Any, training: bool | None = None, return_scores: bool = False
    ) -> Any:
        """Attends from every position to every position.

        Args:
            hidden: (batch, length, hidden size).
            bias: added to the scores, broadcast to (batch, heads, queries, keys).
            return_scores: also return the probabilities (batch, heads, queries, keys).
        """
        output, probabilities, _ = self.run(hidden, bias, training)
        return (output, probabilities) if return_scores else output

    def run(
        self, hidden: Any, bias: Any, training: bool | None = None, past: Past | None = None
    ) -> tuple[Any, Any, tuple[Any, Any]]:
        """The output, the probabilities, and the keys and values of all positions.

        Args:
            hidden, bias: as in `call`.
            past: keys and values of a whole row, in which those of the only position of `hidden`
                take the marked place.
        """
        ops = keras.ops
        query = self._heads(self.query(hidden)) * self.head_size**-0.5
        key, value = self._heads(self.key(hidden)), self._heads(self.value(hidden))
        if past is not None:
            here = ops.reshape(past.here, (1, 1, -1, 1))
            key, value = ops.where(here, key, past.keys), ops.where(here, value, past.values)
        scores = ops.matmul(query, ops.swapaxes(key, -1, -2))
        # The softmax of half-precision scores loses too much; float32 costs little here.
        precise = keras.backend.result_type(self.compute_dtype, "float32")
        scores = ops.cast(scores, precise) + ops.cast(bias, precise)
        # Keras warns of a softmax over one entry, which is what a text of one token needs.
        one = scores.shape[-1] == 1
        probabilities = ops.ones_like(scores) if one else ops.softmax(scores, axis=-1)
        probabilities = ops.cast(probabilities, self.compute_dtype)
        context = ops.matmul(self.dropout(probabilities, training=training), value)
        context = ops.transpose(context, (0, 2, 1, 3))
        context = ops.reshape(context, (-1, *_lengths(hidden)))
        return self.output_projection(context), probabilities, (key, value)

    def _heads(self, x: Any) -> Any:
        """(batch, length, hidden) -> (batch, heads, length, head size)."""
        length = _lengths(x)[0]
        x = keras.ops.reshape(x, (-1, length, self.num_heads, self.head_size))
        return keras.ops.transpose(x, (0, 2, 1, 3))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "dropout": self.dropout_rate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def _lengths(x: Any) -> tuple[Any, Any]:
    shape = keras.ops.shape(x)
    return shape[1], shape[2]
