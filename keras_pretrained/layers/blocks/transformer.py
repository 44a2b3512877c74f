"""One block of a transformer encoder."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.layers.blocks.attention import Past, SelfAttention
from keras_pretrained.layers.blocks.block import Block, Dense
from keras_pretrained.layers.blocks.normalization import LayerNormalization


def gelu(approximate: bool) -> Any:
    """The Gaussian error linear unit: exact, or the tanh approximation of later BERT code."""
    return lambda x: keras.activations.gelu(x, approximate=approximate)


ACTIVATIONS = {"gelu": gelu(False), "gelu_tanh": gelu(True), "relu": keras.activations.relu}


class TransformerBlock(Block):
    """Post-norm block: `a = norm(x + attention(x))`, `y = norm(a + W2 act(W1 a))`.

    With `norm_first` a pre-norm block: `a = x + attention(norm(x))`, `y = a + W2 act(W1 norm(a))`.

    References: [BERT](https://arxiv.org/abs/1810.04805); GPT-2, "Language Models are Unsupervised
    Multitask Learners".

    Args:
        num_heads: attention heads.
        intermediate_size: width of the feed-forward layer.
        activation: `"gelu"` (exact), `"gelu_tanh"` or `"relu"`.
        dropout: rate on both sub-layer outputs.
        attention_dropout: rate on the attention probabilities.
        epsilon: of both layer normalisations.
        kernel_initializer: of all projections.
        norm_first: whether the normalisations stand before the sub-layers.
    """

    def __init__(
        self,
        num_heads: int,
        intermediate_size: int,
        activation: str = "gelu",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        epsilon: float = 1e-12,
        kernel_initializer: Any = "glorot_uniform",
        norm_first: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.norm_first = norm_first
        self.intermediate_size = intermediate_size
        self.activation = activation
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        policy = self.dtype_policy
        self.attention = SelfAttention(
            num_heads,
            attention_dropout,
            self.kernel_initializer.clone(),
            dtype=policy,
            name="attention",
        )
        self.attention_norm = LayerNormalization(epsilon, dtype=policy, name="attention_norm")
        self.output_norm = LayerNormalization(epsilon, dtype=policy, name="output_norm")
        self.dropout = keras.layers.Dropout(dropout, dtype=policy, name="dropout")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        hidden_size = input_shape[-1]
        self.intermediate = self._dense(self.intermediate_size, "intermediate")
        self.output_projection = self._dense(hidden_size, "output_projection")
        for layer in (self.attention, self.attention_norm, self.intermediate, self.output_norm):
            layer.build(input_shape)
        self.output_projection.build((*input_shape[:-1], self.intermediate_size))

    def call(
        self, hidden: Any, bias: Any, training: bool | None = None, return_scores: bool = False
    ) -> Any:
        """(batch, length, hidden size) -> the same shape, and the attention map if asked for."""
        hidden, scores, _ = self.run(hidden, bias, training)
        return (hidden, scores) if return_scores else hidden

    def run(
        self, hidden: Any, bias: Any, training: bool | None = None, past: Past | None = None
    ) -> tuple[Any, Any, tuple[Any, Any]]:
        """The output, the attention map, and the keys and values; see `SelfAttention.run`."""
        first = self.attention_norm(hidden) if self.norm_first else hidden
        attended, scores, kept = self.attention.run(first, bias, training, past)
        hidden = hidden + self.dropout(attended, training=training)
        hidden = hidden if self.norm_first else self.attention_norm(hidden)
        second = self.output_norm(hidden) if self.norm_first else hidden
        inner = ACTIVATIONS[self.activation](self.intermediate(second))
        hidden = hidden + self.dropout(self.output_projection(inner), training=training)
        hidden = hidden if self.norm_first else self.output_norm(hidden)
        return hidden, scores, kept

    def _dense(self, units: int | None, name: str) -> Dense:
        initializer = self.kernel_initializer.clone()
        return Dense(units, kernel_initializer=initializer, dtype=self.dtype_policy, name=name)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.attention.num_heads,
            "intermediate_size": self.intermediate_size,
            "activation": self.activation,
            "dropout": self.dropout.rate,
            "attention_dropout": self.attention.dropout_rate,
            "epsilon": self.attention_norm.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "norm_first": self.norm_first,
        }
