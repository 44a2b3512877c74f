"""The learning rate of each stage at the steps of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_pretrained.finetune.reporting.depth_plan import DepthPlan
from keras_pretrained.finetune.reporting.recorded import Recorded
from keras_pretrained.finetune.unfreezing import plain_optimizers

_POINTS = 400
"""So many steps are enough for a picture; each costs a call of the schedule."""


@dataclass(frozen=True)
class RateCurves:
    """Rates at some steps.

    Attributes:
        steps: counted from 0 at the begin of this training; all of them if they are few.
        rates: stage -> rate at each of the steps; 0 while a stage is closed. Frozen stages are
            left out.
        total: number of steps.
        missing: why there are none, or `""`.
    """

    steps: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    rates: dict[str, np.ndarray] = field(default_factory=dict)
    total: int = 0
    missing: str = ""


def rate_curves(plan: DepthPlan, training: Recorded) -> RateCurves:
    """The schedule's rate, times the factor of each stage, where the stage is open."""
    leaves = list(plain_optimizers(training.optimizer)) if training.optimizer is not None else []
    if not leaves:
        return RateCurves(missing="The model is not compiled, so that its rates are not known.")
    if len(leaves) > 1:
        return RateCurves(missing="Each group of variables has an optimizer and rates of its own.")
    (leaf,) = leaves
    done, epochs = int(leaf.iterations), len(training.epochs)
    if leaf.gradient_accumulation_steps:
        # Keras asks a schedule with the number of batches, and tells the number of updates.
        done = int(leaf._iterations)
    total = done if training.steps is None else training.steps * epochs
    if done < total or total < epochs:
        return RateCurves(
            missing=f"The optimizer counts {done} steps, and the history has {epochs} epochs of "
            f"{training.steps or 'at least 1'}: it is not the one of this training."
        )
    steps = _chosen(total, epochs)
    # A little less than one epoch is the last one, also where epochs are no whole steps.
    epoch_of = np.minimum(steps * epochs // total, epochs - 1)
    base = _base(leaf, training, steps + (done - total), epoch_of)
    if base is None:
        return RateCurves(missing="The learning rate is a function of the user's own.")
    rates = {
        row.name: base * row.factor * np.array(row.opened)[epoch_of]
        for row in plan.rows
        if row.factor is not None
    }
    if not rates:
        return RateCurves(missing="Nothing of the model trains.", total=total)
    return RateCurves(steps, rates, total)


def _chosen(total: int, epochs: int) -> np.ndarray:
    """All steps, or some with the first and last one of each epoch, where stages open."""
    if total <= _POINTS:
        return np.arange(total)
    spread = np.linspace(0, total - 1, _POINTS).astype(int)
    if epochs > _POINTS // 4:
        return np.unique(spread)
    starts = -(-np.arange(1, epochs) * total // epochs)
    return np.unique(np.concatenate([spread, starts, starts - 1]))


def _base(
    optimizer: Any, training: Recorded, steps: np.ndarray, epoch_of: np.ndarray
) -> np.ndarray | None:
    """The optimizer's rate at some of its steps, which are counted from its first."""
    # Keras has no public way to what an optimizer computes its rate from.
    rate = optimizer._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return np.array([float(keras.ops.convert_to_numpy(rate(int(step)))) for step in steps])
    logged = training.series.get("learning_rate", ())
    if len(logged) == len(training.epochs):
        # Of a callback that sets it once an epoch.
        return np.array(logged)[epoch_of]
    if callable(rate) and not isinstance(rate, keras.Variable):
        return None
    return np.full(len(steps), float(keras.ops.convert_to_numpy(rate)))
