"""The example learns from next tokens only, tests on other modules, and runs as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_pretrained.layers import GPT2Decoder
from keras_pretrained.tokenizers import ByteLevelBPETokenizer
from tests.examples.documents import ROOT

sys.path.insert(0, str(ROOT / "examples"))
import language_model
import modules

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a SavedModel is part of the example"
)
LENGTH = 16


@pytest.fixture(scope="module")
def tokenizer() -> ByteLevelBPETokenizer:
    return language_model.train_tokenizer(modules.functions_of(Path(modules.__file__)), LENGTH)


def make_library(folder: Path, count: int = 9) -> None:
    """Modules whose every text names the module that it is from."""
    for number in range(count):
        function = f'''
            def work_{number}(x):
                """Says of module_{number} more than eight words, one after the other."""
                # A comment.
                y = x + {number}
                return work_{number}(y)
        '''
        source = "class Name:" + function + "\ndef shared(x):\n    y = x\n    return y\n"
        (folder / f"module_{number}.py").write_text(source)


def origins(texts: list[str]) -> set[str]:
    return {name for text in texts for name in re.findall(r"(?:work|module)_(\d)", text)}


def test_no_module_gives_two_of_the_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_library(tmp_path)
    monkeypatch.setattr(modules.sysconfig, "get_path", lambda name: str(tmp_path))
    found = modules.read_modules(docstrings=3, functions=4, held_out=3, seed=1)
    assert [len(texts) for texts in (found.docstrings, found.functions, found.held_out)] == [
        3,
        4,
        3,
    ]
    sides = [origins(texts) for texts in (found.docstrings, found.functions, found.held_out)]
    assert all(sides)
    assert len(set.union(*sides)) == sum(map(len, sides))
    functions = found.functions + found.held_out
    assert len(set(functions)) == len(functions)
    for text in functions:
        (function,) = ast.parse(text).body
        assert isinstance(function, ast.FunctionDef)
        assert ast.get_docstring(function) is None
        assert "comment" not in text
    assert modules.read_modules(3, 4, 3, seed=1) == found
    with pytest.raises(SystemExit, match="too few Python sources"):
        modules.read_modules(1, 50, 1, seed=1)


def test_each_token_is_to_give_the_next_one(tokenizer: ByteLevelBPETokenizer) -> None:
    short, long = "def take(x):", "def f():\n    return 1\n" * 9
    texts = [short, long] * (language_model.BATCH_SIZE // 2) + ["left over"]
    inputs, targets, weights = language_model.rows(tokenizer, texts)
    assert targets.shape == weights.shape == (language_model.BATCH_SIZE, LENGTH - 1)
    np.testing.assert_array_equal(inputs["token_ids"][:, 1:], targets[:, :-1])
    ids = tokenizer(short)["token_ids"]
    assert weights[0].sum() == len(ids) < LENGTH - 1
    np.testing.assert_array_equal(inputs["token_ids"][0, : len(ids)], ids)
    np.testing.assert_array_equal(
        targets[0][weights[0] == 1], [*ids[1:].tolist(), tokenizer.end_id]
    )
    assert weights[1].all()
    assert tokenizer.end_id not in targets[1]


def test_the_stream_is_every_text_and_its_end(tokenizer: ByteLevelBPETokenizer) -> None:
    texts = modules.functions_of(Path(modules.__file__)) * 6
    inputs, targets, weights = language_model.stream(tokenizer, texts)
    assert weights.all()
    assert inputs["padding_mask"].all()
    ids = np.concatenate([inputs["token_ids"], targets[:, -1:]], axis=1)
    expected = language_model.END.join(texts)
    assert expected.startswith(tokenizer.decode(ids.ravel().tolist()))
    assert ids.size >= language_model.BATCH_SIZE * LENGTH


def test_perplexity_is_that_of_real_tokens_in_double_precision(
    tokenizer: ByteLevelBPETokenizer,
) -> None:
    sizes = {
        "vocabulary_size": tokenizer.vocabulary_size,
        "num_layers": 1,
        "num_heads": 2,
        "hidden_size": 8,
        "intermediate_size": 8,
        "max_positions": LENGTH,
        "initializer_range": 1.0,
    }
    decoder = GPT2Decoder(architecture=sizes, language_model_logits=True)
    model = language_model.as_model(decoder)
    size = language_model.BATCH_SIZE
    texts = [f"x = {'y' * (index % 11)}" for index in range(2 * size)]
    inputs, targets, weights = language_model.rows(tokenizer, texts)
    # The second batch has fewer real tokens than the first: a mean of means would be another.
    weights[size:, 2:] = 0
    logits = model.predict(inputs, verbose=0).astype("float64")
    logits -= logits.max(axis=-1, keepdims=True)
    surprise = np.log(np.exp(logits).sum(axis=-1)) - np.take_along_axis(
        logits, targets[..., None], axis=-1
    ).squeeze(-1)
    expected = np.exp(surprise[weights == 1].mean())
    assert abs(np.exp(surprise.mean()) / expected - 1) > 0.01
    found = language_model.perplexity(model, (inputs, targets, weights))
    assert found == pytest.approx(expected, rel=1e-4)
    targets[weights == 0] = 1
    assert language_model.perplexity(model, (inputs, targets, weights)) == found


def test_frequencies() -> None:
    def given(ids: list[int]) -> language_model.Rows:
        return {}, np.array([ids]), np.array([[1, 1, 1, 0]])

    # Counted once more each: 3, 2, 1 of 6.
    found = language_model.frequencies(given([0, 0, 1, 2]), given([0, 1, 2, 2]), 3)
    assert found == pytest.approx((6 / 3 * 6 / 2 * 6 / 1) ** (1 / 3))


@pytest.mark.exhaustive
def test_the_whole_example_runs(tmp_path: Path) -> None:
    script = ROOT / "examples" / "language_model.py"
    options = "--docstrings 128 --functions 64 --held-out 32 --epochs 1 --length 64 --layers 1"
    command = [sys.executable, str(script), *options.split(), "--trainable-from", "layer_0"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(re.findall(r"^(\w.*?) {3,}(\d+\.\d)$", done.stdout, re.MULTILINE))
    values = {name: float(value) for name, value in found.items()}
    before = values.pop("pretrained, not fine-tuned")
    assert len(values) == 4
    assert values["fine-tuned, all"] < values["fine-tuned from layer_0 on"] < before
    assert done.stdout.count("\ndef read(self") == 2
    (difference,) = re.findall(r"difference of its logits (\S+)$", done.stdout, re.MULTILINE)
    assert float(difference) < language_model.TOLERANCE
    names = {path.name for path in (tmp_path / "pretrained").iterdir()}
    assert names >= {"hparams.json", "encoder.json", "vocab.bpe", "model.ckpt.index"}
    assert (tmp_path / "saved_model" / "saved_model.pb").is_file()
