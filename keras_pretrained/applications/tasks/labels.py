"""The names of classes, and their numbers in a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Label = str | int


@dataclass(frozen=True)
class Labels:
    """Class names in the order of a network's outputs.

    Attributes:
        names: one a class; numbers from 0 where the classes have no names.
    """

    names: tuple[Label, ...]

    @classmethod
    def of(cls, classes: int | Sequence[Label]) -> Labels:
        """Of a number of classes, or of their names.

        Raises:
            ValueError: fewer than one class, or a name that stands twice.
        """
        if isinstance(classes, int | np.integer) and not isinstance(classes, bool):
            names: tuple[Label, ...] = tuple(range(int(classes)))
        elif isinstance(classes, str) or not isinstance(classes, Iterable):
            raise ValueError(
                f"`classes` must be their number or a list of their names. Received: {classes!r}"
            )
        else:
            names = tuple(name if isinstance(name, str) else int(name) for name in classes)
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if not names or twice:
            raise ValueError(
                f"`classes` must name one class or more, each once. Received: {classes!r}"
            )
        return cls(names)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def are_numbers(self) -> bool:
        """Whether the classes have no names."""
        return self.names == tuple(range(len(self.names)))

    def named_by(self, given: Iterable[Any]) -> Labels:
        """These labels, with names from the data where they have none.

        The names are sorted, as scikit-learn does it.

        Raises:
            ValueError: the data have another number of names than there are classes.
        """
        found = {_plain(label) for label in given}
        if not self.are_numbers or not any(isinstance(label, str) for label in found):
            return self
        if len(found) != len(self.names) or not all(isinstance(x, str) for x in found):
            raise ValueError(
                f"The task has {len(self.names)} classes without names, and the data {len(found)} "
                f"labels: {_listed(found)}. Pass the names: classes=[...]."
            )
        return Labels(tuple(sorted(map(str, found))))

    def numbers(self, given: Iterable[Any]) -> np.ndarray:
        """int32 (count,): the class of each label.

        Raises:
            ValueError: a label that is none of these; the message names its position.
        """
        known = {name: number for number, name in enumerate(self.names)}
        found = []
        for position, label in enumerate(given):
            number = known.get(_plain(label))
            if number is None:
                raise ValueError(
                    f"Label {position} is {label!r}. Expected one of: {_listed(self.names)}"
                )
            found.append(number)
        return np.array(found, "int32")

    def indicators(self, given: Iterable[Iterable[Any]]) -> np.ndarray:
        """float32 (count, classes): 1 for each label of a row, several or none."""
        rows = [self.numbers(_several(labels)) for labels in given]
        found = np.zeros((len(rows), len(self.names)), "float32")
        for row, numbers in zip(found, rows, strict=True):
            row[numbers] = 1
        return found


def _several(labels: Any) -> Iterable[Any]:
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        raise ValueError(
            f"Each example of a multi-label task has a list of labels. Received: {labels!r}"
        )
    return labels


def _plain(label: Any) -> Any:
    """A NumPy scalar as Python's."""
    label = label.item() if isinstance(label, np.generic) else label
    return label.decode() if isinstance(label, bytes) else label


def _listed(names: Iterable[Any]) -> str:
    ordered = sorted(map(repr, names))
    return ", ".join(ordered[:10]) + (", ..." if len(ordered) > 10 else "")
