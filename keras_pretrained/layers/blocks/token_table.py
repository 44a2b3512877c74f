"""A table of tokens that loses whole rows in training, and the decoder that is tied to it."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.layers.blocks.block import Block
from keras_pretrained.layers.blocks.tensorflow import take_summed


class TokenTable(Block):
    """`table[ids]`; in training some tokens have zeros wherever they stand in the batch.

    The rows that stay are divided by `1 - row_dropout`. Behind that, features of a text are dropped
    at all of its positions.

    Args:
        rows: of the table.
        width: of a row.
        row_dropout: share of the rows that are dropped.
        dropout: share of the features that are dropped.
        initializer: of random values.
    """

    def __init__(
        self,
        rows: int,
        width: int,
        row_dropout: float = 0.0,
        dropout: float = 0.0,
        initializer: Any = "uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rows = rows
        self.width = width
        self.row_dropout = keras.layers.Dropout(row_dropout, name="row_dropout")
        self.dropout = keras.layers.SpatialDropout1D(
            dropout, dtype=self.dtype_policy, name="dropout"
        )
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape: Any = None) -> None:
        self.embeddings = self.add_weight(
            shape=(self.rows, self.width), initializer=self.initializer.clone(), name="embeddings"
        )

    def call(self, ids: Any, training: bool | None = None) -> Any:
        """int32 (batch, length) -> (batch, length, width)."""
        ops = keras.ops
        vectors = take_summed(self.embeddings, ids, training)
        if training and self.row_dropout.rate:
            factors = self.row_dropout(ops.ones((self.rows, 1), "float32"), training=True)
            vectors = vectors * ops.cast(ops.take(factors, ids, axis=0), vectors.dtype)
        return self.dropout(vectors, training=training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rows": self.rows,
            "width": self.width,
            "row_dropout": self.row_dropout.rate,
            "dropout": self.dropout.rate,
            "initializer": keras.initializers.serialize(self.initializer),
        }


class TiedDecoder(Block):
    """Hidden states -> logits of tokens, by the transposed token table and perhaps a bias.

    Args:
        rows: of the table.
        use_bias: whether there is a bias.
        dropout: share of the features of a text that are dropped at all positions in training.
    """

    def __init__(
        self, rows: int, use_bias: bool = True, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rows = rows
        self.use_bias = use_bias
        self.dropout = keras.layers.SpatialDropout1D(
            dropout, dtype=self.dtype_policy, name="dropout"
        )

    def build(self, input_shape: Any = None) -> None:
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.rows,), initializer="zeros", name="bias")

    def call(self, hidden: Any, table: Any, training: bool | None = None) -> Any:
        """(batch, length, width) and (rows, width) -> (batch, length, rows)."""
        ops = keras.ops
        hidden = self.dropout(hidden, training=training)
        logits = ops.matmul(hidden, ops.transpose(ops.cast(table, hidden.dtype)))
        return logits if self.bias is None else logits + self.bias

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rows": self.rows,
            "use_bias": self.use_bias,
            "dropout": self.dropout.rate,
        }
