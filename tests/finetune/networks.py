"""Small networks for the tests of fine-tuning."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_pretrained.layers import FrozenBackbone
from tests.layers.toys import VOCABULARY, make_bert

NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0}


def dense_backbone(depth: int = 3, width: int = 4, **kwargs: Any) -> FrozenBackbone:
    """`dense_0` to `dense_{depth-1}`, each with a normalisation behind it."""
    parts: list[Any] = [keras.Input((width,))]
    for index in range(depth):
        parts.append(keras.layers.Dense(width, activation="tanh", name=f"dense_{index}"))
        parts.append(keras.layers.LayerNormalization(name=f"norm_{index}"))
    kwargs.setdefault("trainable_from", 0)
    return FrozenBackbone(keras.Sequential(parts), name="backbone", **kwargs)


def bert(**kwargs: Any) -> Any:
    """Three blocks, mean pooling; no dropout unless `architecture_changes` says so."""
    kwargs.setdefault("pooling", "mean")
    kwargs.setdefault("architecture_changes", NO_DROPOUT)
    return make_bert(**kwargs)


def classifier(backbone: Any, optimizer: Any = None, **options: Any) -> keras.Model:
    """The backbone under a fresh classifier of two classes, compiled if there is an optimizer."""
    inputs = backbone.symbolic_inputs()
    outputs = keras.layers.Dense(2, name="classifier")(backbone(inputs))
    model = keras.Model(inputs, outputs)
    if optimizer is not None:
        options.setdefault("jit_compile", False)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, **options)
    return model


def vectors(rows: int = 8, width: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, width)).astype("float32"), np.arange(rows) % 2


def texts(rows: int = 8, length: int = 6, seed: int = 0) -> tuple[dict[str, Any], np.ndarray]:
    """Token ids with padding at the end of some rows, and a class for each."""
    random = np.random.default_rng(seed)
    ids = random.integers(1, VOCABULARY, (rows, length)).astype("int32")
    for row in range(0, rows, 3):
        ids[row, length - 2 :] = 0
    mask = (ids != 0).astype("int32")
    inputs = {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": mask}
    return inputs, np.arange(rows) % 2


def values(network: Any) -> dict[str, np.ndarray]:
    """A copy of all weights by path."""
    return {v.path: keras.ops.convert_to_numpy(v).copy() for v in network.weights}


def assert_same_weights(first: Any, second: Any, **tolerance: float) -> None:
    for ours, theirs in zip(first.weights, second.weights, strict=True):
        ours, theirs = keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs)
        if tolerance:
            np.testing.assert_allclose(ours, theirs, **tolerance)
        else:
            np.testing.assert_array_equal(ours, theirs)
