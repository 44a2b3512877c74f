"""What a model's outputs say, held against the truth: losses, and what is right and wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_pretrained.finetune.reporting.counts import Confusion, LabelCounts

_SMALLEST = 1e-7
"""Probabilities are not taken for smaller in a logarithm; Keras' losses do the same."""


@dataclass(frozen=True)
class Answer:
    """What was true of an example and what the model said.

    Attributes:
        true, predicted: as text.
        true_probability, predicted_probability: as the model has them; None for numbers.
    """

    true: str
    predicted: str
    true_probability: float | None = None
    predicted_probability: float | None = None


class Answers(ABC):
    """Outputs and targets of one kind, batch by batch.

    Attributes:
        loss_name: what `add` returns.
        rows: number of examples so far.
        mean_loss: of them.
        right: how many of them were answered right; None where that is no question.
        right_name: what their share is called.
    """

    loss_name = "cross-entropy"
    rows = 0
    right: int | None = 0
    right_name = "accuracy"
    _total_loss = 0.0

    @property
    def mean_loss(self) -> float:
        return self._total_loss / self.rows

    def add(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The loss of each example of a batch, whose counts are added.

        Args:
            outputs: float64 (rows, numbers).
            targets: as the model's loss takes them.
        """
        losses = self._add(outputs, self._checked(outputs, targets))
        self.rows += len(outputs)
        self._total_loss += float(losses.sum())
        return losses

    @abstractmethod
    def answer(self, output: np.ndarray, target: np.ndarray) -> Answer:
        """Of one example."""

    @abstractmethod
    def _checked(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The targets in the form that is worked with."""

    @abstractmethod
    def _add(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray: ...


class Classes(Answers):
    """One class an example, from one output a class, or from a single one for two classes."""

    def __init__(self, labels: Sequence[str], single: bool, logits: bool | None) -> None:
        self.labels = tuple(labels)
        self.counts = np.zeros((len(labels), len(labels)), int)
        self.right = 0
        self._single = single
        self._logits = logits

    @property
    def confusion(self) -> Confusion:
        return Confusion(self.labels, self.counts)

    def _checked(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        count = len(self.labels)
        if targets.ndim == 2 and targets.shape[1] == count > 1 and not self._single:
            if not np.allclose(targets.sum(axis=1), 1, atol=1e-3):
                raise ValueError(
                    "Expected one class an example: rows of targets whose sum is 1. For several "
                    "labels an example, compile with a binary cross-entropy."
                )
            return targets.argmax(axis=1)
        classes = targets.reshape(len(targets), -1)
        if classes.shape[1] != 1 or not np.isin(classes, np.arange(count)).all():
            raise ValueError(
                f"Expected targets from 0 to {count - 1}, one an example, or rows of {count}. "
                f"Received: shape {targets.shape}, values from {targets.min()} to {targets.max()}"
            )
        return classes[:, 0].astype(int)

    def _add(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        logs = self._log_probabilities(outputs)
        predicted = logs.argmax(axis=1)
        np.add.at(self.counts, (targets, predicted), 1)
        self.right = int(np.trace(self.counts))
        return -logs[np.arange(len(logs)), targets]

    def answer(self, output: np.ndarray, target: np.ndarray) -> Answer:
        (true,) = self._checked(output[None], target[None])
        (logs,) = self._log_probabilities(output[None])
        predicted, found = int(logs.argmax()), np.exp(logs)
        return Answer(
            self.labels[true], self.labels[predicted], float(found[true]), float(found[predicted])
        )

    def _log_probabilities(self, outputs: np.ndarray) -> np.ndarray:
        if self._single:
            logits = outputs if self._logits else _logit(outputs)
            return -np.logaddexp(0, np.concatenate([logits, -logits], axis=1))
        if self._logits:
            return outputs - np.logaddexp.reduce(outputs, axis=1, keepdims=True)
        return np.log(np.maximum(outputs, _SMALLEST))


class SeveralLabels(Answers):
    """Any number of labels an example: one output and one target of 0 or 1 for each."""

    loss_name = "mean binary cross-entropy"
    right_name = "all labels right"

    def __init__(self, labels: Sequence[str], logits: bool | None) -> None:
        self.labels = tuple(labels)
        self.right = 0
        self._logits = logits
        self._counts = np.zeros((3, len(labels)), int)

    @property
    def table(self) -> tuple[LabelCounts, ...]:
        counts = self._counts.T.tolist()
        return tuple(LabelCounts(name, *row) for name, row in zip(self.labels, counts, strict=True))

    def _checked(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        if targets.shape != outputs.shape or not np.isin(targets, (0, 1)).all():
            raise ValueError(
                f"Expected targets of 0 or 1 in the shape of the outputs, {outputs.shape}. "
                f"Received: shape {targets.shape}, values from {targets.min()} to {targets.max()}"
            )
        return targets.astype(bool)

    def _add(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        logits = self._logit_of(outputs)
        said = logits > 0
        self.right = int(self.right or 0) + int((said == targets).all(axis=1).sum())
        self._counts += [
            (said & targets).sum(axis=0),
            (~said & targets).sum(axis=0),
            (said & ~targets).sum(axis=0),
        ]
        return np.logaddexp(0, np.where(targets, -logits, logits)).mean(axis=1)

    def answer(self, output: np.ndarray, target: np.ndarray) -> Answer:
        said = self._logit_of(output) > 0
        return Answer(self._text(target.astype(bool)), self._text(said))

    def _logit_of(self, outputs: np.ndarray) -> np.ndarray:
        return outputs if self._logits else _logit(outputs)

    def _text(self, chosen: np.ndarray) -> str:
        names = [name for name, is_one in zip(self.labels, chosen, strict=True) if is_one]
        return ", ".join(names) or "none"


class Numbers(Answers):
    """Outputs that are to be near a number."""

    loss_name = "squared error"
    right = None

    def _checked(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        if targets.size != outputs.size:
            raise ValueError(
                f"Expected as many targets as outputs. Received: targets of shape {targets.shape}, "
                f"outputs of shape {outputs.shape}"
            )
        return targets.reshape(outputs.shape).astype("float64")

    def _add(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return np.square(outputs - targets).mean(axis=1)

    def answer(self, output: np.ndarray, target: np.ndarray) -> Answer:
        return Answer(_listed(target), _listed(output))


def _logit(probabilities: np.ndarray) -> np.ndarray:
    inside = np.clip(probabilities, _SMALLEST, 1 - _SMALLEST)
    return np.log(inside) - np.log1p(-inside)


def _listed(values: np.ndarray) -> str:
    numbers = [f"{value:.4g}" for value in np.ravel(values)[:8]]
    return ", ".join(numbers) + (", ..." if np.size(values) > 8 else "")
