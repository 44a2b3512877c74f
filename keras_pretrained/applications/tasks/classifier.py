"""What all classifiers share, of texts and of images: labels in, labels out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_pretrained.applications.tasks.labels import Label, Labels
from keras_pretrained.applications.tasks.task import BATCH_SIZE, Task

if TYPE_CHECKING:
    _Mixed = Task
else:
    # Keras makes a functional model of each of a class's bases, and fails where it meets one twice.
    _Mixed = object


class Classifier(_Mixed):
    """Mixed into a task whose answers are one label an example, or several.

    Attributes:
        multi_label: whether an example may have several labels or none.
    """

    multi_label: bool = False
    _labels: Labels
    # Whether the network's outputs are logits; probabilities otherwise.
    _gives_logits: bool = False

    @property
    def labels(self) -> list[Label]:
        """The classes in the order of the outputs."""
        return list(self._labels.names)

    @property
    def threshold(self) -> float:
        """The output above which a label of several is given."""
        return 0.0 if self._gives_logits else 0.5

    def default_loss(self) -> Any:
        kind = keras.losses.SparseCategoricalCrossentropy
        if self.multi_label:
            kind = keras.losses.BinaryCrossentropy
        return kind(from_logits=self._gives_logits, reduction="mean_with_sample_weight")

    def default_metrics(self) -> list[Any]:
        if not self.multi_label:
            return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        return [keras.metrics.BinaryAccuracy(name="accuracy", threshold=self.threshold)]

    def targets(self, y: Any) -> np.ndarray:
        """Labels as the numbers that the loss takes, one row an example."""
        if self.multi_label:
            rows = [list(row) if not isinstance(row, str) else row for row in y]
            self._labels = self._labels.named_by(
                label for row in rows if not isinstance(row, str) for label in row
            )
            return self._labels.indicators(rows)
        self._labels = self._labels.named_by(y)
        return self._labels.numbers(y)

    def weighted(self, y: Any, sample_weight: Any, class_weight: Mapping[Any, float] | None) -> Any:
        if class_weight is None or self.multi_label:
            return super().weighted(y, sample_weight, class_weight)
        numbers = self.targets(y)
        by_class = np.ones(len(self._labels), "float32")
        by_class[self._labels.numbers(class_weight)] = [*class_weight.values()]
        weights = by_class[numbers]
        return weights if sample_weight is None else weights * np.asarray(sample_weight)

    def predict_proba(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> np.ndarray:
        """The network's outputs: float32 (examples, classes), in the order of `labels`."""
        return self.outputs_of(x, batch_size, **kwargs)

    def predict_top(
        self, x: Any, k: int = 5, batch_size: int = BATCH_SIZE, **kwargs: Any
    ) -> list[list[tuple[Label, float]]]:
        """The `k` best labels of each example with their outputs, the best first."""
        if not 1 <= k <= len(self._labels):
            raise ValueError(f"`k` must be from 1 to {len(self._labels)}. Received: {k!r}")
        outputs = self.outputs_of(x, batch_size, **kwargs)
        best = np.argsort(-outputs, axis=1, kind="stable")[:, :k]
        names = self.labels
        return [
            [(names[number], float(row[number])) for number in numbers]
            for row, numbers in zip(outputs, best, strict=True)
        ]

    def answers(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> list[Any]:
        outputs = self.outputs_of(x, batch_size, **kwargs)
        names = self.labels
        if not self.multi_label:
            return [names[number] for number in outputs.argmax(axis=-1)]
        return [
            [names[number] for number in np.flatnonzero(row)] for row in outputs > self.threshold
        ]
