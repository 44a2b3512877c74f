"""The example's texts are split honestly, and its three steps learn from small ones."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_pretrained.layers import AWDLSTMEncoder, ULMFiTClassifier
from tests.examples.documents import ROOT
from tests.examples.test_text_classification import make_library, origins

sys.path.insert(0, str(ROOT / "examples"))
import docstrings
import long_texts
import ulmfit


def test_no_module_is_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_library(tmp_path)
    (tmp_path / "other.py").write_text(f'"""{"alone of package0 " * 20}"""')
    monkeypatch.setattr(docstrings.sysconfig, "get_path", lambda name: str(tmp_path))
    data = long_texts.read_long_texts(words=60, seed=1)
    assert data.packages == ["package0", "package1", "package2"]
    assert (len(data.train_texts), len(data.test_texts)) == (3 * 6, 3 * 2)
    assert not origins(data.train_texts) & origins(data.test_texts)
    for texts, labels in (
        (data.train_texts, data.train_labels),
        (data.test_texts, data.test_labels),
    ):
        assert [int(text.split()[1][1:]) for text in texts] == labels.tolist()
        assert {len(text.split()) for text in texts} == {45 - 5}  # Names are cut out.
    assert set(data.train_texts) < set(data.unlabelled)
    assert not set(data.test_texts) & set(data.unlabelled)
    (other,) = set(data.unlabelled) - set(data.train_texts)
    assert other.split() == ["alone", "of"] * 20


def test_general_texts_are_of_installed_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "general"
    (package / "tests").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('Nothing of it is run.')")
    (package / "template.py").write_text("def {{name}}: pass")
    for number in range(30):
        for name in (f"m{number}.py", f"m{number}_test.py", f"tests/t{number}.py"):
            (package / name).write_text(f'"""{f"{Path(name).stem} word " * 30}"""')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(long_texts, "GENERAL", ("general", "not_installed"))
    train, test = long_texts.read_general_texts(total=1200, words=60, seed=1)
    assert (len(train), len(test)) == (19, 1)
    modules = {word for text in train + test for word in text.split()} - {"word"}
    assert len(modules) == 20
    assert all(re.fullmatch(r"m\d+", module) for module in modules)
    monkeypatch.setattr(long_texts, "GENERAL", ("not_installed",))
    with pytest.raises(SystemExit, match="Too few sources of not_installed"):
        long_texts.read_general_texts(total=100, words=60, seed=1)


def test_texts_are_cut_and_short_ends_left_out() -> None:
    words = [str(number) for number in range(230)]
    found = long_texts.cut([" ".join(words[:10]), " ".join(words[10:])], 100)
    assert [text.split() for text in found] == [words[:100], words[100:200]]
    assert long_texts.cut(["a " * 45], 100) == ["a " * 44 + "a"]


@pytest.mark.exhaustive
def test_the_three_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(1)

    def text(label: int) -> str:
        """Every other word is of its label; behind each comes one that it tells."""
        own = random.integers(10 * label, 10 * label + 10, 50)
        return " ".join(f"w{word} then{word}" for word in own)

    def texts(count: int) -> tuple[list[str], np.ndarray]:
        labels = np.arange(count) % 3
        return [text(label) for label in labels], labels

    def read(words: int, seed: int) -> long_texts.LongTexts:
        train, labels = texts(64)
        return long_texts.LongTexts(train, ["a", "b", "c"], train, labels, *texts(30))

    def read_general(total: int, words: int, seed: int) -> tuple[list[str], list[str]]:
        general = [text(number % 2) for number in range(90)]
        return general[30:], general[:30]

    monkeypatch.setattr(ulmfit, "read_long_texts", read)
    monkeypatch.setattr(ulmfit, "read_general_texts", read_general)
    monkeypatch.setattr(ulmfit, "SIZES", {"embedding_size": 16, "units": 16, "num_layers": 2})
    monkeypatch.setattr(sys, "argv", ["ulmfit.py", "--epochs", "20", "20", "30"])
    arguments = ulmfit.parse_arguments()
    ulmfit.run(arguments, tmp_path)
    printed = capsys.readouterr().out
    assert re.search(r"^step 2: \d+ of the \d+ words are known$", printed, re.MULTILINE)
    rows = dict(re.findall(r"^(\w.*?) {3,}(\d+\.\d+)", printed, re.MULTILINE))
    values = [float(value) for value in rows.values()]
    assert len(values) == 8
    # 20 words of two labels, with the word that each tells: 10 and 1, on the average.
    start, general, before, after = values[:4]
    assert start > 40 > general
    assert before > after
    tfidf, _, _, three = values[4:]
    assert tfidf == 1
    assert three > 0.8
    model = keras.models.load_model(tmp_path / "classifier.keras")
    assert [type(layer) for layer in model.layers[-2:]] == [AWDLSTMEncoder, ULMFiTClassifier]
    # A file takes the place of step 1.
    source = ulmfit.language_model(arguments, str(tmp_path / "tuned"))
    assert ulmfit.perplexity(source, ulmfit.stream(source, read(0, 0).test_texts)) < before
