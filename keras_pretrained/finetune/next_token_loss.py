"""GPT's auxiliary objective: a classifier that goes on predicting the next token."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_pretrained")
class NextTokenLoss(keras.layers.Layer):
    """Adds the loss of a language model to that of a task: L_task + weight * L_next_token.

    In training it adds the mean over texts of the mean surprise at their tokens, each given those
    before it; padding does not count. What it returns is its first input, unchanged: the layer
    stands between the decoder and the head. Evaluation and inference are as without it.

    Args:
        weight: of the added loss; GPT's authors take 0.5.
        kwargs: of `keras.layers.Layer`.

    Inputs: a list of the tensor that goes through, of any shape (batch, ...); the logits of the
    next token, (batch, length, vocabulary); int32 `token_ids` and `padding_mask`, (batch, length).

    Example:

    ```python
    decoder = GPT2Decoder("gpt2", pooling="last")
    inputs = decoder.symbolic_inputs()
    found = decoder.features(inputs)
    vector = found["hidden_states"][-1][:, -1]
    ids, mask = inputs["token_ids"], inputs["padding_mask"]
    vector = NextTokenLoss(0.5)([vector, found["logits"], ids, mask])
    model = keras.Model(inputs, keras.layers.Dense(2)(vector))
    ```

    Raises:
        ValueError: a weight below 0.

    Reference: [Improving Language Understanding by Generative
    Pre-Training](https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf),
    section 3.2, equation 5.
    """

    def __init__(self, weight: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if weight < 0:
            raise ValueError(f"`weight` must be at least 0. Received: {weight!r}")
        self.weight = weight

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        passed, logits, token_ids, padding_mask = inputs
        if training:
            self.add_loss(self.weight * self._loss(logits, token_ids, padding_mask))
        return passed

    def _loss(self, logits: Any, token_ids: Any, padding_mask: Any) -> Any:
        ops = keras.ops
        real = ops.cast(padding_mask, "float32")
        counts = real[:, :-1] * real[:, 1:]
        surprise = keras.losses.sparse_categorical_crossentropy(
            token_ids[:, 1:], ops.cast(logits[:, :-1], "float32"), from_logits=True
        )
        by_text = ops.sum(surprise * counts, axis=1) / ops.maximum(ops.sum(counts, axis=1), 1.0)
        return ops.mean(by_text)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}
