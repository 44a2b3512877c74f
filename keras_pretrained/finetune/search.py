"""How deep to train: several depths tried, each on cached features of what is frozen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_pretrained.finetune.backbones import backbone
from keras_pretrained.finetune.cut import suffix
from keras_pretrained.finetune.feature_cache import cache_features
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
    validation_data: Any,
    epochs: int = 3,
    path: str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
) -> DepthSearch:
    """Trains a model at several depths and compares score and seconds.

    Each depth starts from a new model. What is frozen is computed once (`cache_features`), and the
    rest trains on that.

    Args:
        model_fn: makes the compiled functional model, with one pretrained layer in it; the same
            weights each time, but for new ones. Its first metric is the score, or the loss where
            it has none.
        data, validation_data: as `cache_features` takes them.
        depths: values of `trainable_from`.
        epochs: for each depth.
        path: a folder for cached features; None keeps them in memory.
        batch_size: of arrays.

    Raises:
        ValueError: no depths; a model that is not compiled.

    Example:

    ```python
    found = finetune.search_depth(make_model, (ids, labels), [4, 5, None], validation_data=held_out)
    print(found)
    found.plot("depth.png")
    ```
    """
    if not depths:
        raise ValueError("Expected at least one depth in `depths`.")
    trials = []
    metric = "loss"
    for depth in depths:
        model = model_fn()
        if not model.compiled:
            raise ValueError("`model_fn` must return a compiled model.")
        options = model.get_compile_config()
        network = backbone(model)
        network.trainable_from = depth
        names = [name for name in model.metrics_names if name != "loss"]
        start = time.perf_counter()
        trained, train, held_out = _prepared(model, data, validation_data, path, batch_size)
        once = time.perf_counter() - start if trained is not model else 0.0
        trained.compile_from_config(options)
        watch = _Seconds()
        trained.fit(train, epochs=epochs, verbose=0, callbacks=[watch])
        found = trained.evaluate(held_out, verbose=0, return_dict=True)
        score = next((name for name in found if name != "loss"), "loss")
        metric = score
        frozen = sum(not network.trains(index) for index in range(len(network.stages)))
        del names
        trials.append(
            Trial(depth, frozen, float(found[score]), float(found["loss"]), once, watch.median)
        )
    errors = ("loss", "error", "perplexity")
    return DepthSearch(tuple(trials), metric, not any(word in metric for word in errors))
