"""What a training has left behind: the values of each epoch, and the optimizer that did it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_pretrained.finetune.unfreezing import GradualUnfreezing

Opened = Mapping[str, Mapping[int, tuple[str, ...]]]
"""Name of a pretrained network -> epoch, from 0 -> its stages that were open then."""


@dataclass(frozen=True)
class Curve:
    """A loss or metric.

    Attributes:
        name: as Keras calls it.
        train, validation: (epochs, values), arrays of one length each; epochs from 1.
    """

    name: str
    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Recorded:
    """A training.

    Attributes:
        series: name -> one value an epoch.
        epochs: their numbers, from 0.
        steps: updates of an epoch, or None where only the optimizer has counted.
        optimizer, loss: those that were compiled for it, or None.
        opened: what `GradualUnfreezing` opened.
    """

    series: Mapping[str, tuple[float, ...]]
    epochs: tuple[int, ...]
    steps: int | None
    optimizer: Any
    loss: Any
    opened: Opened

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The losses and metrics, the loss first; learning rates are none."""
        names = dict.fromkeys(name.removeprefix("val_") for name in _measured(self.series))
        chosen = sorted(names, key=_loss_first)
        return tuple(
            Curve(name, self._points(name), self._points(f"val_{name}")) for name in chosen
        )

    def _points(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        values = np.array(self.series.get(name, ()), "float64")
        epochs = np.array(self.epochs) + 1
        if 0 < len(values) < len(epochs):
            # `fit(validation_freq=...)`, which no history tells.
            every = len(epochs) // len(values)
            epochs = epochs[every - 1 :: every]
        return epochs[: len(values)], values


def recorded(history: Any, model: keras.Model, unfreezing: GradualUnfreezing | None) -> Recorded:
    """Reads what `fit` returned, or a dictionary like its `history`.

    Raises:
        TypeError: something else.
        ValueError: no epoch, or values that are no numbers.
    """
    is_own = isinstance(history, keras.callbacks.History)
    if not is_own and not isinstance(history, Mapping):
        raise TypeError(
            "Expected what `fit` returns, or a dictionary: name -> one value an epoch. "
            f"Received: {history!r}"
        )
    series = {
        name: _numbers(name, x) for name, x in (history.history if is_own else history).items()
    }
    count = max((len(series[name]) for name in _measured(series)), default=0)
    if count == 0:
        raise ValueError("The history holds no loss of any epoch: nothing was trained yet.")
    opened = dict(getattr(history, "opened", {}))
    if unfreezing is not None:
        opened = {unfreezing.network.name: unfreezing.opened}
    epochs = tuple(getattr(history, "epoch", ()))
    if len(epochs) != count:
        # A dictionary, or a callback that was used for several trainings.
        epochs = tuple(range(count))
    # The suffix of a model is compiled for itself, and its history knows the suffix.
    trained = getattr(history, "model", None) or model
    return Recorded(
        series=series,
        epochs=epochs,
        steps=(history.params or {}).get("steps") if is_own else None,
        optimizer=getattr(trained, "optimizer", None),
        loss=getattr(trained, "loss", None),
        opened=opened,
    )


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise ValueError(
            f"Expected one number an epoch for {name!r} in the history. Received: {values!r}"
        ) from None


def _measured(series: Mapping[str, Sequence[float]]) -> list[str]:
    """The names of losses and metrics."""
    return [name for name, values in series.items() if values and name != "learning_rate"]


def _loss_first(name: str) -> tuple[bool, bool]:
    return name != "loss", not name.endswith("loss")
