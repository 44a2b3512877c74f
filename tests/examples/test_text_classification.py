"""The example's data are split honestly, and the whole of it runs on a small network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.examples.documents import ROOT, make_small_minilm

sys.path.insert(0, str(ROOT / "examples"))
import docstrings


def read(examples: int = 2048) -> docstrings.Docstrings:
    return docstrings.read_docstrings(examples, batch_size=32, seed=1)


def make_library(folder: Path, packages: int = 3, modules: int = 8, functions: int = 5) -> None:
    """A library whose every text says in two words which package and module it is from."""
    for package in range(packages):
        home = folder / f"package{package}"
        home.mkdir()
        for module in range(modules):
            text = f"In p{package} m{module} does package{package} say five words"
            source = [f'def f{i}():\n    """{text} {i}."""\n' for i in range(functions)]
            (home / f"module{module}.py").write_text("\n".join(source))
        (home / "test").mkdir()
        (home / "test" / "test_it.py").write_text('"""Tests are no library and are not read."""')


def origins(texts: list[str]) -> set[tuple[str, ...]]:
    return {tuple(re.findall(r"\b[pm]\d+", text)) for text in texts}


def test_no_module_is_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_library(tmp_path)
    monkeypatch.setattr(docstrings.sysconfig, "get_path", lambda name: str(tmp_path))
    data = docstrings.read_docstrings(1000, batch_size=1, seed=1)
    assert data.packages == ["package0", "package1", "package2"]
    assert len(data.train_texts) == 3 * 6 * 5
    assert len(data.test_texts) == 3 * 2 * 5
    assert not origins(data.train_texts) & origins(data.test_texts)
    for texts, labels in (
        (data.train_texts, data.train_labels),
        (data.test_texts, data.test_labels),
    ):
        assert [int(text.split()[1][1:]) for text in texts] == labels.tolist()
        assert not any("package" in text for text in texts)


def test_the_standard_library_is_enough() -> None:
    data = read()
    assert len(data.train_texts) % 32 == len(data.test_texts) % 32 == 0
    assert len(data.train_texts) >= 512
    assert len(data.test_texts) >= 128
    assert not set(data.train_texts) & set(data.test_texts)
    everything = range(len(data.packages))
    assert set(data.train_labels) == set(data.test_labels) == set(everything)
    package = re.compile("|".join(map(re.escape, data.packages)), re.IGNORECASE)
    assert not any(package.search(text) for text in data.train_texts + data.test_texts)
    again = read()
    assert again.train_texts == data.train_texts
    np.testing.assert_array_equal(again.test_labels, data.test_labels)


def test_a_machine_without_sources_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docstrings.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(SystemExit, match="too few Python sources"):
        read()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="ONNX needs TensorFlow")
def test_the_whole_example_runs(tmp_path: Path) -> None:
    make_small_minilm(tmp_path / "small", num_layers=1)
    done = run_example(
        *("--source", tmp_path / "small", "--output", tmp_path / "out"),
        *("--examples", 64, "--epochs", 1, "--max-length", 16, "--trainable-from", "layer_0"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("model.keras, reloaded", "SavedModel in", "ONNX file in"):
        (difference,) = re.findall(rf"^{name}.* (\d\S+)$", done.stdout, re.MULTILINE)
        assert float(difference) < 1e-4
    assert (tmp_path / "out" / "model.keras").is_file()
    assert (tmp_path / "out" / "model.onnx").is_file()
    assert (tmp_path / "out" / "saved_model" / "saved_model.pb").is_file()


def run_example(*arguments: Any) -> subprocess.CompletedProcess[str]:
    script = ROOT / "examples" / "text_classification.py"
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
