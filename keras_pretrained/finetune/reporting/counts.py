"""What is counted of answers: a confusion matrix, or hits and misses of each label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Confusion:
    """How often which class was taken for which.

    Attributes:
        labels: names of the classes.
        counts: (classes, classes), true x predicted.
    """

    labels: tuple[str, ...]
    counts: np.ndarray

    @property
    def recall(self) -> np.ndarray:
        """Of each true class the share that was found; NaN for a class without examples."""
        return _shares(np.diag(self.counts), self.counts.sum(axis=1))

    @property
    def precision(self) -> np.ndarray:
        """Of each predicted class the share that was right; NaN where it was never predicted."""
        return _shares(np.diag(self.counts), self.counts.sum(axis=0))

    def mistakes(self) -> list[tuple[str, str, int]]:
        """(true, predicted, count) of all confusions, the most frequent first."""
        wrong = self.counts - np.diag(np.diag(self.counts))
        pairs = np.argwhere(wrong)
        order = np.argsort(-wrong[tuple(pairs.T)], kind="stable")
        return [
            (self.labels[true], self.labels[said], int(wrong[true, said]))
            for true, said in pairs[order].tolist()
        ]


@dataclass(frozen=True)
class LabelCounts:
    """One label of a task in which an example has several: numbers of examples.

    Attributes:
        found: that have it, and are said to.
        missed: that have it, and are not said to.
        wrong: that do not have it, and are said to.
    """

    name: str
    found: int
    missed: int
    wrong: int

    @property
    def recall(self) -> float:
        """NaN for a label without examples."""
        return float(_shares(self.found, self.found + self.missed))

    @property
    def precision(self) -> float:
        """NaN for a label that was never predicted."""
        return float(_shares(self.found, self.found + self.wrong))


def _shares(parts: Any, wholes: Any) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.divide(parts, wholes), "float64")
