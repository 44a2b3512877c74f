"""TextClassifier: what it learns and says, and that it is a Keras model like any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import export, finetune
from keras_pretrained.applications import TextClassifier
from keras_pretrained.layers import WordEmbedding
from tests.applications.tasks.toys import letter_texts, letters_bert, on_tensorflow
from tests.layers.toys import make_awd_lstm

TEXTS = ["a b", "c", "a dog", "h g f"]
LABELS = ["yes", "no", "no", "yes"]


def make(classes: Any = ("no", "yes"), **options: Any) -> TextClassifier:
    return TextClassifier(letters_bert(pooling="mean"), classes, **options)


def by_letter(texts: list[str]) -> list[str]:
    """Two classes of about the same size."""
    return ["early" if set(text) & set("ab") else "late" for text in texts]


def compiled(classifier: TextClassifier, rate: float = 1e-2) -> TextClassifier:
    classifier.compile(keras.optimizers.Adam(rate), jit_compile=False)
    return classifier


def test_it_learns_and_answers_with_names() -> None:
    texts, held_out = letter_texts(300), letter_texts(100, seed=1)
    classifier = compiled(TextClassifier(letters_bert(pooling="max"), 2, dropout=0.0))
    history = classifier.fit(
        texts, by_letter(texts), epochs=15, validation_split=0.1, verbose=0
    ).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert classifier.labels == ["early", "late"]
    correct = np.mean(np.array(classifier.predict(held_out)) == by_letter(held_out))
    assert correct > 0.95
    loss, accuracy = classifier.evaluate(held_out, by_letter(held_out), verbose=0)
    assert accuracy == pytest.approx(correct)
    assert loss < 0.3
    shares = classifier.predict_proba(held_out)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


def test_material_trains_as_the_same_arrays_do() -> None:
    texts = letter_texts(20)
    losses = []
    for on_texts in (True, False):
        keras.utils.set_random_seed(3)
        classifier = compiled(make(dropout=0.0))
        for layer in classifier.backbone._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        if on_texts:
            history = classifier.fit(
                texts, ["yes", "no"] * 10, batch_size=20, epochs=3, shuffle=False, verbose=0
            )
        else:
            ids = classifier.tokenizer(texts)
            history = classifier.fit(
                ids, np.array([1, 0] * 10), batch_size=20, epochs=3, shuffle=False, verbose=0
            )
        losses.append(history.history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_predictions_are_in_the_order_of_the_texts() -> None:
    classifier = make()
    texts = letter_texts(50, words=9)
    one_by_one = np.concatenate([classifier.predict_proba([text]) for text in texts[:5]])
    np.testing.assert_allclose(
        classifier.predict_proba(texts, batch_size=8)[:5], one_by_one, atol=1e-6
    )


def test_several_labels_a_text() -> None:
    texts = letter_texts(200)
    labels = [sorted({c for c in text if c in "ab"}) for text in texts]
    classifier = make(["a", "b"], multi_label=True, dropout=0.0)
    compiled(classifier).fit(texts, labels, epochs=15, verbose=0)
    held_out = letter_texts(50, seed=1)
    expected = [sorted({c for c in text if c in "ab"}) for text in held_out]
    found = classifier.predict(held_out)
    right = [ours == wanted for ours, wanted in zip(found, expected, strict=True)]
    assert np.mean(right) > 0.8 > np.mean([wanted == [] for wanted in expected])


def test_pairs_come_as_tuples_or_lists() -> None:
    classifier = make(pairs=True)
    firsts, seconds = ["a b", "c"], ["d", "e f"]
    expected = classifier.predict(classifier.tokenizer((firsts, seconds)), verbose=0)
    tuples = list(zip(firsts, seconds, strict=True))
    for pairs in ((firsts, seconds), tuples, list(map(list, tuples))):
        np.testing.assert_allclose(classifier.predict_proba(pairs), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"Expected pairs of texts\. Received: 3 texts"):
        classifier.predict([["a", "b"], ["a", "b", "c"]])
    for pairs in ((firsts, seconds), tuples):
        compiled(classifier, 0.0).fit(pairs, ["yes", "no"], validation_split=0.5, verbose=0)


def test_no_epochs_are_no_training() -> None:
    classifier = make()
    before = classifier.get_weights()
    assert classifier.fit(TEXTS, LABELS, epochs=0, verbose=0).epoch == []
    for weight, old in zip(classifier.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_weights_of_classes_are_weights_of_examples() -> None:
    classifier = make()
    expected = classifier.weighted(LABELS, None, {"yes": 3.0})
    assert expected.tolist() == [3, 1, 1, 3]
    assert classifier.weighted(LABELS, [1, 2, 3, 4], {"yes": 3.0}).tolist() == [3, 2, 3, 12]
    shares = classifier.predict_proba(TEXTS)[range(4), [1, 0, 0, 1]]
    by_hand = np.average(-np.log(shares), weights=[3, 1, 1, 3])
    compiled(classifier)
    found = classifier.evaluate(TEXTS, LABELS, sample_weight=expected, verbose=0)[0]
    assert found == pytest.approx(by_hand, rel=1e-5)


def test_a_batch_that_is_filled_up_counts_its_own_texts_only() -> None:
    classifier = compiled(make())
    shares = classifier.predict_proba(TEXTS[:3])[range(3), [1, 0, 0]]
    found = classifier.evaluate(TEXTS[:3], LABELS[:3], batch_size=2, verbose=0)
    assert found[0] == pytest.approx(-np.log(shares).mean(), rel=1e-5)
    assert found[1] == pytest.approx((shares > 0.5).mean(), rel=1e-5)


def test_without_compile_a_fit_has_a_schedule_of_its_own() -> None:
    classifier = make()
    for _ in range(2):
        classifier.fit(TEXTS, LABELS, batch_size=2, epochs=2, verbose=0)
        schedule = classifier.optimizer.inner_optimizer._learning_rate
        assert isinstance(schedule, finetune.LinearWarmup)
        assert (schedule.total_steps, int(classifier.optimizer.iterations)) == (4, 4)
    classifier.compile("sgd", jit_compile=False)
    optimizer = classifier.optimizer
    classifier.fit(TEXTS, LABELS, verbose=0)
    assert classifier.optimizer is optimizer


def test_biases_and_normalisations_are_not_decayed() -> None:
    classifier = make()
    classifier.compile()
    classifier.optimizer.build(classifier.trainable_variables)
    before = [keras.ops.convert_to_numpy(v) + 1 for v in classifier.trainable_variables]
    for variable, value in zip(classifier.trainable_variables, before, strict=True):
        variable.assign(value)
    zeros = [keras.ops.zeros(variable.shape) for variable in classifier.trainable_variables]
    classifier.optimizer.apply(zeros)
    for variable, value in zip(classifier.trainable_variables, before, strict=True):
        moved = not np.array_equal(keras.ops.convert_to_numpy(variable), value)
        assert moved == (len(variable.shape) > 1), variable.path


def test_a_plan_sets_depth_rates_and_callbacks() -> None:
    encoder = letters_bert(num_layers=2, pooling="mean")
    classifier = TextClassifier(encoder, ["no", "yes"])
    plan = finetune.plan(100, "low", classifier)
    classifier.fit(TEXTS, LABELS, plan=plan, epochs=1, verbose=0)
    assert classifier.trainable_from == plan.trainable_from
    assert isinstance(classifier.optimizer, finetune.StageRates)
    before = keras.tree.map_structure(np.array, classifier.backbone.get_weights())
    classifier.trainable_from = None
    classifier.fit(TEXTS, LABELS, verbose=0)
    for old, new in zip(before, classifier.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


RELOAD = """
import sys, keras, numpy
import keras_pretrained.applications
model = keras.models.load_model(sys.argv[1])
print(model.predict(["a b", "c d"]), model.labels, model.trainable_from, model.compiled)
numpy.save(sys.argv[2], model.predict_proba(["a b", "c d"]))
"""


def test_a_saved_task_holds_labels_and_vocabulary(tmp_path: Path) -> None:
    classifier = TextClassifier(letters_bert(pooling="mean", trainable_from=1), 2)
    classifier.fit(TEXTS, LABELS, verbose=0)
    classifier.save(tmp_path / "task.keras")
    command = [sys.executable, "-c", RELOAD, tmp_path / "task.keras", tmp_path / "found.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = classifier.predict(["a b", "c d"])
    assert done.stdout.splitlines()[-1] == f"{answers} ['no', 'yes'] 1 True"
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(found, classifier.predict_proba(["a b", "c d"]), atol=1e-6)


def test_a_reloaded_task_begins_a_new_schedule(tmp_path: Path) -> None:
    classifier = make()
    classifier.fit(TEXTS, LABELS, verbose=0)
    classifier.save(tmp_path / "task.keras")
    again = keras.models.load_model(tmp_path / "task.keras")
    assert int(again.optimizer.iterations) == 1
    again.fit(TEXTS, LABELS, batch_size=1, verbose=0)
    assert again.optimizer.inner_optimizer._learning_rate.total_steps == 4


@on_tensorflow
@pytest.mark.parametrize("pairs", [False, True])
def test_an_exported_task_takes_texts(pairs: bool, tmp_path: Path) -> None:
    import tensorflow as tf

    classifier = make(pairs=pairs)
    export.to_saved_model(classifier, tmp_path / "served")
    texts = {"first": ["a b", "c"], "second": ["d", "e f"]} if pairs else {"texts": ["a b", "c"]}
    served = tf.saved_model.load(str(tmp_path / "served")).serve(
        {name: tf.constant(side) for name, side in texts.items()}
    )
    given = tuple(texts.values()) if pairs else texts["texts"]
    np.testing.assert_allclose(
        served["classifier"].numpy(), classifier.predict_proba(given), atol=1e-6
    )


def make_words(**options: Any) -> WordEmbedding:
    sizes = {"vocabulary_size": 20, "hidden_size": 4}
    return WordEmbedding(architecture=sizes, trainable_from=0, **options)


@pytest.mark.parametrize(
    ("make_encoder", "pooling", "head"),
    [(make_awd_lstm, "last-max-mean", "ULMFiTClassifier"), (make_words, "mean", "Dense")],
    ids=["ulmfit", "words"],
)
def test_other_families_on_ids(make_encoder: Any, pooling: str, head: str) -> None:
    classifier = TextClassifier(make_encoder(pooling=pooling), ["no", "yes"])
    assert type(classifier.layers[-1]).__name__ == head
    ids = np.random.default_rng(0).integers(2, 9, (4, 5)).astype("int32")
    inputs = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    classifier.compile("adam", jit_compile=False)
    classifier.fit(inputs, np.array([0, 1, 0, 1]), verbose=0)
    assert classifier.predict(inputs, verbose=0).shape == (4, 2)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (["a", "b"], ["yes"], "2 texts and 1 labels"),
        (["a"], ["perhaps"], "Label 0 is 'perhaps'. Expected one of: 'no', 'yes'"),
        ([("a", "b")], ["yes"], "takes texts. Received: pairs"),
        ([], [], "at least one text"),
    ],
)
def test_wrong_material_is_an_error(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().fit(x, y)


def test_wrong_arguments_are_an_error() -> None:
    with pytest.raises(TypeError, match=r"list of texts\. Received one text: 'a b'"):
        make().predict("a b")
    with pytest.raises(ValueError, match=r"one vector a text.*pooling=None"):
        TextClassifier(letters_bert(), 2)
    with pytest.raises(ValueError, match="max_length belong to its own constructor"):
        TextClassifier(letters_bert(pooling="mean"), 2, max_length=5)
    with pytest.raises(ValueError, match="Expected a preset's name, a path, or a text layer"):
        TextClassifier(keras.layers.Dense(1), 2)
    with pytest.raises(ValueError, match="must leave examples on both sides"):
        make().fit(TEXTS, LABELS, validation_split=0.01)
