"""Scores of choices, one a row, seen as one row an example."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_pretrained")
class ChoiceCrossentropy(keras.losses.SparseCategoricalCrossentropy):
    """Cross-entropy of a softmax over the choices of an example.

    The scores are (examples * choices, 1), the choices of an example behind one another; the
    targets (examples,): which choice is right.

    Args:
        choices: of an example.
        kwargs: of `keras.losses.SparseCategoricalCrossentropy`.
    """

    def __init__(self, choices: int, name: str = "choice_crossentropy", **kwargs: Any) -> None:
        super().__init__(**{"from_logits": True, **kwargs}, name=name)
        self.choices = choices

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return super().call(y_true, keras.ops.reshape(y_pred, (-1, self.choices)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "choices": self.choices}


@keras.saving.register_keras_serializable(package="keras_pretrained")
class ChoiceAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of examples whose right choice has the highest score.

    Args:
        choices: of an example; scores and targets are those of `ChoiceCrossentropy`.
    """

    def __init__(self, choices: int, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.choices = choices

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        scores = keras.ops.reshape(y_pred, (-1, self.choices))
        return super().update_state(y_true, scores, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "choices": self.choices}
