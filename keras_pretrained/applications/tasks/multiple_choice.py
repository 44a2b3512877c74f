"""`MultipleChoice`: a prompt and several choices -> the choice that fits best."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_pretrained.applications.tasks.choice_scores import ChoiceAccuracy, ChoiceCrossentropy
from keras_pretrained.applications.tasks.task import BATCH_SIZE
from keras_pretrained.applications.tasks.text_source import text_encoder
from keras_pretrained.applications.tasks.text_task import TextTask, row_batches

Question = tuple[str, Sequence[str]]


@keras.saving.register_keras_serializable(package="keras_pretrained")
class MultipleChoice(TextTask):
    """A prompt with several choices in, the choice that fits best out.

    A functional model on the token ids of one pair (prompt, choice): the pretrained encoder with
    its vector of a text, dropout and a dense layer that gives one score. `fit` keeps the pairs of
    an example side by side in a batch and takes a softmax over their scores.

    Args:
        source: a preset name, a path, or a text layer with `pooling`.
        choices: of each example, 2 or more.
        dropout: rate before the dense layer.
        pooling: the vector of a text; `"auto"` for the one that the authors of the checkpoint put
            a classifier on.
        name: of the model.
        options: of the encoder: `trainable_from`, `max_length`, `weights`, ...

    Material: `fit(questions, answers)` with a list of `(prompt, [choice, ...])`, and for each the
    right choice, as its index or its text. `predict(questions)` returns the texts of the best
    choices, `predict_proba(questions)` the probabilities (questions, choices). Arrays of a
    tokenizer go through `finetune.bucket_by_length(..., rows_per_example=choices)`.

    Example:

    ```python
    model = MultipleChoice("minilm-l6", choices=2)
    questions = [
        ("He opened the umbrella because", ["it rained.", "it was Monday."]),
        ("She lit a candle because", ["the sun shone.", "the light went out."]),
    ]
    model.fit(questions, ["it rained.", 1], epochs=3)
    model.predict(questions)
    ```

    Raises:
        ValueError: a wrong argument, an example with another number of choices, or an answer that
            is none of them.

    References: [SWAG](https://arxiv.org/abs/1808.05326); [BERT](https://arxiv.org/abs/1810.04805),
    section 4.4; [GPT](https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf),
    section 3.3.
    """

    pairs = True

    def __init__(
        self,
        source: Any,
        choices: int = 4,
        *,
        dropout: float = 0.1,
        pooling: str = "auto",
        name: str | None = None,
        **options: Any,
    ) -> None:
        if not isinstance(choices, int) or choices < 2:
            raise ValueError(f"`choices` must be their number, 2 or more. Received: {choices!r}")
        encoder = text_encoder(source, pooling, options)
        inputs = encoder.symbolic_inputs()
        vector = keras.layers.Dropout(dropout, name="dropout")(encoder(inputs))
        scores = keras.layers.Dense(1, name="score")(vector)
        super().__init__(inputs=inputs, outputs=scores, name=name or "multiple_choice")
        self.choices = choices
        self._dropout = dropout

    @property
    def text_names(self) -> tuple[str, ...]:
        return ("prompt", "choice")

    def is_material(self, x: Any) -> bool:
        if not isinstance(x, list):
            return False
        return not x or (isinstance(x[0], tuple | list) and bool(x[0]) and isinstance(x[0][0], str))

    def default_loss(self) -> Any:
        return ChoiceCrossentropy(self.choices, reduction="mean_with_sample_weight")

    def default_metrics(self) -> list[Any]:
        return [ChoiceAccuracy(self.choices)]

    def batches(
        self,
        x: list[Question],
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = BATCH_SIZE,
        training: bool = False,
    ) -> Any:
        self.check_counts(x, answers=y, weights=sample_weight)
        self._check(x)
        targets = None if y is None else self._right_choices(x, y)
        prompts = [prompt for prompt, _ in x for _ in range(self.choices)]
        choices = [choice for _, several in x for choice in several]
        arrays = self.arrays_of((prompts, choices))
        return row_batches(
            arrays, targets, sample_weight, batch_size, training, rows_per_example=self.choices
        )

    def predict_proba(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> np.ndarray:
        """The probability of each choice: float32 (questions, choices)."""
        scores = self.outputs_of(x, batch_size, **kwargs).reshape(-1, self.choices)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def answers(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> list[str]:
        best = self.predict_proba(x, batch_size, **kwargs).argmax(axis=1)
        return [choices[number] for (_, choices), number in zip(x, best, strict=True)]

    def get_config(self) -> dict[str, Any]:
        return {
            "source": keras.saving.serialize_keras_object(self.backbone),
            "choices": self.choices,
            "dropout": self._dropout,
            "name": self.name,
        }

    def _check(self, x: list[Question]) -> None:
        """Raises a ValueError where an example is no prompt with the right number of choices."""
        for number, example in enumerate(x):
            match example:
                case (str(), [*choices]) if len(choices) == self.choices and all(
                    isinstance(choice, str) for choice in choices
                ):
                    continue
            raise ValueError(
                f"Example {number} of {type(self).__name__} {self.name!r} must be a prompt with "
                f"{self.choices} choices: (str, [str, ...]). Received: {_short(example)}"
            )

    def _right_choices(self, x: list[Question], y: Sequence[Any]) -> np.ndarray:
        """int32 (examples,): which choice is right."""
        found = []
        for number, ((_, choices), answer) in enumerate(zip(x, y, strict=True)):
            if isinstance(answer, str):
                right = [*choices].index(answer) if answer in choices else -1
            else:
                right = operator.index(answer)
            if not 0 <= right < self.choices:
                raise ValueError(
                    f"Answer {number} must be one of the choices, or an index below "
                    f"{self.choices}. Received: {answer!r} for {_short(choices)}"
                )
            found.append(right)
        return np.array(found, "int32")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
