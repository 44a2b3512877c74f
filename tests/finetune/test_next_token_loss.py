"""GPT's auxiliary objective against its formula: L_task + weight * mean surprise at a token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.applications import TextClassifier
from keras_pretrained.finetune import NextTokenLoss
from keras_pretrained.layers import GPT2Decoder

SOURCE = Path(__file__).parents[1] / "goldens" / "gpt2" / "hf"
IDS = np.array([[5, 9, 3, 7, 2], [4, 8, 6, 0, 0], [3, 0, 0, 0, 0]], "int32")
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], "int32")
LABELS = np.array([0, 1, 1])
WITHOUT_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0}


def surprise(logits: np.ndarray) -> float:
    """The mean over texts of the mean of -log P(token | those before it)."""
    by_text = []
    for row, ids, mask in zip(logits.astype("float64"), IDS, MASK, strict=True):
        shares = np.exp(row) / np.exp(row).sum(axis=-1, keepdims=True)
        found = [-np.log(shares[i, ids[i + 1]]) for i in range(4) if mask[i] and mask[i + 1]]
        by_text.append(np.mean(found) if found else 0.0)
    return float(np.mean(by_text))


def test_the_added_loss_is_that_of_the_paper() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 5, 11)).astype("float32")
    vector = np.ones((3, 2), "float32")
    layer = NextTokenLoss(0.5)
    np.testing.assert_array_equal(layer([vector, logits, IDS, MASK], training=True), vector)
    assert float(layer.losses[0]) == pytest.approx(0.5 * surprise(logits), rel=1e-5)
    layer([vector, logits, IDS, MASK], training=False)
    assert not layer.losses


def classifier(**options: Any) -> TextClassifier:
    decoder = GPT2Decoder(SOURCE, pooling="last", max_length=8, architecture=WITHOUT_DROPOUT)
    return TextClassifier(decoder, 2, dropout=0.0, **options)


def test_a_classifier_trains_on_both_and_is_scored_on_its_own(tmp_path: Path) -> None:
    task, plain = classifier(next_token_loss=0.5), classifier()
    plain.set_weights(task.get_weights())
    inputs = {"token_ids": IDS, "padding_mask": MASK}
    logits = keras.ops.convert_to_numpy(plain.backbone.features(inputs)["logits"])
    for model in (task, plain):
        # Traced and compiled it takes a quarter of a minute on TensorFlow; on JAX not to compile is
        # slower.
        on_jax = keras.backend.backend() == "jax"
        model.compile(keras.optimizers.SGD(0.0), jit_compile=on_jax, run_eagerly=not on_jax)
    (own,) = plain.fit(inputs, LABELS, verbose=0).history["loss"]
    (both,) = task.fit(inputs, LABELS, verbose=0).history["loss"]
    assert both == pytest.approx(own + 0.5 * surprise(logits), rel=1e-5)
    assert task.evaluate(inputs, LABELS, verbose=0)[0] == pytest.approx(own, rel=1e-5)
    expected = task.predict(inputs, verbose=0)
    np.testing.assert_allclose(plain.predict(inputs, verbose=0), expected, atol=1e-6)
    task.save(tmp_path / "task.keras")
    reloaded = keras.models.load_model(tmp_path / "task.keras")
    (again,) = reloaded.fit(inputs, LABELS, verbose=0).history["loss"]
    assert again == pytest.approx(both, rel=1e-5)


def test_wrong_uses_say_what_is_right() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        NextTokenLoss(-1.0)
    decoder = GPT2Decoder(SOURCE, pooling="last", hidden_layers=-2)
    with pytest.raises(ValueError, match=r"needs a GPT2Decoder, and its last hidden state"):
        TextClassifier(decoder, 2, next_token_loss=0.5)
