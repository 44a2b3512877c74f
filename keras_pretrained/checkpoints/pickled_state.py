"""The tensors and settings inside an unpickled checkpoint object, by dotted path."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.pickled_numpy import PickledArray, PickledDtype
from keras_pretrained.checkpoints.pickled_plain import Allowed, Record
from keras_pretrained.checkpoints.torch_tensors import Tensor

ROOT_NAME = "tensor"
"""The name of a tensor that is the whole file."""

_MAX_DEPTH = 64
_MAX_VALUES = 1_000_000
# Checkpoints share a container here and there; lists of lists that share theirs are a bomb.
_MAX_SHARED = 10_000
# A path repeats the keys above it, so one long key would be copied for every value below.
_FREE_PATHS = 1_000_000
_MAX_MEAN_PATH = 256


def flatten(root: Any, where: str) -> tuple[dict[str, Tensor | np.ndarray], dict[str, Any]]:
    """Finds every tensor and every setting of a checkpoint object.

    A path joins the keys of dictionaries, the positions in lists and the attributes of records
    with dots: `{"state_dict": {"fc.weight": t}, "epoch": 3}` gives the tensor
    `state_dict.fc.weight` and the setting `epoch`. A list of plain values is one setting.

    Args:
        root: plain data with `Tensor`s in it, as the restricted unpickler makes it.
        where: the file, for error messages.

    Returns:
        Tensors and settings by path.

    Raises:
        CheckpointError: two tensors have one path, or the object is nested without end.
    """
    walk = _Walk(where)
    walk.visit("", root, 0)
    return walk.tensors, walk.settings


class _Walk:
    def __init__(self, where: str) -> None:
        self.where = where
        self.tensors: dict[str, Tensor | np.ndarray] = {}
        self.settings: dict[str, Any] = {}
        self.visited = 0
        self.containers: set[int] = set()
        self.shared = 0
        self.paths = 0

    def visit(self, path: str, value: Any, depth: int) -> None:
        self.visited += 1
        self.paths += len(path)
        if isinstance(value, dict | list | set | Record) or (type(value) is tuple and value):
            self.shared += id(value) in self.containers
            self.containers.add(id(value))
        if depth > _MAX_DEPTH or self.visited > _MAX_VALUES or self.shared > _MAX_SHARED:
            raise CheckpointError(
                f"{self.where} holds an object that is nested deeper than {_MAX_DEPTH} levels, has "
                f"more than {_MAX_VALUES} values, or contains itself, at {path[:200]!r}: it is no "
                "checkpoint."
            )
        if self.paths > _FREE_PATHS + _MAX_MEAN_PATH * self.visited:
            raise CheckpointError(
                f"{self.where} names its values by paths of more than {_MAX_MEAN_PATH} characters "
                f"each, at {path[:200]!r}: it is no checkpoint."
            )
        if isinstance(value, PickledArray):
            value = value.objects if value.array is None else value.array
            # `np.save` of a dictionary makes an array without dimensions around it.
            if isinstance(value, list) and len(value) == 1:
                value = value[0]
        if isinstance(value, Tensor | np.ndarray):
            self.store(path or ROOT_NAME, value)
        elif isinstance(value, dict):
            for key, part in value.items():
                self.visit(_join(path, _key(key)), part, depth + 1)
        elif isinstance(value, Record):
            if value.arguments:
                self.visit(path, value.arguments, depth + 1)
            self.visit(path, value.state, depth + 1)
        elif isinstance(value, list | tuple | set):
            self.visited += len(value)
            if all(_is_scalar(part) for part in value):
                self.settings.setdefault(path, [_plain(part) for part in value])
            else:
                for index, part in enumerate(value):
                    self.visit(_join(path, str(index)), part, depth + 1)
        elif _is_scalar(value):
            self.settings.setdefault(path, _plain(value))

    def store(self, path: str, value: Tensor | np.ndarray) -> None:
        if path in self.tensors:
            raise CheckpointError(
                f"{self.where} holds two tensors with the path {path[:200]!r}; no reader could "
                "tell them apart."
            )
        self.tensors[path] = value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def _key(key: Any) -> str:
    if isinstance(key, bytes):
        return key.decode("latin-1")
    if isinstance(key, tuple):
        return ",".join(_key(part) for part in key)
    return key.name if isinstance(key, Allowed) else str(key)


_SCALARS = frozenset((type(None), str, bytes, bool, int, float, complex, Allowed, PickledDtype))


def _is_scalar(value: Any) -> bool:
    return type(value) in _SCALARS


def _plain(value: Any) -> Any:
    if isinstance(value, Allowed):
        return value.name
    return str(value.dtype) if isinstance(value, PickledDtype) else value
