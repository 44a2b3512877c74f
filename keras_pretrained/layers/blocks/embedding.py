"""The input of BERT-like encoders: token, position and segment tables, summed and normalised."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.layers.blocks.block import Block
from keras_pretrained.layers.blocks.normalization import LayerNormalization
from keras_pretrained.layers.blocks.tensorflow import take_summed


class Embeddings(Block):
    """`dropout(norm(token[ids] + position[0..length-1] + segment[segment_ids]))`.

    Args:
        vocabulary_size, max_positions, num_segments: rows of the three tables.
        hidden_size: width of the tables.
        epsilon: of the layer normalisation.
        dropout: rate after the normalisation.
        initializer: of the three tables.
    """

    def __init__(
        self,
        vocabulary_size: int,
        max_positions: int,
        num_segments: int,
        hidden_size: int,
        epsilon: float = 1e-12,
        dropout: float = 0.0,
        initializer: Any = "uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.max_positions = max_positions
        self.num_segments = num_segments
        self.hidden_size = hidden_size
        self.initializer = keras.initializers.get(initializer)
        self.norm = LayerNormalization(epsilon, dtype=self.dtype_policy, name="norm")
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape: Any = None) -> None:
        for name, rows in (
            ("word_embeddings", self.vocabulary_size),
            ("position_embeddings", self.max_positions),
            ("token_type_embeddings", self.num_segments),
        ):
            table = self.add_weight(
                shape=(rows, self.hidden_size),
                initializer=self.initializer.clone(),
                name=name,
            )
            setattr(self, name, table)
        self.norm.build((None, None, self.hidden_size))

    def call(self, token_ids: Any, segment_ids: Any, training: bool | None = None) -> Any:
        """(batch, length) ids and segments -> (batch, length, hidden size)."""
        ops = keras.ops
        length = token_ids.shape[1]
        # Lengths that are not known yet are no int; JAX has symbols for them.
        if isinstance(length, int) and length > self.max_positions:
            raise ValueError(
                f"The input is longer than the position table of layer {self.path!r}. Expected at "
                f"most {self.max_positions} tokens. Received: {length}. "
                f"Truncate the texts with max_length={self.max_positions}."
            )
        x = take_summed(self.word_embeddings, token_ids, training)
        x = x + take_summed(self.token_type_embeddings, segment_ids, training)
        count = ops.shape(token_ids)[1]
        if length is None or isinstance(length, int):
            x = x + self.position_embeddings[:count]
        else:
            # A slice up to a symbol might be shorter than the symbol says.
            x = x + ops.take(self.position_embeddings, ops.arange(count), axis=0)
        return self.dropout(self.norm(x), training=training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "max_positions": self.max_positions,
            "num_segments": self.num_segments,
            "hidden_size": self.hidden_size,
            "epsilon": self.norm.epsilon,
            "dropout": self.dropout.rate,
            "initializer": keras.initializers.serialize(self.initializer),
        }
