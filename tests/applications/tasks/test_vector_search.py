"""The nearest vectors are those of a full sort, however a corpus comes in parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.applications.tasks import vector_search
from keras_pretrained.applications.tasks.vector_search import cosines, nearest


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_search, "QUERIES", 3)
    monkeypatch.setattr(vector_search, "VECTORS", 7)


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("top_k", [1, 5, 40, 60])
def test_nearest_is_a_full_sort(top_k: int) -> None:
    random = np.random.default_rng(0)
    queries, corpus = random.normal(size=(8, 4)), random.normal(size=(50, 4))
    positions, scores = nearest(queries, [corpus[:20], corpus[20:]], top_k)
    expected = cosines(queries, corpus)
    order = np.argsort(-expected, axis=1)[:, :top_k]
    np.testing.assert_array_equal(positions, order)
    np.testing.assert_allclose(scores, np.take_along_axis(expected, order, axis=1), atol=1e-6)


def test_vectors_may_lie_in_a_file_in_half_precision(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    stored = np.memmap(tmp_path / "vectors", "float16", "w+", shape=(100, 4))
    stored[:] = random.normal(size=stored.shape)
    positions, scores = nearest(stored[[42, 7]], [stored], top_k=1)
    assert positions.ravel().tolist() == [42, 7]
    np.testing.assert_allclose(scores, 1, atol=1e-6)


def test_cosines_of_any_lengths_and_of_zeros() -> None:
    found = cosines(np.array([[3.0, 0.0], [0.0, 0.0]]), np.array([[5.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(found, [[1, np.sqrt(0.5)], [0, 0]], atol=1e-6)


def test_an_empty_corpus_has_no_matches() -> None:
    positions, scores = nearest(np.ones((2, 4)), [], top_k=3)
    assert positions.shape == scores.shape == (2, 0)
