"""`Staged`: what everything shares that is frozen stage by stage, layers and whole models."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import keras

from keras_pretrained.layers.call_stack import calling_model
from keras_pretrained.layers.depth import (
    Depth,
    Stage,
    apply_depth,
    check_names,
    first_trainable,
    plain,
)


class Staged:
    """Mixed into a Keras layer or model that declares its stages.

    Attributes:
        stages: the network in order; see `keras_pretrained.layers.depth.Stage`.
        trainable_from: the depth from which it trains; may be set at any time. A model that
            was compiled before must be compiled again, and Keras refuses to train it until then.
    """

    # Keras asks for `trainable` before a constructor has come to the stages.
    _declared_stages: tuple[Stage, ...] = ()
    _trainable_from: Depth = 0
    _first_trainable = 0
    _open_stages: range | None = None
    _heads_in_use = False
    _callers: weakref.WeakSet[keras.Model] | None = None
    _trainable: Any
    built: bool
    trainable_variables: list[Any]

    def declare(self, stages: Iterable[Stage], trainable_from: Depth) -> None:
        """Declares the stages, once, and the depth at which training starts."""
        self._declared_stages = tuple(stages)
        check_names(self._declared_stages)
        first_trainable(self._declared_stages, trainable_from)
        self._trainable_from = plain(trainable_from)

    def in_use(self, index: int) -> bool:
        """Whether an output depends on this stage.

        A stage that no output depends on has no gradient. It is kept with its weights but
        neither run nor trained, because an optimizer would only decay it.
        """
        return self._heads_in_use or not self.stages[index].head

    def use_heads(self) -> None:
        """Lets the original heads take part: an output depends on them."""
        if not self._heads_in_use:
            self._heads_in_use = True
            if self.built:
                self._apply_depth()

    @property
    def stages(self) -> tuple[Stage, ...]:
        return self._declared_stages

    @property
    def trainable_from(self) -> Depth:
        return self._trainable_from

    @trainable_from.setter
    def trainable_from(self, value: Depth) -> None:
        self._set_depth(value)

    def _set_depth(self, value: Depth) -> None:
        first = first_trainable(self.stages, value)
        self._trainable_from = plain(value)
        self._first_trainable = first
        self._apply_depth()

    @property
    def trainable(self) -> bool:
        return bool(self._trainable)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        before = self._trained()
        keras.layers.Layer.trainable.fset(self, value)
        self._apply_depth(before)

    def _apply_depth(self, before: set[int] | None = None) -> None:
        before = self._trained() if before is None else before
        apply_depth(self.stages, self._first_trainable if self.trainable else len(self.stages))
        for index, stage in enumerate(self.stages):
            if not self.in_use(index):
                for layer in stage.layers:
                    layer.trainable = False
        if self._trained() != before:
            # Keras ignores a change after compile() without a word, because the compiled step
            # holds the old list of variables. An uncompiled model makes fit() say what to do.
            for model in self._compiled_models():
                model.compiled = False

    def _trained(self) -> set[int]:
        return {id(variable) for variable in self.trainable_variables}

    # --- stages that are closed for a while ---------------------------------------------------

    def open_only(self, stages: range | None) -> None:
        """Closes all stages but these: they run as frozen ones do, and pass no gradient down.

        What Keras takes for trainable stays the same, so that an optimizer keeps all of its
        state. It has to leave the variables of closed stages alone, as
        `keras_pretrained.finetune.GradualUnfreezing` makes it do.

        Args:
            stages: indices of the stages that are open; None opens all.
        """
        self._open_stages = stages

    def trains(self, index: int) -> bool:
        """Whether a stage is neither frozen nor closed."""
        open_stages = self._open_stages
        is_open = open_stages is None or index in open_stages
        return self.trainable and is_open and index >= self._first_trainable

    @property
    def lowest_open(self) -> int:
        """The index of the first stage to which a gradient has to reach."""
        return 0 if self._open_stages is None else self._open_stages.start

    def remember_caller(self) -> None:
        """Keeps the model whose call led here, to un-compile it when the depth changes."""
        model = calling_model()
        if model is not None:
            if self._callers is None:
                self._callers = weakref.WeakSet()
            self._callers.add(model)

    def _compiled_models(self) -> list[keras.Model]:
        """Those that may hold a compiled step with the old depth."""
        return list(self._callers or ())
