"""Depth as one argument: which stages of a network are frozen by `trainable_from=k`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

State = dict[str, Any]
"""The tensors that pass from one stage to the next, by name."""

Depth = int | str | None
"""What `trainable_from` may be."""


@dataclass(frozen=True)
class StageCall:
    """How a network is being run.

    Attributes:
        training: whether the stage trains; False for every frozen stage, so that its
            normalisation and dropout stay in inference mode.
        features: whether all intermediate results are wanted.
        keep_statistics: whether batch normalisations keep their statistics even in stages that
            train.
        results: names of the stages whose results are the output, if it is not the network's own.
    """

    training: bool = False
    features: bool = False
    keep_statistics: bool = False
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """A step of a network that is frozen, rated, cached and split as one.

    Attributes:
        name: `stem`, `layer_0`, ... or the published block name.
        layers: the Keras layers that hold its variables. A layer that serves several stages
            belongs to the earliest.
        run: computes the next state; it must not hold variables of its own.
        head: whether this is an original head behind the last block.
    """

    name: str
    layers: tuple[Any, ...]
    run: Callable[[State, StageCall], State] = field(repr=False)
    head: bool = False


def first_trainable(stages: Sequence[Stage], trainable_from: Depth) -> int:
    """The index of the first stage that trains; `len(stages)` when none does.

    | `trainable_from` | frozen |
    |---|---|
    | `0` or `"stem"` | nothing |
    | `k` in 1..n-1 | the stem and the first k of the n blocks |
    | `-m` in -n..-1 | all but the last m blocks and the heads |
    | a stage's name | everything before that stage |
    | `n` or `None` | everything, original heads included |

    Raises:
        ValueError: anything else; the message lists what is valid.
    """
    names = [stage.name for stage in stages]
    blocks = [index for index, stage in enumerate(stages) if _is_block(stage)]
    count = len(blocks)
    if trainable_from is None:
        return len(stages)
    if isinstance(trainable_from, str):
        if trainable_from in names:
            return names.index(trainable_from)
        if trainable_from == "stem":
            return 0
    elif not isinstance(trainable_from, bool):
        try:
            depth = operator.index(trainable_from)
        except TypeError:
            raise _invalid(names, count, trainable_from) from None
        if depth == 0:
            return 0
        if depth == count:
            return len(stages)
        if -count <= depth < count:
            return blocks[depth]
    raise _invalid(names, count, trainable_from)


def plain(trainable_from: Depth) -> Depth:
    """The same depth with NumPy numbers made Python's, as a configuration holds it."""
    if trainable_from is None or isinstance(trainable_from, str):
        return trainable_from
    return operator.index(trainable_from)


def _is_block(stage: Stage) -> bool:
    return not stage.head and stage.name != "stem"


def _invalid(names: Sequence[str], count: int, received: object) -> ValueError:
    numbers = (
        f"None or {count} (all frozen), 0 (all trains), a number of frozen blocks from 1 to "
        f"{count - 1}, a number of trainable blocks from -{count} to -1"
    )
    return ValueError(
        "Invalid value for `trainable_from`. Expected "
        f"{numbers if count else 'None (all frozen), 0 (all trains)'}, or the name of the first "
        f"trainable stage: {', '.join(names)}. Received: {received!r}"
    )


def without_gradient(state: State) -> State:
    """The same tensors, through which no gradient passes."""
    return {name: keras.ops.stop_gradient(tensor) for name, tensor in state.items()}


def check_names(stages: Sequence[Stage]) -> None:
    """Raises ValueError when two stages share a name."""
    names = [stage.name for stage in stages]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Stage names must be unique. Received twice: {', '.join(twice)}")


def apply_depth(stages: Sequence[Stage], first: int) -> None:
    """Sets `trainable` on every layer of every stage.

    Stages are visited from the top down, so that a layer which serves several of them ends
    with the setting of the earliest.
    """
    for index in reversed(range(len(stages))):
        for layer in stages[index].layers:
            _set_trainable(layer, index >= first)


def _set_trainable(layer: Any, value: bool) -> None:
    """Sets `trainable` on a layer and on all that is below it.

    On TensorFlow an assignment of the value that is there already does nothing, also not below: a
    layer that was made with `trainable=False` and then built its parts would keep them trainable.
    """
    for part in layer._layers:
        # Those with a depth of their own know what is frozen in them.
        if not hasattr(part, "trainable_from"):
            _set_trainable(part, value)
    type(layer).trainable.fset(layer, value)
