"""The losses and metrics of sentence vectors, against sentence-transformers and against NumPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.applications.tasks import CosineRegression, InBatchNegatives
from keras_pretrained.applications.tasks.pair_metrics import CosineCorrelation, InBatchAccuracy
from tests.examples.documents import GOLDENS
from tests.parity.recording import Record

CASES = {
    "pairs": (InBatchNegatives(), 2),
    "negatives": (InBatchNegatives(), 4),
    "scale_5": (InBatchNegatives(scale=5.0), 2),
    "symmetric": (InBatchNegatives(symmetric=True), 2),
    "scores": (CosineRegression(), 2),
}


def with_gradient(loss: Any, targets: np.ndarray, vectors: np.ndarray) -> tuple[Any, Any]:
    if keras.backend.backend() == "jax":
        import jax

        return jax.value_and_grad(lambda vectors: loss(targets, vectors))(vectors)
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def run(vectors: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            value = loss(targets, vectors)
        return value, tape.gradient(value, vectors)

    return run(tf.constant(vectors))


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_equal_sentence_transformers(case: str, parity: Record) -> None:
    with np.load(GOLDENS / "sentence_losses" / "expected.npz") as stored:
        golden = dict(stored)
    loss, texts = CASES[case]
    rows = golden["vectors"][:, :texts].reshape(-1, golden["vectors"].shape[-1])
    all_different = np.arange(len(rows)).reshape(-1, texts)
    targets = golden["scores"] if case == "scores" else all_different
    value, gradient = with_gradient(loss, targets, rows)
    measured = parity("sentence-losses")
    measured.close("losses", value, golden[f"{case}_loss"])
    measured.close("gradients", gradient, golden[f"{case}_gradient"].reshape(rows.shape))


def random_vectors(examples: int, texts: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(examples * texts, 4)).astype("float32")
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def by_hand(numbers: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The loss of each example, over a set of texts that are no answer to its first text."""
    sides = vectors.reshape(*numbers.shape, -1)
    vector_of = dict(zip(numbers.ravel(), vectors, strict=True))
    found = []
    for own, first in zip(numbers, sides[:, 0], strict=True):
        answers = {int(row[1]) for row in numbers if row[0] == own[0]}
        wrong = set(map(int, numbers[:, 1:].ravel())) - answers
        scores = 20 * np.array([vector_of[number] @ first for number in [own[1], *sorted(wrong)]])
        found.append(np.log(np.exp(scores - scores[0]).sum()))
    return np.array(found)


NUMBERS = np.array([[0, 1, 2], [3, 4, 5], [0, 6, 4], [7, 4, 8], [9, 2, 1], [0, 1, 2]])


def vectors_of(numbers: np.ndarray) -> np.ndarray:
    return random_vectors(10, 1)[numbers.ravel()]


def test_copies_and_further_answers_are_no_negatives() -> None:
    vectors = vectors_of(NUMBERS)
    loss = InBatchNegatives(reduction=None)
    np.testing.assert_allclose(loss(NUMBERS, vectors), by_hand(NUMBERS, vectors), atol=1e-5)
    accuracy = InBatchAccuracy()
    accuracy.update_state(NUMBERS, vectors)
    expected = np.mean(by_hand(NUMBERS, vectors) < np.log(2))
    assert 0 < float(accuracy.result()) < 1
    assert float(accuracy.result()) >= expected  # Below log(2), the answer is surely the best.


@pytest.mark.parametrize("symmetric", [False, True])
def test_rows_that_fill_a_batch_count_nothing(symmetric: bool) -> None:
    numbers = np.arange(8).reshape(4, 2)
    vectors = random_vectors(4, 2)
    filled = np.concatenate([numbers, numbers[:1], numbers[:1]])
    rows = np.concatenate([vectors, vectors[:2], vectors[:2]])
    loss = InBatchNegatives(symmetric=symmetric)
    weights = np.array([1, 1, 1, 1, 0, 0], "float32")
    found = float(loss(filled, rows, sample_weight=weights))
    assert found == pytest.approx(float(loss(numbers, vectors)), rel=1e-6)


def test_the_correlation_is_one_over_all_batches() -> None:
    random = np.random.default_rng(0)
    vectors, scores = random_vectors(50, 2), random.uniform(size=50).astype("float32")
    weights = random.integers(0, 3, 50).astype("float32")
    metric = CosineCorrelation()
    assert float(metric.result()) == 0
    for start in range(0, 50, 8):
        part = slice(start, start + 8)
        rows = vectors[2 * start : 2 * start + 16]
        metric.update_state(scores[part], rows, sample_weight=weights[part])
    cosines = (vectors[::2] * vectors[1::2]).sum(axis=1)
    covariance = np.cov(cosines, scores, aweights=weights)
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert float(metric.result()) == pytest.approx(expected, rel=1e-4)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_targets_of_the_other_loss_are_an_error() -> None:
    vectors = random_vectors(4, 2)
    with pytest.raises(ValueError, match="need the loss CosineRegression"):
        InBatchNegatives()(np.ones(4), vectors)
    with pytest.raises(ValueError, match="need the loss InBatchNegatives"):
        CosineRegression()(np.arange(8).reshape(4, 2), vectors)


def test_losses_and_metrics_are_saved() -> None:
    for made in (InBatchNegatives(7.0, True), CosineRegression(), InBatchAccuracy("hits")):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
        assert type(again) is type(made)
        assert again.get_config() == made.get_config()
