"""The base of everything that holds pretrained variables."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.weights import stored_initializer


class Block(keras.layers.Layer):
    """A Keras layer whose variables are created from a checkpoint while one is being loaded.

    Mixed into stock layers (`class Dense(Block, keras.layers.Dense)`) it gives them the same.
    """

    def add_weight(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        initializer = stored_initializer(f"{self.path}/{name}")
        if initializer is not None:
            kwargs["initializer"] = initializer
        return super().add_weight(*args, name=name, **kwargs)


class Dense(Block, keras.layers.Dense):
    """`keras.layers.Dense` that can be created from a checkpoint."""


class BatchNormalization(Block, keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` that can be created from a checkpoint."""
