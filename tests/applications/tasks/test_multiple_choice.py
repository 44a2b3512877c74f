"""MultipleChoice: scores as transformers makes them, and choices that it learns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import export, finetune
from keras_pretrained.applications import MultipleChoice
from tests.applications.tasks.toys import LETTERS, letter_texts, letters_bert, on_tensorflow
from tests.examples.documents import GOLDENS
from tests.parity.recording import Record

QUESTIONS = [("a b", ["c", "d"]), ("e", ["f", "g h"]), ("h", ["b", "a"])]
ANSWERS = ["d", 0, "b"]


def make(choices: int = 2, **options: Any) -> MultipleChoice:
    return MultipleChoice(letters_bert(pooling="cls"), choices, **options)


def compiled(model: MultipleChoice, rate: float = 1e-2) -> MultipleChoice:
    model.compile(keras.optimizers.Adam(rate))
    return model


def exam(count: int, seed: int) -> tuple[list[Any], list[str]]:
    """The answer is the choice of early letters, whatever the prompt."""
    random = np.random.default_rng(seed)
    questions, answers = [], []
    for prompt in letter_texts(count, seed, words=2):
        right, *wrong = (
            " ".join(random.choice(list(letters), 2))
            for letters in (LETTERS[:4], LETTERS[4:], LETTERS[4:])
        )
        choices = [right, *wrong]
        random.shuffle(choices)
        questions.append((prompt, choices))
        answers.append(right)
    return questions, answers


def test_it_learns_which_choice_is_right() -> None:
    questions, answers = exam(200, seed=0)
    held_out, right = exam(100, seed=1)
    model = compiled(make(3, dropout=0.0))
    head = model.get_layer("score")
    head.set_weights([0 * value for value in head.get_weights()])  # No choice is preferred yet.
    before = np.mean(np.array(model.predict(held_out)) == right)
    history = model.fit(questions, answers, epochs=8, validation_split=0.1, verbose=0).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    after = np.mean(np.array(model.predict(held_out)) == right)
    assert before < 0.5
    assert after > 0.9
    loss, accuracy = model.evaluate(held_out, right, verbose=0)
    assert accuracy == pytest.approx(after)
    shares = model.predict_proba(held_out)
    assert shares.shape == (100, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    places = [choices.index(answer) for (_, choices), answer in zip(held_out, right, strict=True)]
    assert loss == pytest.approx(-np.log(shares[range(100), places]).mean(), rel=1e-3, abs=1e-6)


@pytest.mark.parity
def test_scores_and_loss_equal_transformers(parity: Record) -> None:
    folder = GOLDENS / "bert_multiple_choice"
    note = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    with np.load(folder / "expected.npz") as stored:
        golden = dict(stored)
    model = MultipleChoice(GOLDENS / "bert_hf" / "erf", choices=3)
    assert model.backbone.pooling == "pooler"
    model.get_layer("score").set_weights([golden["kernel"], golden["bias"]])
    questions = [*note["questions"].items()]
    measured = parity("multiple-choice/bert")
    measured.close("scores", model.outputs_of(questions).reshape(3, 3), golden["scores"])
    model.compile()
    loss = model.evaluate(questions, note["answers"], verbose=0)[0]
    measured.close("loss", loss, golden["loss"])


@pytest.mark.exhaustive
def test_material_trains_as_its_arrays_do() -> None:
    questions, answers = exam(12, seed=0)
    numbers = [choices.index(right) for (_, choices), right in zip(questions, answers, strict=True)]
    losses = []
    for on_texts in (True, False):
        keras.utils.set_random_seed(3)
        model = compiled(make(3, dropout=0.0))
        for layer in model.backbone._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        if on_texts:
            history = model.fit(questions, answers, epochs=3, shuffle=False, verbose=0)
        else:
            sides = (
                [prompt for prompt, _ in questions for _ in range(3)],
                [choice for _, choices in questions for choice in choices],
            )
            batches = finetune.bucket_by_length(
                model.tokenizer(sides), np.array(numbers), batch_size=12, rows_per_example=3
            )
            history = model.fit(batches, epochs=3, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_batch_that_is_filled_up_counts_its_own_questions_only() -> None:
    model = compiled(make())
    shares = model.predict_proba(QUESTIONS)[range(3), [1, 0, 0]]
    loss, accuracy = model.evaluate(QUESTIONS, ANSWERS, batch_size=2, verbose=0)
    assert loss == pytest.approx(-np.log(shares).mean(), rel=1e-5)
    assert accuracy == pytest.approx((shares > 0.5).mean(), rel=1e-5)
    weighted = model.evaluate(QUESTIONS, ANSWERS, sample_weight=[1, 0, 3], verbose=0)[0]
    assert weighted == pytest.approx(np.average(-np.log(shares), weights=[1, 0, 3]), rel=1e-5)


def test_predictions_are_in_the_order_of_the_questions() -> None:
    model = make()
    texts = letter_texts(60, words=5)
    questions = [(texts[i], [texts[i + 1], texts[i + 2]]) for i in range(0, 60, 3)]
    together = model.predict_proba(questions, batch_size=4)
    alone = np.concatenate([model.predict_proba([question]) for question in questions[:4]])
    np.testing.assert_allclose(together[:4], alone, atol=1e-6)
    chosen = [
        choices[place]
        for (_, choices), place in zip(questions, together.argmax(axis=1), strict=True)
    ]
    assert model.predict(questions) == chosen


def test_without_compile_it_trains_at_a_depth() -> None:
    model = make()
    model.trainable_from = None
    before = model.backbone.get_weights()
    model.fit(QUESTIONS, ANSWERS, verbose=0)
    assert isinstance(model.optimizer.inner_optimizer._learning_rate, finetune.LinearWarmup)
    for old, new in zip(before, model.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


RELOAD = """
import sys, keras, numpy
import keras_pretrained.applications
model = keras.models.load_model(sys.argv[1])
print(model.predict([("a b", ["c", "d"])]), model.choices, model.compiled)
numpy.save(sys.argv[2], model.predict_proba([("a b", ["c", "d"]), ("e", ["f", "g h"])]))
"""


def test_a_saved_task_answers_as_before(tmp_path: Path) -> None:
    model = make(dropout=0.3, name="exam")
    model.save(tmp_path / "task.keras")
    again = keras.models.load_model(tmp_path / "task.keras")
    assert again.get_config().keys() == model.get_config().keys()
    assert (again.choices, again.name, again.get_layer("dropout").rate) == (2, "exam", 0.3)
    np.testing.assert_array_equal(again.predict_proba(QUESTIONS), model.predict_proba(QUESTIONS))


@pytest.mark.exhaustive
def test_a_saved_task_answers_in_a_fresh_process(tmp_path: Path) -> None:
    model = compiled(make())
    model.fit(QUESTIONS, ANSWERS, verbose=0)
    model.save(tmp_path / "task.keras")
    command = [sys.executable, "-c", RELOAD, tmp_path / "task.keras", tmp_path / "found.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{model.predict(QUESTIONS[:1])} 2 True"
    np.testing.assert_array_equal(
        np.load(tmp_path / "found.npy"), model.predict_proba(QUESTIONS[:2])
    )


@on_tensorflow
def test_an_exported_task_scores_prompts_with_choices(tmp_path: Path) -> None:
    import tensorflow as tf

    model = make()
    expected = model.outputs_of(QUESTIONS[:2])
    export.to_saved_model(model, tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served")).serve(
        {
            "prompt": tf.constant(["a b", "a b", "e", "e"]),
            "choice": tf.constant(["c", "d", "f", "g h"]),
        }
    )
    np.testing.assert_allclose(served["score"].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([("a", ["b", "c"])], [1, 0], "1 texts and 2 answers"),
        ([("a", ["b", "c"])], ["d"], "Answer 0 must be one of the choices.*Received: 'd'"),
        ([("a", ["b", "c"])], [2], "an index below 2. Received: 2"),
        ([("a", ["b", "c", "d"])], [1], r"Example 0.*2 choices.*Received: \('a', \['b'"),
        ([("a", "bc")], [1], r"Example 0.*Received: \('a', 'bc'\)"),
        ([], [], "at least one text"),
    ],
)
def test_wrong_material_is_an_error(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().fit(x, y)


def test_wrong_arguments_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"2 or more\. Received: 1"):
        make(1)
    with pytest.raises(ValueError, match="one vector a text"):
        MultipleChoice(letters_bert(), 2)
