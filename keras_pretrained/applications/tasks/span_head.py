"""`SpanHead`: vectors of tokens -> where a part of the text begins and ends."""

from __future__ import annotations

from typing import Any

import keras

_NEVER = -1e9


@keras.saving.register_keras_serializable(package="keras_pretrained")
class SpanHead(keras.layers.Layer):
    """One number a token for the begin of a span, and one for its end.

    Inputs: vectors (batch, length, width) and the padding mask (batch, length), 1 = real.

    Returns: float32 logits (batch, 2, length), begins first; a very small number on padding.

    Reference: [BERT](https://arxiv.org/abs/1810.04805), section 4.2.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.dense = keras.layers.Dense(2, dtype=self.dtype_policy, name="dense")

    def build(self, vectors_shape: Any, padding_mask_shape: Any = None) -> None:
        self.dense.build(vectors_shape)
        self.built = True

    def call(self, vectors: Any, padding_mask: Any) -> Any:
        ops = keras.ops
        logits = ops.cast(ops.transpose(self.dense(vectors), (0, 2, 1)), "float32")
        return ops.where(ops.cast(padding_mask, "bool")[:, None], logits, _NEVER)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: the logits say themselves what is padding."""
