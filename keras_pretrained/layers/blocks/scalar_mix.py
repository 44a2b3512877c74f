"""The trainable weighted sum of several layers' outputs."""

from __future__ import annotations

from typing import Any

import keras

_EPSILON = 1e-12


class ScalarMix(keras.layers.Layer):
    """`gamma * sum_j softmax(weights)_j * layer_j`, starting as the plain average.

    Reference: [Deep contextualized word representations](https://arxiv.org/abs/1802.05365),
    equation 1 and section 3.3.

    Args:
        layer_norm: whether each layer is normalised before: by the mean and the variance of all
            its numbers at the real positions of the batch.
        dropout: rate on the sum.
        l2: factor of a penalty on the squared weights, before the softmax, that keeps them near
            the average.
    """

    def __init__(
        self, layer_norm: bool = False, dropout: float = 0.0, l2: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.layer_norm = layer_norm
        self.l2 = l2
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape: Any) -> None:
        self.mix = self.add_weight(
            shape=(len(input_shape),),
            initializer="zeros",
            regularizer=keras.regularizers.L2(self.l2) if self.l2 else None,
            name="mix",
        )
        self.gamma = self.add_weight(shape=(), initializer="ones", name="gamma")

    def call(self, inputs: list[Any], real: Any = None, training: bool | None = None) -> Any:
        """A list of tensors of one shape -> one tensor of that shape.

        `real` (batch, length) is not zero where a position is real; None: all are.
        """
        if self.layer_norm:
            inputs = [_normalized(x, real) for x in inputs]
        shares = keras.ops.softmax(self.mix)
        mixed = self.gamma * sum(shares[index] * x for index, x in enumerate(inputs))
        return self.dropout(mixed, training=training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer_norm": self.layer_norm,
            "dropout": self.dropout.rate,
            "l2": self.l2,
        }


def _normalized(x: Any, real: Any) -> Any:
    ops = keras.ops
    precise = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    weights = ops.ones_like(precise[..., :1])
    if real is not None:
        weights = weights * ops.expand_dims(ops.cast(real, precise.dtype), -1)
    count = ops.maximum(ops.sum(weights) * x.shape[-1], 1.0)
    centred = precise - ops.sum(precise * weights) / count
    variance = ops.sum(ops.square(centred) * weights) / count
    return ops.cast(centred * ops.rsqrt(variance + _EPSILON), x.dtype)
