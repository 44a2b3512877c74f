"""`ULMFiTClassifier`: the head of ULMFiT's classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_pretrained.layers.blocks.block import BatchNormalization, Dense


@keras.saving.register_keras_serializable(package="keras_pretrained")
class ULMFiTClassifier(keras.layers.Layer):
    """Pooled vectors -> logits, by linear blocks: batch normalisation, dropout, a dense layer.

    Between the blocks there is a ReLU. Statistics are averaged as torch does (momentum 0.1 there
    is 0.9 here, epsilon 1e-5).

    Args:
        classes: number of logits.
        hidden_sizes: widths of the blocks before the last.
        dropouts: rate of each block. The paper's scripts have 0.4 and 0.1.
        activation: of the logits, e.g. `"softmax"`.

    Inputs: (batch, features), as `AWDLSTMEncoder(..., pooling="last-max-mean")` gives them.

    Example:

    ```python
    encoder = AWDLSTMEncoder("ulmfit-wt103", pooling="last-max-mean", bptt=70, kept_tokens=1400)
    token_ids = keras.Input((None,), dtype="int32")
    model = keras.Model(token_ids, ULMFiTClassifier(2)(encoder(token_ids)))
    ```

    Raises:
        ValueError: the inputs are not pooled, or there is not one rate a block.

    Reference: [Universal Language Model Fine-tuning for Text
    Classification](https://arxiv.org/abs/1801.06146), section 3.3.
    """

    def __init__(
        self,
        classes: int,
        *,
        hidden_sizes: Sequence[int] = (50,),
        dropouts: Sequence[float] = (0.4, 0.1),
        activation: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sizes = [*hidden_sizes, classes]
        if len(dropouts) != len(sizes):
            raise ValueError(
                f"`dropouts` must have one rate for each of the {len(sizes)} blocks. "
                f"Received: {list(dropouts)}"
            )
        self.classes = classes
        self.hidden_sizes = list(hidden_sizes)
        self.dropout_rates = list(dropouts)
        self.activation = keras.activations.get(activation)
        self.norms, self.dropouts, self.denses = [], [], []
        for index, (size, rate) in enumerate(zip(sizes, dropouts, strict=True)):
            is_last = index == len(sizes) - 1
            common = {"dtype": self.dtype_policy}
            self.norms.append(
                BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm_{index}", **common)
            )
            self.dropouts.append(keras.layers.Dropout(rate, name=f"dropout_{index}", **common))
            activation = self.activation if is_last else "relu"
            self.denses.append(Dense(size, activation=activation, name=f"dense_{index}", **common))

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 2:
            raise ValueError(
                f"Layer {self.name!r} takes one vector a text, (batch, features): make the encoder "
                f"with pooling='last-max-mean'. Received: shape {tuple(input_shape)}"
            )
        width = input_shape[-1]
        for norm, dense in zip(self.norms, self.denses, strict=True):
            norm.build((None, width))
            dense.build((None, width))
            width = dense.units

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = inputs
        for norm, dropout, dense in zip(self.norms, self.dropouts, self.denses, strict=True):
            x = dense(dropout(norm(x, training=training), training=training))
        return x

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        return (input_shape[0], self.classes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "classes": self.classes,
            "hidden_sizes": self.hidden_sizes,
            "dropouts": self.dropout_rates,
            "activation": keras.activations.serialize(self.activation),
        }
