"""A classifier that is trained again and again: with other recipes, rates, seeds and texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from text_tasks import Part, Task

from keras_pretrained import finetune
from keras_pretrained.layers import BertEncoder

BATCH_SIZE = 16
TEST_BATCH_SIZE = 100
WEIGHT_DECAY = 0.01
DROPOUT = 0.1
WARMUP = 0.1


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        layer_decay: ratio of the rates of two stages that follow each other.
        slanted: slanted triangular rates in place of a linear warm-up. The two differ little: the
            one begins and ends at 1/32 of the peak, the other at 0.
        unfreezing: whether stages open one after the other, the last one first.
        pretrained: whether the network begins with its published weights.
    """

    layer_decay: float = 1.0
    slanted: bool = False
    unfreezing: bool = False
    pretrained: bool = True

    def schedule(self, rate: float, steps: int) -> Any:
        if self.slanted:
            return finetune.SlantedTriangular(rate, steps, cut_frac=WARMUP)
        return finetune.LinearWarmup(rate, steps, warmup_steps=int(WARMUP * steps))


RECIPES = {
    "plain, weights=None": Recipe(pretrained=False),
    "plain": Recipe(),
    "rates by stage, 0.8": Recipe(layer_decay=0.8),
    "rates by stage, 1/2.6": Recipe(layer_decay=1 / 2.6),
    "slanted triangular": Recipe(slanted=True),
    "gradual unfreezing": Recipe(unfreezing=True),
    "all three, 1/2.6": Recipe(layer_decay=1 / 2.6, slanted=True, unfreezing=True),
}


class TunedNetwork:
    """An encoder with a new classifier, whose compiled steps serve all runs on one task.

    XLA compiles a step for longer than most runs here train. So the learning rate comes from
    outside, and weights and slots are reset in place. The word embeddings, half of the parameters,
    stay as they were published; where nothing is pretrained, everything trains.

    Args:
        source: preset, or path of a BERT checkpoint.
        pretrained: whether its weights are used.

    Attributes:
        model: the network as the last run left it.
    """

    def __init__(self, source: str, task: Task, pretrained: bool) -> None:
        self._source, self._task, self._pretrained = source, task, pretrained
        self.model = self.build()
        # An evaluation is compiled once, too, whatever recipes there are.
        self.model.compile(jit_compile=True)
        self._models: dict[tuple[float, bool], KeptSteps] = {}

    def fit(self, recipe: Recipe, train: Part, rate: float, seed: int, passes: int) -> None:
        """Trains from the beginning: weights, slots and random numbers are those of the seed."""
        model = self._model(recipe)
        self._reset(model, seed)
        # As many as it takes to train the classifier alone, then with one more stage each.
        rounds = 1 + len(model.optimizer.factors)
        steps = max(1, passes * len(train) // BATCH_SIZE // rounds)
        rows = shuffled(len(train), steps * rounds * BATCH_SIZE, seed)
        ids = {name: values[rows] for name, values in self._tokens(train).items()}
        callbacks: list[Any] = [FollowedSchedule(recipe.schedule(rate, steps * rounds))]
        if recipe.unfreezing:
            callbacks.append(finetune.GradualUnfreezing(model))
        model.fit(
            ids,
            train.labels[rows],
            batch_size=BATCH_SIZE,
            epochs=rounds,
            steps_per_epoch=steps,
            shuffle=False,
            callbacks=callbacks,
            verbose=0,
        )

    def accuracy(self, part: Part) -> float:
        """The share of texts to which the network as it is now gives the right label."""
        ids = self._tokens(part)
        missing = -len(part) % TEST_BATCH_SIZE
        ids = {name: np.pad(values, ((0, missing), (0, 0)), "edge") for name, values in ids.items()}
        logits = self.model.predict(ids, batch_size=TEST_BATCH_SIZE, verbose=0)
        return float(np.mean(logits[: len(part)].argmax(axis=1) == part.labels))

    def build(self) -> keras.Model:
        """A new classifier, as every run begins with."""
        encoder = BertEncoder(
            self._source,
            weights="auto" if self._pretrained else None,
            trainable_from="layer_0" if self._pretrained else 0,
            pooling="mean",
            max_length=self._task.length,
            name="encoder",
        )
        inputs = encoder.symbolic_inputs()
        hidden = keras.layers.Dropout(DROPOUT)(encoder(inputs))
        return keras.Model(inputs, keras.layers.Dense(len(self._task.classes))(hidden))

    def _model(self, recipe: Recipe) -> KeptSteps:
        """All models have the same layers, and each an optimizer of its own."""
        key = (recipe.layer_decay, recipe.unfreezing)
        if key not in self._models:
            model = KeptSteps(self.model.inputs, self.model.outputs)
            optimizer = keras.optimizers.AdamW(0.001, weight_decay=WEIGHT_DECAY)
            model.compile(
                finetune.discriminative(optimizer, model, layer_decay=recipe.layer_decay),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                jit_compile=True,
            )
            model.optimizer.build(model.trainable_variables)
            self._models[key] = model
        return self._models[key]

    def _reset(self, model: KeptSteps, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        for variable, new in zip(model.variables, self.build().variables, strict=True):
            variable.assign(new)
        for variable in model.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))

    def _tokens(self, part: Part) -> dict[str, np.ndarray]:
        encoder = self.model.get_layer("encoder")
        tokens = encoder.tokenizer(part.texts, pad_to=self._task.length)
        return {name: np.asarray(values) for name, values in tokens.items()}


class KeptSteps(keras.Model):
    """A model that keeps the compiled step of each set of open stages for later runs."""

    def make_train_function(self, force: bool = False) -> None:
        encoder = self.get_layer("encoder")
        open_stages = tuple(encoder.trains(index) for index in range(len(encoder.stages)))
        kept = self.__dict__.setdefault("kept_steps", {})
        if open_stages not in kept:
            super().make_train_function(force=True)
            kept[open_stages] = self.train_function
        self.train_function = kept[open_stages]


class FollowedSchedule(keras.callbacks.Callback):
    """Sets the rate of a schedule before each step: a compiled step would hold its numbers."""

    def __init__(self, schedule: Any) -> None:
        super().__init__()
        self._schedule = schedule
        self._step = 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = float(self._schedule(self._step))
        self._step += 1


def shuffled(count: int, needed: int, seed: int) -> np.ndarray:
    """Indices below `count`, each once before any comes again, until there are enough."""
    random = np.random.default_rng(seed)
    epochs = [random.permutation(count) for _ in range(-(-needed // count))]
    return np.concatenate(epochs)[:needed]
