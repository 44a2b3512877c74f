"""The tagging example: its data are tagged as they should be, and the whole of it runs."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.examples.documents import GOLDENS, ROOT

sys.path.insert(0, str(ROOT / "examples"))
import code_tokens
import sequence_tagging

on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="has no strings")
SOURCE = '''
def load(path, mode="rb"):
    """A text of several words."""
    with open(path, mode=mode) as stream:  # A comment.
        return stream.read(4) + self.rest
x = 1
'''


def test_a_token_is_tagged_by_what_it_does() -> None:
    (first, kinds), (second, others), (third, _) = code_tokens.tagged_lines(SOURCE)
    named = [code_tokens.KINDS[kind] for kind in kinds]
    assert list(zip(first, named, strict=True)) == [
        ("def", "keyword"),
        ("load", "definition"),
        ("(", "operator"),
        ("path", "name"),
        (",", "operator"),
        ("mode", "argument"),
        ("=", "operator"),
        ('"rb"', "text"),
        (")", "operator"),
        (":", "operator"),
    ]
    assert second[:3] == ["with", "open", "("]
    assert code_tokens.KINDS[others[1]] == "builtin"
    tags = dict(zip(third, (code_tokens.KINDS[kind] for kind in _), strict=True))
    assert tags["read"] == "call"
    assert tags["rest"] == "attribute"
    assert tags["4"] == "number"
    assert tags["stream"] == tags["self"] == "name"


def test_the_standard_library_is_enough() -> None:
    lines = code_tokens.read_lines(200, seed=1)
    assert (len(lines.train), len(lines.test)) == (200, 40)
    words = [word for line, _ in lines.train + lines.test for word in line]
    assert not [word for word in words if not word or len(word.split()) != 1]
    assert len({kind for _, kinds in lines.train for kind in kinds}) == len(code_tokens.KINDS)
    assert lines == code_tokens.read_lines(200, seed=1)


def test_a_tagger_must_look_beside_the_word(tmp_path: Path) -> None:
    lines = code_tokens.read_lines(300, seed=1)
    assert 0.6 < sequence_tagging.most_frequent(lines) < 0.95
    path = sequence_tagging.write_vectors(lines.train, tmp_path / "vectors.txt", size=4)
    rows = [line.split(" ") for line in path.read_text(encoding="utf-8").splitlines()]
    assert {len(row) for row in rows} == {5}
    assert np.isfinite([float(value) for row in rows for value in row[1:]]).all()


@on_tensorflow
def test_the_model_of_a_published_elmo(tmp_path: Path) -> None:
    """A pretrained network stays frozen; its mixes train."""
    lines = code_tokens.read_lines(32, seed=1).train
    vectors = sequence_tagging.write_vectors(lines, tmp_path / "vectors.txt", size=4)
    model = sequence_tagging.build_model(str(GOLDENS / "elmo"), vectors, lines)
    words, kinds, weights = next(iter(sequence_tagging.dataset(lines)))
    assert words.shape == kinds.shape == weights.shape
    assert model(words).shape == (*words.shape, len(code_tokens.KINDS))
    trained = {
        variable.path.split("/")[-1] for variable in model.get_layer("elmo").trainable_weights
    }
    assert trained == {"mix", "gamma"}


@on_tensorflow
@pytest.mark.exhaustive
def test_the_example_runs(tmp_path: Path) -> None:
    arguments: Any = argparse.Namespace(elmo=None, vectors=None, lines=1024, epochs=2)
    assert sequence_tagging.run(arguments, tmp_path) > 0.93
    command = [sys.executable, "sequence_tagging.py", "--lines", "64", "--epochs", "1"]
    done = subprocess.run(command, cwd=ROOT / "examples", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ONNX, from character ids" in done.stdout
