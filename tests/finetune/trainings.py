"""Small trainings and what a report makes of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_pretrained import finetune
from keras_pretrained.finetune.reporting.held_out import HeldOut, held_out
from tests.finetune.networks import (
    classifier,
    dense_backbone,
    vectors,
)


class Rates(keras.callbacks.Callback):
    """What Keras itself says of the rate before every step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.seen.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))


def compiled(rate: Any = 0.01, layer_decay: float | None = None) -> keras.Model:
    model = classifier(dense_backbone(3))
    optimizer: Any = keras.optimizers.Adam(rate)
    if layer_decay is not None:
        optimizer = finetune.discriminative(optimizer, model, layer_decay)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    return model


def as_trained(*rates: Any, epochs: int = 2) -> tuple[dict[str, Any], keras.Model]:
    """A history and a model whose optimizer has counted 4 steps an epoch, without the time."""
    model = compiled(*rates)
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(4 * epochs)
    values = np.linspace(1, 0.1, epochs).tolist()
    return {"loss": values, "val_loss": values[::-1]}, model


def trained(*rates: Any, callbacks: Any = (), epochs: int = 2) -> tuple[Any, keras.Model]:
    """A fit of 4 steps an epoch, and its model."""
    model = compiled(*rates)
    made = [each(model) if isinstance(each, type) else each for each in callbacks]
    data = {"validation_data": vectors(6, seed=1), "batch_size": 4, "verbose": 0}
    return model.fit(*vectors(16), epochs=epochs, callbacks=made, **data), model


def judged(model: keras.Model, x: Any, y: Any, **options: Any) -> HeldOut:
    options = {"hardest": 3, "batch_size": 5, **options}
    return held_out(model, (x, y), getattr(model, "loss", None), **options)


def probabilities(classes: int, activation: str | None = "softmax", width: int = 4) -> keras.Model:
    """One dense layer, not compiled."""
    layer = keras.layers.Dense(classes, activation=activation)
    return keras.Sequential([keras.Input((width,)), layer])
