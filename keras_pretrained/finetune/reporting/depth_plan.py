"""Which stages of a model were frozen and which trained, from when on and at what rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_pretrained.finetune.backbones import backbones, stage_variables
from keras_pretrained.finetune.rates import StageRates
from keras_pretrained.finetune.reporting.recorded import Recorded

NEW = "what is new"
"""What a model has besides its pretrained networks; no stage has a name with spaces."""


@dataclass(frozen=True)
class StageRow:
    """A stage of a pretrained network, or all that is new.

    Attributes:
        name: of the stage; behind the name of its network if there are several.
        parameters: number of all its values, those of statistics included.
        trains: whether it trained in some epoch.
        state: in words.
        opened: for each epoch whether it trained.
        factor: on the learning rate; None where nothing trained.
    """

    name: str
    parameters: int
    trains: bool
    state: str
    opened: tuple[bool, ...]
    factor: float | None


@dataclass(frozen=True)
class DepthPlan:
    """The stages from the input up, and the parameters outside of them.

    Attributes:
        networks: names of the pretrained networks; empty if the model has none with stages.
    """

    networks: tuple[str, ...]
    rows: tuple[StageRow, ...]

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)


def depth_plan(model: keras.Model, training: Recorded) -> DepthPlan:
    """The plan that a model, as it is now, was trained by."""
    networks = _networks(model)
    factors = stage_factors(training.optimizer)
    seen: set[int] = set()
    rows = [
        row
        for network in networks
        for row in _stages(network, len(networks) > 1, factors, training, seen)
    ]
    new = [variable for variable in model.weights if id(variable) not in seen]
    if new:
        trains = any(id(variable) not in seen for variable in model.trainable_variables)
        always = (trains,) * len(training.epochs)
        state = "trained" if trains else "frozen"
        name = NEW if networks else "whole model"
        rows.append(StageRow(name, _size(new), trains, state, always, 1.0 if trains else None))
    return DepthPlan(tuple(network.name for network in networks), tuple(rows))


def stage_factors(optimizer: Any) -> Mapping[str, float]:
    """Stage -> factor on the rate, of `discriminative`; empty without it."""
    while optimizer is not None:
        if isinstance(optimizer, StageRates):
            return optimizer.factors
        optimizer = getattr(optimizer, "inner_optimizer", None)
    return {}


def _networks(model: keras.Model) -> list[Any]:
    try:
        return backbones(model)
    except ValueError:
        return []


def _stages(
    network: Any,
    qualified: bool,
    factors: Mapping[str, float],
    training: Recorded,
    seen: set[int],
) -> Iterable[StageRow]:
    """The rows of one network; adds to `seen` the variables that they account for."""
    trained = stage_variables(network)
    opened = training.opened.get(network.name, {})
    for index, stage in enumerate(network.stages):
        held = {id(variable): variable for layer in stage.layers for variable in layer.weights}
        own = [variable for key, variable in held.items() if key not in seen]
        seen |= set(held)
        name = f"{network.name}/{stage.name}" if qualified else stage.name
        may_train = stage.name in trained
        when = tuple(
            may_train and stage.name in opened.get(epoch, trained) for epoch in training.epochs
        )
        if not network.in_use(index):
            state = "not in use"
        elif not own:
            state = "no parameters"
        else:
            state = _state(may_train, when, training.epochs)
        factor = factors.get(name, 1.0) if may_train else None
        yield StageRow(name, _size(own), any(when), state, when, factor)
    # What a layer adds to its stages, such as a mix of their outputs, is new.


def _state(may_train: bool, when: tuple[bool, ...], epochs: tuple[int, ...]) -> str:
    if not may_train:
        return "frozen"
    if not any(when):
        return "never opened"
    first = when.index(True)
    return "trained" if first == 0 else f"trained from epoch {epochs[first] + 1}"


def _size(variables: Iterable[Any]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)
