"""How deep to train: several depths tried, each on cached features of what is frozen."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_pretrained.finetune.backbones import backbone
from keras_pretrained.finetune.cut import suffix
from keras_pretrained.finetune.data import check_counts, from_lists, numpy_of
from keras_pretrained.finetune.feature_cache import cache_features
from keras_pretrained.finetune.rates import StageRates
from keras_pretrained.layers.depth import Depth


@dataclass(frozen=True)
class Trial:
    """What was measured at one depth.

    Attributes:
        depth: as `trainable_from` was set.
        frozen: number of frozen stages.
        score: the metric on the validation data after the last epoch.
        loss: the loss there.
        cache_seconds: once, for the features of all data; 0 where nothing is frozen.
        epoch_seconds: of one epoch, the first one left out if there are several, in which the
            step is compiled.
    """

    depth: Depth
    frozen: int
    score: float
    loss: float
    cache_seconds: float
    epoch_seconds: float


@dataclass(frozen=True)
class DepthSearch:
    """The trials of `search_depth`; `str(search)` is a table.

    Attributes:
        trials: one a depth, in the order given.
        metric: name of the score.
        larger_is_better: whether it is an accuracy and no error.
    """

    trials: tuple[Trial, ...]
    metric: str
    larger_is_better: bool

    @property
    def best(self) -> Trial:
        """The trial with the best score; of equal ones the cheapest."""
        sign = -1 if self.larger_is_better else 1
        return min(self.trials, key=lambda trial: (sign * trial.score, trial.epoch_seconds))

    def __str__(self) -> str:
        header = ("trainable_from", "frozen stages", self.metric, "loss", "s/epoch", "s once")
        rows = [
            (
                repr(trial.depth),
                str(trial.frozen),
                f"{trial.score:.4f}",
                f"{trial.loss:.4f}",
                f"{trial.epoch_seconds:.2f}",
                f"{trial.cache_seconds:.2f}",
            )
            for trial in self.trials
        ]
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (header, *rows)
        ]
        return "\n".join(lines)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Score and seconds an epoch against the number of frozen stages.

        Args:
            path: an image file to write.

        Returns:
            The matplotlib figure.

        Raises:
            ImportError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError(
                "plot() needs matplotlib: pip install 'keras-pretrained[example]'"
            ) from error
        # Not by pyplot, which would keep the figure and choose a window system.
        figure = Figure(figsize=(6, 4), layout="constrained")
        left = figure.subplots()
        right = left.twinx()
        ordered = sorted(self.trials, key=lambda trial: trial.frozen)
        frozen = [trial.frozen for trial in ordered]
        left.plot(frozen, [trial.score for trial in ordered], "o-", color="C0", label=self.metric)
        right.plot(
            frozen, [trial.epoch_seconds for trial in ordered], "s--", color="C1", label="s/epoch"
        )
        left.set_xlabel("frozen stages")
        left.set_xticks(frozen)
        left.set_ylabel(self.metric)
        right.set_ylabel("seconds an epoch")
        figure.legend(loc="outside upper center", ncols=2)
        if path is not None:
            figure.savefig(path)
        return figure


def search_depth(
    model_fn: Callable[[], keras.Model],
    data: Any,
    depths: Sequence[Depth],
    validation_data: Any = None,
    epochs: int = 3,
    path: str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
    seed: int = 0,
) -> DepthSearch:
    """Trains a model at several depths and compares score and seconds.

    Each depth starts from a new model. What is frozen is computed once (`cache_features`), and the
    rest trains on that.

    Args:
        model_fn: makes the compiled functional model, with one pretrained layer in it; the same
            weights each time, but for new ones. Its first metric is the score, or the loss where
            it has none.
        data, validation_data: as `cache_features` takes them. Without validation data a fifth of
            `data`, which must be arrays then, is held out at random.
        depths: values of `trainable_from`.
        epochs: for each depth.
        path: a folder for cached features; None keeps them in memory.
        batch_size: of arrays.
        seed: of what is held out.

    Raises:
        ValueError: no depths; a model that is not compiled; batches without validation data.

    Example:

    ```python
    found = finetune.search_depth(make_model, (ids, labels), [4, 5, None], validation_data=held_out)
    print(found)
    found.plot("depth.png")
    ```
    """
    if not depths:
        raise ValueError("Expected at least one depth in `depths`.")
    if validation_data is None:
        data, validation_data = _held_out(data, seed)
    measured = [
        _trial(model_fn(), depth, data, validation_data, epochs, path, batch_size)
        for depth in depths
    ]
    metric = measured[0][1]
    smaller = any(part in metric for part in _ERRORS)
    return DepthSearch(tuple(trial for trial, _ in measured), metric, not smaller)


_ERRORS = ("loss", "error", "mse", "mae", "entropy", "perplexity", "divergence")
"""A metric whose name holds one of these is better when it is smaller."""


def _trial(
    model: keras.Model,
    depth: Depth,
    data: Any,
    validation_data: Any,
    epochs: int,
    path: str | os.PathLike[str] | None,
    batch_size: int | None,
) -> tuple[Trial, str]:
    """What is measured at one depth, and the name of the score."""
    if not model.compiled:
        raise ValueError("`model_fn` must return a compiled model. Received: one that is not")
    network = backbone(model)
    # A change of depth would make Keras forget them.
    options = model.get_compile_config()
    # The suffix is a plain model: it takes what `compile` came to, not what a subclass keeps.
    plain_options = keras.Model.get_compile_config(model)
    network.trainable_from = depth
    trains = [network.trains(index) for index in range(len(network.stages))]
    trained, given = model, [_arguments(each, batch_size) for each in (data, validation_data)]
    once = 0.0
    if not trains[0]:
        start = time.perf_counter()
        cached = [
            cache_features(each, model, path=path, batch_size=batch_size)
            for each in (data, validation_data)
        ]
        once = time.perf_counter() - start
        trained, given = suffix(model), [{"x": each} for each in cached]
        options = plain_options if any(trains) else _without_rates(plain_options)
    trained.compile_from_config(options)
    seconds = _Seconds()
    trained.fit(**given[0], epochs=epochs, verbose=0, callbacks=[seconds])
    found = trained.evaluate(**given[1], verbose=0, return_dict=True)
    name = next((name for name in found if name != "loss"), "loss")
    trial = Trial(
        depth, trains.count(False), found[name], found["loss"], once, seconds.of_an_epoch()
    )
    return trial, name


def _without_rates(options: dict[str, Any]) -> dict[str, Any]:
    """For a model of which no stage trains: nothing has the rate of a stage."""
    optimizer = keras.saving.deserialize_keras_object(options["optimizer"])
    if not isinstance(optimizer, StageRates):
        return options
    # It still keeps weight decay from biases.
    plain = StageRates(optimizer.inner_optimizer, decay_vectors=optimizer.decay_vectors)
    return {**options, "optimizer": keras.saving.serialize_keras_object(plain)}


def _held_out(data: Any, seed: int) -> tuple[Any, Any]:
    """Arrays in two parts: to train on, and a fifth to validate on."""
    if not isinstance(data, tuple):
        raise ValueError(
            "Without `validation_data` a part of the arrays `(x, y)` is held out. Expected such "
            f"a tuple, or `validation_data`. Received: {type(data).__name__}"
        )
    data = tuple(map(from_lists, data))
    count = len(keras.tree.flatten(data)[0])
    check_counts(count, data=data)
    if count < 5:
        raise ValueError(
            "Expected `validation_data`, or at least 5 examples, of which a fifth is held out. "
            f"Received: {count}"
        )
    order = np.random.default_rng(seed).permutation(count)

    def part(rows: np.ndarray) -> Any:
        return keras.tree.map_structure(lambda x: x if x is None else numpy_of(x)[rows], data)

    return part(order[count // 5 :]), part(order[: count // 5])


def _arguments(data: Any, batch_size: int | None) -> dict[str, Any]:
    """Of `fit` and `evaluate`."""
    if not isinstance(data, tuple):
        return {"x": data}
    names = ("x", "y", "sample_weight")
    return {**dict(zip(names, data, strict=False)), "batch_size": batch_size}


class _Seconds(keras.callbacks.Callback):
    """How long each epoch takes."""

    def __init__(self) -> None:
        super().__init__()
        self._measured: list[float] = []
        self._start = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._measured.append(time.perf_counter() - self._start)

    def of_an_epoch(self) -> float:
        """The median, without the first epoch if there are others."""
        return statistics.median(self._measured[1:] or self._measured)
