"""Folded normalisations compute what they computed before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import applications, export
from keras_pretrained.weights import WeightsError
from tests.applications.test_keras_applications import with_values

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 75, 75, 3)).astype("float32")
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("MobileNetV1", {"alpha": 0.25}),
    ("VGG11", {"batch_norm": True, "include_top": False}),
    ("ResNetV2_50", {"dialect": "keras"}),
    ("Xception", {}),
]


@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=lambda each: str(each))
def test_outputs_stay(name: str, options: dict[str, Any]) -> None:
    model = getattr(applications, name)(
        weights=None, input_shape=(75, 75, 3), classifier_activation=None, **options
    )
    with_values(model)
    before = [w.copy() for w in model.get_weights()]
    folded = applications.fold_batch_norm(model)
    assert folded.count_params() < model.count_params()
    assert len(folded.layers) < len(model.layers)
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(
        folded.predict(IMAGES, verbose=0), expected, atol=2e-5 * np.abs(expected).max()
    )
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_folded_model_is_for_inference(tmp_path: Path) -> None:
    model = applications.MobileNetV1(
        weights=None, alpha=0.25, input_shape=(32, 32, 3), classes=3, trainable_from=4
    )
    folded = applications.fold_batch_norm(with_values(model))
    assert not folded.trainable_variables
    assert applications.fold_batch_norm(folded) is folded
    with pytest.raises(WeightsError, match="Write the model that it was made from"):
        folded.save_weights_as(tmp_path / "x.ckpt")
    folded.save(tmp_path / "folded.keras")
    again = keras.models.load_model(tmp_path / "folded.keras")
    images = IMAGES[:, :32, :32]
    np.testing.assert_array_equal(
        again.predict(images, verbose=0), folded.predict(images, verbose=0)
    )
    export.to_onnx(folded, tmp_path / "folded.onnx")
    with pytest.raises(ValueError, match=r"one of keras_pretrained\.applications"):
        applications.fold_batch_norm(keras.Sequential())
