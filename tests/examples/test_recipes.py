"""The experiment on recipes: its data, its choice of rates, and runs that share compiled steps."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import finetune
from tests.examples.documents import ROOT, make_small_minilm

sys.path.insert(0, str(ROOT / "examples"))
import recipes
import text_tasks
import tuned_network
from docstrings import Docstrings
from text_tasks import Part, Task
from tuned_network import RECIPES, Recipe, TunedNetwork

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="sets the rate from outside of the step"
)


# --- data ------------------------------------------------------------------------------------


def write_polarity(folder: Path, encoding: str = "cp1252") -> None:
    """As published: 0x85 is an ellipsis, which latin-1 reads as the end of a line."""
    good = ["a clich\xe9\u2026 but good ."] + [f"good number {i} . " for i in range(20)]
    bad = [f"bad number {i} ." for i in range(20)] + ["bad number 0 ."]
    for name, sentences in (("rt-polarity.pos", good), ("rt-polarity.neg", bad)):
        (folder / name).write_bytes("\n".join([*sentences, ""]).encode(encoding))


def every_text(task: Task) -> list[str]:
    return [text for part in (task.train, task.validation, task.test) for text in part.texts]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_reviews_are_read_in_their_encoding(tmp_path: Path, encoding: str) -> None:
    write_polarity(tmp_path, encoding)
    task = text_tasks.read_polarity(tmp_path)
    texts = every_text(task)
    assert "a clich\xe9\u2026 but good ." in texts
    assert len(texts) == len(set(texts)) == 41
    assert len(task.test) == 41 // 5
    assert task.classes == ["negative", "positive"]
    for part in (task.train, task.validation, task.test):
        assert [int("good" in text) for text in part.texts] == part.labels.tolist()


@pytest.mark.parametrize(
    "names", [("TREC.train", "TREC.test"), ("train_5500.label", "TREC_10.label")]
)
def test_questions_have_coarse_classes(tmp_path: Path, names: tuple[str, str]) -> None:
    train = [f"NUM:count How many are {i} ?" for i in range(8)]
    train += ["LOC:city Which city is a sister\xf0city ?", "HUM:ind Who is in both parts ?"]
    test = ["NUM:date When was it ?", "HUM:ind Who is in both parts ?"]
    for name, rows in zip(names, (train, test), strict=True):
        (tmp_path / name).write_bytes("\n".join([*rows, ""]).encode("latin-1"))
    task = text_tasks.read_questions(tmp_path)
    assert task.classes == ["HUM", "LOC", "NUM"]
    assert task.test.texts == ["When was it ?", "Who is in both parts ?"]
    assert "Who is in both parts ?" not in task.train.texts + task.validation.texts
    assert sorted(every_text(task)).count("Which city is a sister\xf0city ?") == 1


def test_what_is_tested_is_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    train = [f"train {i}" for i in range(20)] + ["both"]
    labels = np.arange(21) % 2
    read = Docstrings(["email", "xml"], train, labels, ["both", "test"], np.array([0, 1]))
    monkeypatch.setattr(text_tasks, "read_docstrings", lambda **options: read)
    task = text_tasks.docstring_task()
    assert sorted(every_text(task)) == sorted([*train, "test"])
    assert task.test.texts == ["both", "test"]
    assert len(task.validation) == 5
    for part in (task.train, task.validation):
        assert [train.index(text) % 2 for text in part.texts] == part.labels.tolist()


def test_a_sample_is_that_of_its_seed() -> None:
    part = Part([str(i) for i in range(50)], np.arange(50))
    sample = part.sample(10, seed=1)
    assert sample.texts == [str(label) for label in sample.labels]
    assert sample.texts == part.sample(10, seed=1).texts != part.sample(10, seed=2).texts
    assert len(set(sample.texts)) == 10


def test_every_text_comes_once_before_any_comes_again() -> None:
    rows = tuned_network.shuffled(10, needed=25, seed=1)
    assert len(rows) == 25
    for start, stop in ((0, 10), (10, 20)):
        assert sorted(rows[start:stop]) == list(range(10))
    assert len(set(rows[20:])) == 5


# --- choices and tables ----------------------------------------------------------------------


def test_the_rate_is_chosen_on_validation(tmp_path: Path) -> None:
    results = recipes.Results(tmp_path / "runs.jsonl")
    accuracies = {(0.1, 0): (0.7, 0.99), (0.2, 0): (0.8, 0.6), (0.3, 0): (0.8, 0.99)}
    accuracies |= {(0.2, 1): (0.1, 0.64), (0.2, 2): (0.9, 0.62)}
    for (rate, seed), (validation, test) in accuracies.items():
        results.add(recipes.Run("task", "100", "plain", rate, seed, validation, test, 1.0))
    again = recipes.Results(tmp_path / "runs.jsonl")
    assert again.runs == results.runs
    assert recipes.best_rate(again.of("task", "100", "plain")) == 0.2
    assert recipes.cell(again.of("task", "100", "plain")) == "62.0 ± 2.0 (0.2)"
    printed = recipes.table(again, "task", ["100", "all"])
    assert printed.splitlines()[-1] == "| plain | 62.0 ± 2.0 (0.2) | - |"


def test_one_task_chooses_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates are tried with one seed on the first task; the best one is used everywhere."""
    results = recipes.Results(tmp_path / "runs.jsonl")
    made = []

    def run(self: Any, labels: str, row: str, rate: float, seed: int) -> None:
        made.append((labels, rate, seed))
        validation = 1 - abs(rate - (0.2 if labels == "10" else 0.3))
        results.add(recipes.Run(self._task.name, labels, row, rate, seed, validation, 0.5, 1.0))

    monkeypatch.setattr(recipes.Experiment, "_run", run)
    options = argparse.Namespace(rates=[0.1, 0.2, 0.3], seeds=2, labels=["10", "100", "all"])
    first, second = (
        recipes.Experiment(replace(small_task(), name=name), "first", options, results)
        for name in ("first", "second")
    )
    first.measure("10", "plain")
    assert made == [("10", rate, 0) for rate in (0.1, 0.2, 0.3)] + [("10", 0.2, 0), ("10", 0.2, 1)]
    first.measure("100", "plain")
    made.clear()
    for labels in options.labels:
        second.measure(labels, "plain")
    tens, hundreds = [("10", 0.2, 0), ("10", 0.2, 1)], [("100", 0.3, 0), ("100", 0.3, 1)]
    assert made == [*tens, *hundreds, ("all", 0.3, 0)]
    made.clear()
    second.measure("all", recipes.TFIDF)
    assert [rate for _, rate, _ in made[:-1]] == list(recipes.PENALTIES)


