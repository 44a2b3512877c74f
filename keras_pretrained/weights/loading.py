"""Checkpoint -> variables: every tensor on both sides is used or ignored by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any, Protocol

import numpy as np

from keras_pretrained.checkpoints import Checkpoint, CheckpointError
from keras_pretrained.weights.report import LoadReport, Problems, WeightsError, shortened
from keras_pretrained.weights.weight_map import BoundRule, NameMap, WeightMap

_ADVICE = (
    "Check that the architecture (its configuration file or preset) is the checkpoint's own, "
    "or name the naming scheme with `dialect=`."
)

_PLACEHOLDERS = 64 * 2**20
"""Bytes of zeros, beyond the checkpoint's own size, that a failing loading may hold."""


class Variable(Protocol):
    """What loading needs of a variable; a Keras variable is one."""

    @property
    def shape(self) -> Any: ...

    @property
    def dtype(self) -> Any: ...

    def assign(self, value: Any) -> Any: ...


class WeightReader:
    """Reads variables out of one checkpoint through one map and keeps the account.

    Args:
        checkpoint: the opened file.
        weight_map: the dialect's rules.
        dims: sizes of the architecture that patterns and transforms refer to by name.
    """

    def __init__(
        self, checkpoint: Checkpoint, weight_map: NameMap, dims: Mapping[str, int]
    ) -> None:
        self.checkpoint = checkpoint
        self.weight_map = weight_map
        self.dims = dict(dims)
        self.problems = Problems()
        self._loaded: dict[str, tuple[str, ...]] = {}
        self._budget = _PLACEHOLDERS + sum(array.nbytes for array in checkpoint.values())

    def read(self, target: str, shape: Sequence[int]) -> np.ndarray | None:
        """The values for one variable as a read-only array, or None when a problem was noted."""
        found = [
            rule
            for rule in self.weight_map.candidates(target, self.dims)
            if all(name in self.checkpoint for name in rule.sources)
        ]
        if len(found) != 1:
            self._note_count(target, found)
            return None
        (rule,) = found
        self._loaded[target] = rule.sources
        try:
            array = self._transformed(rule)[rule.targets.index(target)]
        except CheckpointError:
            raise
        except (ValueError, IndexError, KeyError) as error:
            self.problems.unfit[target] = f"{_stored(self.checkpoint, rule)}: {error}"
            return None
        if array.shape != tuple(shape):
            self.problems.unfit[target] = (
                f"expected shape {list(shape)}, received {list(array.shape)} "
                f"from {_stored(self.checkpoint, rule)}"
            )
            return None
        if array.dtype.kind in "biuOSU":
            # Whole numbers are quantised values: without their scales they mean nothing.
            self.problems.unfit[target] = (
                f"expected floating-point values, received {_stored(self.checkpoint, rule)}"
            )
            return None
        return array

    def placeholder(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """Zeros in place of a variable that could not be read; `finish` will raise.

        A damaged configuration can ask for any size: placeholders may not take more memory
        than the checkpoint itself would.

        Raises:
            WeightsError: with all problems noted so far, when they would.
        """
        self._budget -= prod(shape) * np.dtype(dtype).itemsize
        if self._budget < 0:
            raise self.problems.error(self.checkpoint.path, self.weight_map.dialect, _ADVICE)
        return np.zeros(shape, dtype)

    def finish(self) -> LoadReport:
        """The report, once every variable has been read.

        Raises:
            WeightsError: lists all that is missing, ambiguous, unused or of a wrong shape.
        """
        used = {name for names in self._loaded.values() for name in names}
        ignored: dict[str, str] = {}
        for name in self.checkpoint:
            if name in used:
                continue
            reason = self.weight_map.reason_to_ignore(name)
            if reason is None:
                self.problems.unused.append(name)
            else:
                ignored[name] = reason
        if self.problems:
            raise self.problems.error(self.checkpoint.path, self.weight_map.dialect, _ADVICE)
        return LoadReport(
            path=self.checkpoint.path,
            format=self.checkpoint.format,
            dialect=self.weight_map.dialect,
            loaded=self._loaded,
            ignored=ignored,
        )

    def _transformed(self, rule: BoundRule) -> Sequence[np.ndarray]:
        arrays = [self.checkpoint[name].read() for name in rule.sources]
        return rule.transform.forward(arrays, self.dims)

    def _note_count(self, target: str, found: list[BoundRule]) -> None:
        if found:
            self.problems.ambiguous[target] = " and ".join(str(list(r.sources)) for r in found)
            # What is claimed twice is not unused as well: one problem, one line.
            self._loaded[target] = tuple(name for rule in found for name in rule.sources)
        else:
            tried = self.weight_map.candidates(target, self.dims)
            names = [" + ".join(rule.sources) for rule in tried]
            self.problems.missing[target] = (
                f"expected {' or '.join(names)}" if names else "no rule of this dialect makes it"
            )


def load_weights(
    variables: Mapping[str, Variable],
    checkpoint: Checkpoint,
    weight_map: WeightMap,
    dims: Mapping[str, int],
) -> LoadReport:
    """Assigns every variable from a checkpoint; nothing is assigned unless everything fits.

    Args:
        variables: path below the layer -> variable.
        checkpoint: the opened file.
        weight_map: the dialect's rules.
        dims: sizes of the architecture that patterns and transforms refer to by name.

    Raises:
        WeightsError: lists all that is missing, ambiguous, unused or of a wrong shape.
    """
    reader = WeightReader(checkpoint, weight_map, dims)
    arrays = {path: reader.read(path, variable.shape) for path, variable in variables.items()}
    report = reader.finish()
    for path, variable in variables.items():
        variable.assign(owned(arrays[path], variable.dtype))
    return report


def owned(array: Any, dtype: Any) -> np.ndarray:
    """A copy in memory of our own: backends may alias what they get, and files change."""
    return np.array(array, dtype=np.dtype(dtype), order="C", copy=True)


def select_map(
    checkpoint: Checkpoint,
    maps: Sequence[WeightMap],
    dims: Mapping[str, int],
    dialect: str = "auto",
) -> WeightMap:
    """The map whose rules know the checkpoint's names.

    Args:
        dialect: `"auto"`, or the name of one of the maps.

    Raises:
        WeightsError: no map, or more than one, speaks this checkpoint's names.
    """
    if not maps:
        raise WeightsError(
            f"The checkpoint {str(checkpoint.path)!r} cannot be loaded: this layer has no "
            "dialects. Load the weights into its source before the layer is made from it."
        )
    names = ", ".join(repr(weight_map.dialect) for weight_map in maps)
    if dialect != "auto":
        for weight_map in maps:
            if weight_map.dialect == dialect:
                return weight_map
        raise WeightsError(
            f"Unknown dialect. Expected 'auto' or one of {names}. Received: {dialect!r}"
        )
    maps = [m for m in maps if not m.by_name_only]
    counts = {m.dialect: len(m.known(checkpoint, dims)) for m in maps}
    best = max(counts.values())
    winners = [m for m in maps if counts[m.dialect] == best]
    if best == 0:
        raise WeightsError(
            f"The tensor names of {str(checkpoint.path)!r} belong to no dialect of this layer "
            f"({names}). Found {len(checkpoint)} tensors: {shortened(sorted(checkpoint))}."
        )
    if len(winners) > 1:
        raise WeightsError(
            f"The tensor names of {str(checkpoint.path)!r} fit several dialects equally well: "
            f"{', '.join(repr(m.dialect) for m in winners)}. Name one with `dialect=`."
        )
    return winners[0]


def _stored(checkpoint: Checkpoint, rule: BoundRule) -> str:
    return " + ".join(
        f"{name} {checkpoint[name].dtype}{list(checkpoint[name].shape)}" for name in rule.sources
    )


class _Filling:
    """While a layer is built: where its variables take their first values from."""

    def __init__(self, reader: WeightReader, root: str) -> None:
        self.reader = reader
        self.root = root


_FILLING: ContextVar[_Filling | None] = ContextVar("filling", default=None)


@contextmanager
def filling(reader: WeightReader, root: str) -> Iterator[None]:
    """Within the block, variables built below the path `root` are created from the checkpoint.

    An empty root means layers that stand in no other layer. A variable so created is allocated
    once: it never holds random values first.
    """
    token = _FILLING.set(_Filling(reader, f"{root}/" if root else ""))
    try:
        yield
    finally:
        _FILLING.reset(token)


def stored_initializer(path: str) -> Any:
    """An initializer that yields the stored values of the variable at `path`.

    None when nothing is being loaded, or when the path lies outside the layer being loaded.
    """
    state = _FILLING.get()
    if state is None or not path.startswith(state.root):
        return None
    target = path.removeprefix(state.root)

    def initializer(shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        array = state.reader.read(target, shape)
        return state.reader.placeholder(shape, dtype) if array is None else owned(array, dtype)

    return initializer
