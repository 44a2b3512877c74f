"""The one view that every checkpoint file offers: a read-only mapping of name -> lazy array."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

_SLICE = 1 << 14
"""Rows that are compared at a time."""


class CheckpointError(ValueError):
    """A file is not a readable checkpoint: broken, hostile, or of an unknown kind.

    The message names the file, the tensor where there is one, what was expected,
    what was found, and what to do.
    """


@dataclass(frozen=True)
class LazyArray:
    """One stored tensor: its name, shape and dtype are known, its bytes are not read yet.

    `read()` returns a read-only array. Where the container stores plain bytes it is a
    view into a memory map of the file, so nothing is copied until the values are used.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    _read: Callable[[], np.ndarray] = field(repr=False, compare=False)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """The values, read-only, of exactly the declared shape and dtype."""
        array = self._read()
        if array.shape != self.shape or array.dtype != self.dtype:
            raise CheckpointError(
                f"Tensor {self.name!r} was declared as {self.dtype}{list(self.shape)} but its "
                f"data reads as {array.dtype}{list(array.shape)}. The file is damaged: get it "
                "again."
            )
        if array.flags.writeable:
            array.flags.writeable = False
        return array

    def equals(self, other: LazyArray) -> bool:
        """Whether another tensor has the same shape and values; large ones are read in parts."""
        if self.shape != other.shape:
            return False
        ours, theirs = np.atleast_1d(self.read()), np.atleast_1d(other.read())
        parts = (slice(start, start + _SLICE) for start in range(0, len(ours), _SLICE))
        return all(np.array_equal(ours[part], theirs[part]) for part in parts)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.read(), dtype=dtype, copy=copy)


class Checkpoint(Mapping[str, LazyArray]):
    """The tensors of one checkpoint, by the names that its authors gave them.

    Attributes:
        path: the file or folder that was opened.
        format: the container, e.g. `"safetensors"` or `"tf-bundle"`.
        metadata: what else the container says about itself, as plain data.
    """

    def __init__(
        self,
        path: Path,
        format: str,
        arrays: Mapping[str, LazyArray],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.format = format
        self.metadata: Mapping[str, Any] = MappingProxyType(dict(metadata or {}))
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> LazyArray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"<Checkpoint {str(self.path)!r} ({self.format}, {len(self)} tensors)>"
