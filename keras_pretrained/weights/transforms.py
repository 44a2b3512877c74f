"""Named, reversible changes of layout between a checkpoint's tensors and a layer's variables.

A transform turns the arrays of one rule's sources into the arrays of its targets
(`forward`) and back (`backward`), bit for bit. Loading reads through the first, writing
a checkpoint in its original layout reads through the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Arrays = Sequence[np.ndarray]
Dims = Mapping[str, int]


class Transform(Protocol):
    """What a rule does to the arrays between source and target."""

    def forward(self, sources: Arrays, dims: Dims) -> Arrays:
        """Checkpoint arrays -> variable arrays, in the order of the rule's targets."""

    def backward(self, targets: Arrays, dims: Dims) -> Arrays:
        """Variable arrays -> checkpoint arrays, in the order of the rule's sources."""


class _OneToOne:
    def forward(self, sources: Arrays, dims: Dims) -> Arrays:
        return [self._forward(array, dims) for array in sources]

    def backward(self, targets: Arrays, dims: Dims) -> Arrays:
        return [self._backward(array, dims) for array in targets]

    def _forward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        return array

    def _backward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        return array


@dataclass(frozen=True)
class Identity(_OneToOne):
    """The same layout on both sides."""


@dataclass(frozen=True)
class Transpose(_OneToOne):
    """Permutes the axes; without `axes` it reverses them (torch `Linear` -> Keras `Dense`)."""

    axes: tuple[int, ...] | None = None

    def _forward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        return np.transpose(array, self.axes)

    def _backward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        inverse = None if self.axes is None else tuple(np.argsort(self.axes))
        return np.transpose(array, inverse)


@dataclass(frozen=True)
class Reshape(_OneToOne):
    """Splits or merges axes, e.g. heads: `Reshape(("hidden", "heads", "size"), ("hidden", -1))`.

    Each entry is a number, `-1` (at most one a side), or the name of a dimension.
    """

    source: tuple[int | str, ...]
    target: tuple[int | str, ...]

    def _forward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        return array.reshape(self._sizes(self.target, dims))

    def _backward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        return array.reshape(self._sizes(self.source, dims))

    @staticmethod
    def _sizes(shape: tuple[int | str, ...], dims: Dims) -> tuple[int, ...]:
        return tuple(dims[size] if isinstance(size, str) else size for size in shape)


@dataclass(frozen=True)
class Squeeze(_OneToOne):
    """Drops axes of size one that the checkpoint carries."""

    axes: tuple[int, ...]

    def _forward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        return np.squeeze(array, self.axes)

    def _backward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        return np.expand_dims(array, self.axes)


@dataclass(frozen=True)
class Slice(_OneToOne):
    """Drops `before` and `after` entries along an axis; writing puts `fill` in their place."""

    axis: int
    before: int = 0
    after: int = 0
    fill: float = 0.0

    def _forward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        window = [slice(None)] * array.ndim
        window[self.axis] = slice(self.before, array.shape[self.axis] - self.after)
        return array[tuple(window)]

    def _backward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        padding = [(0, 0)] * array.ndim
        padding[self.axis] = (self.before, self.after)
        return np.pad(array, padding, constant_values=self.fill)


@dataclass(frozen=True)
class ReorderGates(_OneToOne):
    """Permutes equal blocks along an axis, e.g. LSTM gates `ReorderGates("ijfo", "ifjo")`."""

    source: str
    target: str
    axis: int = -1

    def __post_init__(self) -> None:
        if sorted(self.source) != sorted(self.target) or len(set(self.source)) != len(self.source):
            raise ValueError(
                f"Both orders must name the same gates once. Received: {self.source!r}, "
                f"{self.target!r}"
            )

    def _forward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        return self._reorder(array, self.source, self.target)

    def _backward(self, array: np.ndarray, dims: Dims) -> np.ndarray:
        return self._reorder(array, self.target, self.source)

    def _reorder(self, array: np.ndarray, given: str, wanted: str) -> np.ndarray:
        blocks = np.split(array, len(given), axis=self.axis)
        return np.concatenate([blocks[given.index(gate)] for gate in wanted], axis=self.axis)


@dataclass(frozen=True)
class Fuse:
    """Joins several sources into one target along an axis (separate q, k, v -> one kernel)."""

    axis: int
    parts: int

    def forward(self, sources: Arrays, dims: Dims) -> Arrays:
        return [np.concatenate(sources, axis=self.axis)]

    def backward(self, targets: Arrays, dims: Dims) -> Arrays:
        return np.split(targets[0], self.parts, axis=self.axis)


@dataclass(frozen=True)
class Split:
    """Cuts one source into several equal targets along an axis (one kernel -> q, k, v)."""

    axis: int
    parts: int

    def forward(self, sources: Arrays, dims: Dims) -> Arrays:
        return np.split(sources[0], self.parts, axis=self.axis)

    def backward(self, targets: Arrays, dims: Dims) -> Arrays:
        return [np.concatenate(targets, axis=self.axis)]


@dataclass(frozen=True)
class Tie:
    """One target that the checkpoint stores `copies` times, which must hold equal values."""

    copies: int

    def forward(self, sources: Arrays, dims: Dims) -> Arrays:
        first, *others = sources
        for other in others:
            if first.shape != other.shape or not np.array_equal(first, other):
                raise ValueError("the tied tensors hold different values")
        return [first]

    def backward(self, targets: Arrays, dims: Dims) -> Arrays:
        return [targets[0]] * self.copies


@dataclass(frozen=True)
class FoldedRow:
    """A table on file; here that table, and a table of one row that is added to every entry.

    Reading gives a row of zeros. Writing adds the row to the table, which computes the same.
    """

    def forward(self, sources: Arrays, dims: Dims) -> Arrays:
        (table,) = sources
        return [table, np.zeros((1, *table.shape[1:]), table.dtype)]

    def backward(self, targets: Arrays, dims: Dims) -> Arrays:
        table, row = targets
        if row.shape[0] != 1:
            raise ValueError(
                f"Only one row can be added to all entries of a table. Received: {row.shape[0]}. "
                "This dialect has no segments."
            )
        # Adding zeros would change the sign of negative ones.
        return [table + row if row.any() else table]


class Chain:
    """Several transforms, one after the other."""

    def __init__(self, *steps: Transform) -> None:
        self.steps = steps

    def forward(self, sources: Arrays, dims: Dims) -> Arrays:
        for step in self.steps:
            sources = step.forward(sources, dims)
        return sources

    def backward(self, targets: Arrays, dims: Dims) -> Arrays:
        for step in reversed(self.steps):
            targets = step.backward(targets, dims)
        return targets

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(repr, self.steps))})"


IDENTITY = Identity()
TRANSPOSE = Transpose()
