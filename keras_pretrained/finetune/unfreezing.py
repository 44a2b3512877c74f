"""Gradual unfreezing inside one `fit`, with one optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from keras_pretrained.finetune.backbones import backbone, stage_variables
from keras_pretrained.layers.base import PretrainedLayer


class GradualUnfreezing(keras.callbacks.Callback):
    """Opens one more stage of a pretrained layer every few epochs, the last stage first.

    At first only what is new trains, such as a fresh classifier; then the last stage with it; and
    so on, down to the layer's own `trainable_from`. All in one `fit`: the model is compiled once,
    and one optimizer keeps its slots and its count of iterations, so that a schedule goes on. The
    step is traced once for each number of open stages.

    Closed stages run as frozen ones do: without dropout, their statistics and weights the same to
    the bit, whatever the optimizer's weight decay; and no gradient is computed for them, so that
    early epochs are cheaper. After `fit` all stages are open again.

    Reference: [ULMFiT](https://arxiv.org/abs/1801.06146), section 3.3.

    Args:
        network: the pretrained layer, or a model that holds one. Its `trainable_from` says how
            far down stages open; it may be `0`.
        every: epochs between two openings.
        from_top: whether the last stage opens first. Otherwise the first one that trains does,
            and gradients pass through all the closed stages behind it.
        start: number of stages that are open in the first epoch.

    Attributes:
        opened: epoch -> names of the stages that were open in it.

    Raises:
        ValueError: when training begins, if the layer is no part of the model, if nothing would
            train, or if the optimizer averages weights (`use_ema`), which moves frozen ones.

    Example:

    ```python
    encoder = BertEncoder("minilm-l6", pooling="mean")
    inputs = encoder.symbolic_inputs()
    model = keras.Model(inputs, keras.layers.Dense(2)(encoder(inputs)))
    model.compile(keras.optimizers.AdamW(2e-5), "mse")
    model.fit(ids, targets, epochs=8, callbacks=[finetune.GradualUnfreezing(encoder)])
    ```

    A `fit` that is broken off leaves the stages as they were in its last epoch; `open_all()`, or
    another `fit` with this callback, sets them free.
    """

    def __init__(self, network: Any, every: int = 1, from_top: bool = True, start: int = 0) -> None:
        super().__init__()
        if every < 1 or start < 0:
            raise ValueError(
                "`every` must be at least 1 and `start` at least 0. "
                f"Received: every={every!r}, start={start!r}"
            )
        self.network = backbone(network)
        if not isinstance(self.network, PretrainedLayer):
            raise ValueError(
                f"Stages of the model {self.network.name!r} cannot open one by one. Put it into a "
                "layer: FrozenBackbone(model, trainable_from=0)."
            )
        self.every = every
        self.from_top = from_top
        self.start = start
        self.opened: dict[int, tuple[str, ...]] = {}
        self._filters: list[_Filter] = []
        self._closed: set[int] = set()
        self._count: int | None = None

    # --- what Keras calls -------------------------------------------------------------------

    def on_train_begin(self, logs: Any = None) -> None:
        self.open_all()
        self.opened = {}
        # Where `finetune.report` finds it: what `fit` returns does not know its callbacks.
        history = getattr(self.model, "history", None)
        if history is not None:
            others = getattr(history, "opened", {})
            history.opened = {**others, self.network.name: self.opened}
        self._check()
        leaves = plain_optimizers(self.model.optimizer)
        self._filters = [_Filter.of(optimizer) for optimizer in leaves]
        for installed in self._filters:
            installed.add(self._closed)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        stages = stage_variables(self.network)
        names = list(stages)
        count = min(self.start + epoch // self.every, len(names))
        chosen = names[len(names) - count :] if self.from_top else names[:count]
        self.opened[epoch] = tuple(chosen)
        if count == self._count:
            return
        self._count = count
        self.network.open_only(self._range(chosen))
        self._closed.clear()
        self._closed.update(id(v) for name in names if name not in chosen for v in stages[name])
        model = self.model
        if model.built and self._closed.issuperset(map(id, model.trainable_variables)):
            raise ValueError(
                f"Nothing of model {model.name!r} would train in epoch {epoch}: all that it has "
                f"is the network {self.network.name!r}. Pass start=1, or put a layer on top."
            )
        model.make_train_function(force=True)

    def _range(self, chosen: list[str]) -> range:
        """The indices of stages that lie between the first and the last of those chosen."""
        names = [stage.name for stage in self.network.stages]
        if not chosen:
            return range(len(names), len(names))
        # Stages without variables, and heads, are open with what is below them.
        stop = len(names) if self.from_top else names.index(chosen[-1]) + 1
        return range(names.index(chosen[0]), stop)

    def on_train_end(self, logs: Any = None) -> None:
        self.open_all()
        # It holds the stages of the last epoch; Keras makes a new one when it is asked to train.
        self.model.train_function = None

    # --- stages -----------------------------------------------------------------------------

    def open_all(self) -> None:
        """Opens all stages and gives the optimizer back its variables."""
        self.network.open_only(None)
        for installed in self._filters:
            installed.remove(self._closed)
        self._filters = []
        self._closed.clear()
        self._count = None

    def _check(self) -> None:
        if not any(layer is self.network for layer in self.model._flatten_layers()):
            raise ValueError(
                f"Layer {self.network.name!r} is no part of model {self.model.name!r}, so that "
                "its stages cannot be opened there."
            )
        if any(each.use_ema for each in plain_optimizers(self.model.optimizer)):
            raise ValueError(
                "An optimizer with `use_ema=True` overwrites all weights with averages, frozen "
                "ones too. Use one without, or keras.callbacks.SwapEMAWeights after unfreezing."
            )


def plain_optimizers(optimizer: Any) -> Iterator[Any]:
    """Those that update variables: inside loss scaling, stage rates or groups."""
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        for each in optimizer.optimizers:
            yield from plain_optimizers(each)
    elif getattr(optimizer, "inner_optimizer", None) is not None:
        yield from plain_optimizers(optimizer.inner_optimizer)
    else:
        yield optimizer


class _Filter:
    """Keeps an optimizer from some variables while it is installed.

    They are left out before anything is done with their gradients: clipping by the global norm
    does not see them, and weight decay does not reach them.

    An optimizer has one, whatever the number of callbacks that close stages.
    """

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self._closed: list[set[int]] = []
        optimizer.apply = self._apply

    @classmethod
    def of(cls, optimizer: Any) -> _Filter:
        """The one that is installed, or a new one."""
        installed = getattr(optimizer.__dict__.get("apply"), "__self__", None)
        return installed if isinstance(installed, cls) else cls(optimizer)

    def add(self, closed: set[int]) -> None:
        """Closes variables.

        Args:
            closed: the `id` of each of them; may change.
        """
        self._closed.append(closed)

    def remove(self, closed: set[int]) -> None:
        """Takes back `add` of the same set; the last one uninstalls the filter."""
        self._closed = [each for each in self._closed if each is not closed]
        if not self._closed:
            self._optimizer.__dict__.pop("apply", None)

    def _apply(self, gradients: Any, variables: Any = None) -> None:
        optimizer = self._optimizer
        variables = optimizer._trainable_variables if variables is None else list(variables)
        if not optimizer.built:
            # It has to have slots for all of them.
            with keras.name_scope(optimizer.name):
                optimizer.build(variables)
        closed = set[int]().union(*self._closed)
        pairs = zip(gradients, variables, strict=True)
        kept = [pair for pair in pairs if id(pair[1]) not in closed]
        if kept:
            type(optimizer).apply(optimizer, *map(list, zip(*kept, strict=True)))
        else:
            # One of several groups: its schedule goes on with those of the others.
            optimizer._iterations.assign_add(1)
