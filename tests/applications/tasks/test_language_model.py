"""LanguageModel: what it is given to learn, how well it predicts, and how it goes on."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import export
from keras_pretrained.applications import LanguageModel, TextClassifier
from keras_pretrained.applications.tasks import Perplexity
from keras_pretrained.applications.tasks.token_blocks import token_blocks, token_rows
from keras_pretrained.layers import AWDLSTMEncoder, GPT2Decoder
from keras_pretrained.tokenizers import ByteLevelBPETokenizer, FastaiTokenizer
from tests.applications.tasks.toys import JIT, LETTERS, letters_bert, on_tensorflow
from tests.layers.relatives import GOLDENS
from tests.layers.toys import make_encoder

PIECES = GOLDENS / "byte_level_bpe"
FIRST_WORDS = ["xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj"]
TEXTS = ["an end in the end", "so it is"]


def bytes_tokenizer(max_length: int = 32) -> ByteLevelBPETokenizer:
    return ByteLevelBPETokenizer.from_files(
        PIECES / "encoder.json", PIECES / "vocab.bpe", special="gpt2", max_length=max_length
    )


def make_gpt2(max_positions: int = 32, **changes: Any) -> GPT2Decoder:
    tokenizer = bytes_tokenizer(max_positions)
    sizes = {
        "vocabulary_size": tokenizer.vocabulary_size,
        "num_layers": 1,
        "initializer_range": 0.05,
        "max_positions": max_positions,
        **changes,
    }
    return make_encoder(
        GPT2Decoder, sizes, tokenizer=tokenizer, language_model_logits=True, jit_compile=False
    )


def make_ulmfit(backward: bool = False, **options: Any) -> AWDLSTMEncoder:
    words = [*FIRST_WORDS, *LETTERS]
    sizes = {
        "vocabulary_size": len(words),
        "embedding_size": 8,
        "num_layers": 1,
        "backward": backward,
    }
    options = {"language_model_logits": True, **options}
    tokenizer = FastaiTokenizer(words, rules="1", splitter="whitespace")
    return AWDLSTMEncoder(architecture=sizes, tokenizer=tokenizer, **options)


def batches_of(data: Any) -> list[Any]:
    return [data[number] for number in range(len(data))]


# --- blocks -----------------------------------------------------------------------------------


def test_every_token_is_a_target_once() -> None:
    model = LanguageModel(make_gpt2(), block_length=5)
    end = model.tokenizer.end_id
    (made,) = batches_of(model.batches(TEXTS, batch_size=8))
    inputs, targets, weights = made
    expected = [end]
    for text in TEXTS:
        expected += [*model.tokenizer(text)["token_ids"].tolist(), end]
    assert targets.shape == weights.shape == inputs["token_ids"].shape
    assert targets.shape[1] == 5
    assert targets[weights == 1].tolist() == expected[1:]
    assert inputs["token_ids"][weights == 1].tolist() == expected[:-1]
    np.testing.assert_array_equal(inputs["padding_mask"], weights)
    assert model.tokenizer.decode(targets[weights == 1].tolist()) == "".join(
        f"{text}<|endoftext|>" for text in TEXTS
    )


def test_training_has_other_orders_and_one_shape() -> None:
    model = LanguageModel(make_gpt2(), block_length=4)
    data = model.batches(TEXTS * 4, batch_size=4, training=True)
    assert len(data) > 1
    epochs = []
    for _ in range(2):
        made = batches_of(data)
        assert {batch[1].shape for batch in made} == {(4, 4)}
        targets = np.concatenate([targets for _, targets, _ in made])
        weights = np.concatenate([weights for *_, weights in made])
        epochs.append(targets)
        counted = Counter(targets[weights == 1].tolist())
        assert counted == Counter(np.concatenate(token_rows(model.tokenizer, TEXTS * 4))[1:])
        data.on_epoch_end()
    assert not np.array_equal(*epochs)


def test_a_backward_network_has_the_tokens_before_as_targets() -> None:
    model = LanguageModel(make_ulmfit(backward=True), block_length=4)
    tokenizer = model.tokenizer
    ((inputs, targets, weights),) = batches_of(model.batches(["a b c", "d"]))
    stream = np.concatenate([tokenizer("a b c")["token_ids"], tokenizer("d")["token_ids"]])
    # fast.ai's texts begin with their own sign; nothing stands between them.
    assert stream.tolist() == [2, 9, 10, 11, 2, 12]
    assert inputs["token_ids"].tolist() == [[9, 10, 11, 2], [12, 1, 1, 1]]
    assert targets[weights == 1].tolist() == stream[:-1].tolist()
    with pytest.raises(ValueError, match="reads texts from their end"):
        model.predict(["a b"])


def test_a_stateful_network_reads_on() -> None:
    network = make_ulmfit(stateful=True, state_rows=2)
    model = LanguageModel(network, block_length=3)
    model.compile("sgd", jit_compile=JIT)
    texts = ["a b c d e f g h"] * 4
    (first, _), (second, _), *_ = batches_of(model.batches(texts, batch_size=2))
    stream = np.concatenate([model.tokenizer(text)["token_ids"] for text in texts])
    joined = np.concatenate([first["token_ids"], second["token_ids"]], axis=1)
    assert joined[0].tolist() == stream[:6].tolist()
    model.fit(texts, batch_size=2, verbose=0)
    found = model.evaluate(texts, batch_size=2, verbose=0, return_dict=True)
    assert model.evaluate(texts, batch_size=2, verbose=0, return_dict=True) == found
    # All at once, in one block, it knows as much.
    alone = LanguageModel(network.with_options(stateful=False), block_length=15)
    alone.compile("sgd", jit_compile=JIT)
    rows = np.split(stream[: 2 * 17 + 1], [17])
    data = token_blocks([rows[0][:16]], alone.backbone, 15, 1, training=False)
    other = token_blocks([stream[17:33]], alone.backbone, 15, 1, training=False)
    losses = [alone.evaluate(each, verbose=0, return_dict=True)["loss"] for each in (data, other)]
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-4)


# --- how well ---------------------------------------------------------------------------------


def test_perplexity_is_that_of_all_real_tokens() -> None:
    metric = Perplexity()
    random = np.random.default_rng(0)
    logits = random.normal(size=(3, 4, 7)).astype("float32")
    targets = random.integers(0, 7, (3, 4))
    weights = (random.random((3, 4)) < 0.6).astype("float32")
    for rows in ([0], [1, 2]):
        metric.update_state(targets[rows], logits[rows], weights[rows])
    shares = np.exp(logits.astype("float64"))
    shares /= shares.sum(-1, keepdims=True)
    own = np.take_along_axis(shares, targets[..., None], -1)[..., 0]
    expected = np.exp(-np.log(own[weights == 1]).mean())
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)
    again = Perplexity.from_config(metric.get_config())
    again.update_state(targets, shares.astype("float32") * 0 + 1)
    assert float(again.result()) == pytest.approx(7, rel=1e-5)


def docstrings() -> list[str]:
    """Of modules of the standard library that every Python has."""
    names = "argparse ast asyncio collections dataclasses datetime decimal difflib email.message"
    names += " fractions functools html http.client inspect json logging pathlib random re shutil"
    names += " socket statistics string subprocess tarfile tempfile textwrap threading tokenize"
    names += " unittest urllib.request uuid zipfile"
    found: dict[str, None] = {}
    for name in names.split():
        module: ModuleType = importlib.import_module(name)
        for _, part in inspect.getmembers(module):
            inside = inspect.getmembers(part) if inspect.isclass(part) else []
            for each in (part, *(value for _, value in inside)):
                text = inspect.getdoc(each) if callable(each) else None
                if text and 40 < len(text) < 2000 and text.isascii():
                    found[text] = None
    return sorted(found)


@pytest.mark.exhaustive
def test_on_docstrings_it_beats_the_frequencies_of_tokens() -> None:
    texts = docstrings()
    order = np.random.default_rng(0).permutation(len(texts))
    train, held_out = ([texts[number] for number in part] for part in np.split(order, [900])[:2])
    held_out = held_out[:150]
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_size": 96, "intermediate_size": 192}
    quiet = {"dropout": 0.0, "attention_dropout": 0.0, "initializer_range": 0.02}
    model = LanguageModel(make_gpt2(64, **sizes, **quiet))
    model.learning_rate = 3e-3
    model.fit(train, epochs=4, batch_size=32, verbose=0)
    found = model.evaluate(held_out, verbose=0, return_dict=True)["perplexity"]
    rows = {
        name: np.concatenate(token_rows(model.tokenizer, part))[1:]
        for name, part in {"train": train, "held out": held_out}.items()
    }
    counts = np.bincount(rows["train"], minlength=model.tokenizer.vocabulary_size) + 1
    frequencies = np.exp(-np.log(counts / counts.sum())[rows["held out"]].mean())
    print(f"perplexity {found:.1f}, of frequencies {frequencies:.1f}")
    assert found < 0.6 * frequencies


def test_it_learns_what_follows_what_and_goes_on() -> None:
    model = LanguageModel(make_gpt2(hidden_size=32, dropout=0.0), block_length=16)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=JIT)
    # After a comes b, after c comes d, ...; after b, d, f and h anything.
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["a b", "c d", "e f", "g h"], 40)) for _ in range(24)]
    history = model.fit(
        texts[:20], batch_size=8, epochs=9, validation_data=texts[20:], verbose=0
    ).history
    # Every second letter is one of four: no model is better than the root of four.
    assert 1.9 < history["val_perplexity"][-1] < 2.5 < 20 < history["perplexity"][0]
    prompts = ["a b c", "e f g h a", "c d e"]
    assert model.predict(prompts, max_new_tokens=1, temperature=0) == [
        "a b c d",
        "e f g h a b",
        "c d e f",
    ]
    drawn = [model.predict(prompts, max_new_tokens=4, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(text.startswith(start) for text, start in zip(drawn[0], prompts, strict=True))
    one_by_one = model.predict(prompts, batch_size=1, max_new_tokens=4, temperature=0)
    assert one_by_one == model.predict(prompts, max_new_tokens=4, temperature=0)


def test_ulmfit_learns_and_becomes_a_classifier() -> None:
    model = LanguageModel(make_ulmfit(dropout_multiplier=0.0), block_length=8)
    model.compile(keras.optimizers.Adam(3e-2), jit_compile=JIT)
    texts = [" ".join(LETTERS)] * 16
    history = model.fit(texts, batch_size=4, epochs=16, verbose=0).history
    assert history["perplexity"][-1] < 3 < 8 < history["perplexity"][0]
    assert model.predict(["a b c"], max_new_tokens=2, temperature=0) == ["a b c d e"]
    encoder = model.backbone.with_options(language_model_logits=False, pooling="last-max-mean")
    assert TextClassifier(encoder, 2).backbone.pooling == "last-max-mean"
    values = model.backbone.network_variables()
    for path, variable in encoder.network_variables().items():
        np.testing.assert_array_equal(variable, values[path])


# --- a Keras model like any other -------------------------------------------------------------

RELOAD = """
import sys, keras, numpy
import keras_pretrained.applications
model = keras.models.load_model(sys.argv[1])
print(model.predict(["so"], max_new_tokens=3, seed=1), model.block_length, model.trainable_from)
numpy.save(sys.argv[2], model.predict(model.tokenizer(["so it is"]), verbose=0))
"""


def test_a_fresh_process_reloads_it(tmp_path: Path) -> None:
    model = LanguageModel(make_gpt2(), block_length=6)
    model.trainable_from = "layer_0"
    model.compile(jit_compile=JIT)
    before = model.backbone.embeddings.get_weights()
    model.fit(TEXTS, verbose=0)
    for old, new in zip(before, model.backbone.embeddings.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.save(tmp_path / "model.keras")
    command = [sys.executable, "-c", RELOAD, tmp_path / "model.keras", tmp_path / "found.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    answers = model.predict(["so"], max_new_tokens=3, seed=1)
    assert done.stdout.splitlines()[-1] == f"{answers} 6 layer_0"
    expected = model.predict(model.tokenizer(["so it is"]), verbose=0)
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), expected)


@on_tensorflow
def test_exported_to_onnx(tmp_path: Path) -> None:
    import onnxruntime

    model = LanguageModel(make_gpt2())
    ids = model.tokenizer(["so it is", "in the end"])
    export.to_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    fed = {each.name: ids[each.name] for each in session.get_inputs()}
    np.testing.assert_allclose(session.run(None, fed)[0], model.predict(ids, verbose=0), atol=1e-4)


def test_it_reads_published_files() -> None:
    model = LanguageModel(GOLDENS / "gpt2" / "openai", trainable_from=-1)
    assert model.load_report is not None
    assert (model.trainable_from, model.block_length) == (-1, model.backbone.max_length)
    assert isinstance(LanguageModel(GOLDENS / "awd_lstm" / "fastai-2").backbone, AWDLSTMEncoder)


def test_errors_say_what_to_do() -> None:
    model = LanguageModel(make_gpt2())
    with pytest.raises(ValueError, match="learns from texts alone"):
        model.fit(["a"], ["yes"])
    with pytest.raises(ValueError, match="joins its texts: it has no `sample_weight`"):
        model.fit(["a"], sample_weight=[1])
    with pytest.raises(ValueError, match=r"between 1 and the positions .* 32\. Received: 33"):
        LanguageModel(make_gpt2(), block_length=33)
    with pytest.raises(ValueError, match="make it with language_model_logits=True"):
        LanguageModel(make_gpt2().with_options(language_model_logits=False))
    with pytest.raises(ValueError, match="max_length belong to its own constructor"):
        LanguageModel(make_gpt2(), max_length=5)
    for source in (letters_bert(), "minilm-l6"):
        with pytest.raises(ValueError, match="family gpt2 or ulmfit"):
            LanguageModel(source)
    with pytest.raises(ValueError, match="texts of two tokens or more"):
        token_blocks([np.array([1], "int32")], model.backbone, 4, 2, training=False)