# --- training --------------------------------------------------------------------------------


def small_task(count: int = 48) -> Task:
    """Letters of the small vocabulary; the first one says which class it is."""
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, count).astype("int32")
    texts = [" ".join("ab"[label] + "cdefg"[random.integers(5)]) for label in labels]
    part = Part(texts, labels)
    return Task("letters", ["a", "b"], part, part, part, length=8)


def by_keras_alone(network: TunedNetwork, recipe: Recipe, task: Task, seed: int) -> keras.Model:
    """The same training as a user writes it: a new model, the schedule inside of its optimizer."""
    keras.utils.set_random_seed(seed)
    model = network.build()
    rounds, steps = 2, 6
    rows = tuned_network.shuffled(len(task.train), rounds * steps * 16, seed)
    optimizer = keras.optimizers.AdamW(recipe.schedule(0.02, rounds * steps), weight_decay=0.01)
    model.compile(
        finetune.discriminative(optimizer, model, layer_decay=recipe.layer_decay),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    tokens = model.get_layer("encoder").tokenizer(task.train.texts, pad_to=task.length)
    model.fit(
        {name: np.asarray(values)[rows] for name, values in tokens.items()},
        task.train.labels[rows],
        batch_size=16,
        epochs=rounds,
        steps_per_epoch=steps,
        shuffle=False,
        callbacks=[finetune.GradualUnfreezing(model)] if recipe.unfreezing else [],
        verbose=0,
    )
    return model


@on_tensorflow
def test_kept_steps_train_as_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run with the compiled steps of a first one is a training of its own."""
    monkeypatch.setattr(tuned_network, "DROPOUT", 0.0)
    make_small_minilm(tmp_path / "small", num_layers=1)
    config = tmp_path / "small" / "config.json"
    without = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config.write_text(json.dumps({**json.loads(config.read_text()), **without}))
    task, recipe = small_task(), RECIPES["all three, 1/2.6"]
    network = TunedNetwork(str(tmp_path / "small"), task, pretrained=True)
    network.fit(recipe, task.train, rate=0.05, seed=2, passes=4)
    network.fit(recipe, task.train, rate=0.02, seed=1, passes=4)
    expected = by_keras_alone(network, recipe, task, seed=1)
    begun = network.build().get_weights()
    found, wanted = network.model.get_weights(), expected.get_weights()
    assert max(np.abs(a - b).max() for a, b in zip(found, begun, strict=True)) > 0.01
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def run_program(*arguments: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / "recipes.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@on_tensorflow
@pytest.mark.exhaustive
def test_the_program_runs_and_goes_on(tmp_path: Path) -> None:
    make_small_minilm(tmp_path / "small", num_layers=1)
    (tmp_path / "reviews").mkdir()
    write_polarity(tmp_path / "reviews")
    arguments = ("--source", "small", "--polarity", "reviews", "--no-docstrings", "--labels", 16)
    rates = ("--rates", 0.01, "--seeds", 2)
    first = run_program(*arguments, *rates, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    rows = [line for line in first.stdout.splitlines() if "±" in line]
    assert len(rows) == 1 + len(RECIPES)
    lines = (tmp_path / "recipes.jsonl").read_text().splitlines()
    assert len(lines) == len(recipes.PENALTIES) + 1 + 2 * len(RECIPES)
    (tmp_path / "recipes.jsonl").write_text("\n".join([*lines[:-1], ""]))
    again = run_program(*arguments, *rates, folder=tmp_path)
    assert again.stderr.count("Run(") == 1
    assert again.stdout == first.stdout
