"""The input of BERT-like encoders: token, position and segment tables, summed and normalised."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.layers.blocks.block import Block, Dense
from keras_pretrained.layers.blocks.normalization import LayerNormalization
from keras_pretrained.layers.blocks.tensorflow import take_summed


class Embeddings(Block):
    """`dropout(norm(token[ids] + position[0..length-1] + segment[segment_ids]))`.

    Without segment ids every token is of segment 0.

    Args:
        vocabulary_size, num_segments: rows of the two tables; no segments, no second table.
        max_positions: the longest input.
        hidden_size: width of a hidden state.
        epsilon: of the layer normalisation.
        dropout: rate after the normalisation.
        initializer: of the tables.
        position_offset: rows of the position table that are no positions.
        count_real: whether positions are counted over real tokens only, so that they do not depend
            on the side of the padding; by default where there are rows that are no positions
            (fairseq, RoBERTa).
        normalize: whether there is a normalisation.
        embedding_size: width of the tables where it is not the hidden size; a projection behind
            the normalisation and the dropout makes hidden states of them (ALBERT, ELECTRA).
        projection: whether that projection is there; by default when the two sizes differ.
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
        position_offset: int = 0,
        embedding_size: int | None = None,
        projection: bool | None = None,
        count_real: bool | None = None,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.max_positions = max_positions
        self.num_segments = num_segments
        self.hidden_size = hidden_size
        self.position_offset = position_offset
        self.count_real = position_offset > 0 if count_real is None else count_real
        self.embedding_size = hidden_size if embedding_size is None else embedding_size
        self.projection: Dense | None = None
        if self.embedding_size != hidden_size if projection is None else projection:
            self.projection = Dense(
                hidden_size,
                kernel_initializer=keras.initializers.get(initializer),
                dtype=self.dtype_policy,
                name="projection",
            )
        self.initializer = keras.initializers.get(initializer)
        self.epsilon = epsilon
        self.norm: LayerNormalization | None = None
        if normalize:
            self.norm = LayerNormalization(epsilon, dtype=self.dtype_policy, name="norm")
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape: Any = None) -> None:
        for name, rows in (
            ("word_embeddings", self.vocabulary_size),
            ("position_embeddings", self.max_positions + self.position_offset),
            ("token_type_embeddings", self.num_segments),
        ):
            if not rows:
                continue
            table = self.add_weight(
                shape=(rows, self.embedding_size),
                initializer=self.initializer.clone(),
                name=name,
            )
            setattr(self, name, table)
        if self.norm is not None:
            self.norm.build((None, None, self.embedding_size))
        if self.projection is not None:
            self.projection.build((None, None, self.embedding_size))

    def call(
        self,
        token_ids: Any,
        segment_ids: Any = None,
        padding_mask: Any = None,
        training: bool | None = None,
        positions: Any = None,
    ) -> Any:
        """(batch, length) ids, segments and mask -> (batch, length, hidden size).

        `positions` are counted when they are not given.
        """
        length = token_ids.shape[1]
        # Lengths that are not known yet are no int; JAX has symbols for them.
        if isinstance(length, int) and length > self.max_positions:
            raise ValueError(
                f"The input is longer than the position table of layer {self.path!r}. Expected at "
                f"most {self.max_positions} tokens. Received: {length}. "
                f"Truncate the texts with max_length={self.max_positions}."
            )
        x = take_summed(self.word_embeddings, token_ids, training)
        if segment_ids is not None:
            x = x + take_summed(self.token_type_embeddings, segment_ids, training)
        elif self.num_segments:
            x = x + self.token_type_embeddings[0]
        if positions is None:
            x = x + self._positions(token_ids, padding_mask, training)
        else:
            x = x + take_summed(self.position_embeddings, positions, training)
        x = x if self.norm is None else self.norm(x)
        x = self.dropout(x, training=training)
        return x if self.projection is None else self.projection(x)

    def _positions(self, token_ids: Any, padding_mask: Any, training: bool | None) -> Any:
        ops = keras.ops
        if self.count_real:
            # Wherever the padding stands; it has the last row that is no position, if there is one.
            mask = ops.cast(padding_mask, "int32")
            if token_ids.shape[1] is None:
                # Under XLA, indices behind a table give its last row: rather than that, an input
                # that is too long must not have the shape of its places.
                mask = mask * ops.ones((self.max_positions,), "int32")[: ops.shape(token_ids)[1]]
            positions = ops.cumsum(mask, axis=1) * mask + (self.position_offset - 1)
            positions = positions if self.position_offset else ops.maximum(positions, 0)
            return take_summed(self.position_embeddings, positions, training)
        length, count = token_ids.shape[1], ops.shape(token_ids)[1]
        if length is None or isinstance(length, int):
            return self.position_embeddings[:count]
        # A slice up to a symbol might be shorter than the symbol says.
        return ops.take(self.position_embeddings, ops.arange(count), axis=0)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "max_positions": self.max_positions,
            "num_segments": self.num_segments,
            "hidden_size": self.hidden_size,
            "epsilon": self.epsilon,
            "dropout": self.dropout.rate,
            "initializer": keras.initializers.serialize(self.initializer),
            "position_offset": self.position_offset,
            "embedding_size": self.embedding_size,
            "projection": self.projection is not None,
            "count_real": self.count_real,
            "normalize": self.norm is not None,
        }
