"""KerasHub's backbones in `FrozenBackbone`; they are Keras models."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import FrozenBackbone

models = pytest.importorskip("keras_hub", reason="keras_hub is not installed").models


def bert(**options: Any) -> FrozenBackbone:
    network = models.BertBackbone(
        vocabulary_size=50, num_layers=3, num_heads=2, hidden_dim=8, intermediate_dim=16
    )
    return FrozenBackbone(network, **options)


def batch() -> dict[str, np.ndarray]:
    ids = np.random.default_rng(0).integers(1, 50, (4, 6)).astype("int32")
    return {
        "token_ids": ids,
        "segment_ids": np.zeros_like(ids),
        "padding_mask": np.ones_like(ids),
    }


def test_it_computes_what_the_backbone_computes() -> None:
    backbone = bert()
    ours, expected = backbone(batch()), backbone.model(batch())
    assert set(ours) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(ours[name], array, atol=1e-6)


def test_what_is_below_the_depth_stays_to_the_bit(tmp_path: Any) -> None:
    backbone = bert(trainable_from="transformer_layer_1")
    below = {w.path: np.asarray(w) for w in backbone.weights}
    trained = {w.path for w in backbone.trainable_variables}
    assert 0 < len(trained) < len(below)
    assert not [path for path in trained if "transformer_layer_0" in path or "embedding" in path]
    # On JAX its table of positions has to know the length.
    inputs = {name: keras.Input((6,), dtype="int32", name=name) for name in batch()}
    model = keras.Model(inputs, keras.layers.Dense(2)(backbone(inputs)["pooled_output"]))
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1), "mse", jit_compile=False)
    model.fit(batch(), np.ones((4, 2), "float32"), verbose=0)
    for weight in backbone.weights:
        if weight.path not in trained:
            np.testing.assert_array_equal(np.asarray(weight), below[weight.path])
    expected = model.predict(batch(), verbose=0)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(reloaded.predict(batch(), verbose=0), expected)
