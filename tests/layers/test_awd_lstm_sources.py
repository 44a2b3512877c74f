"""`AWDLSTMEncoder`: texts in, what its files may be, and exports."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.checkpoints.torch_writer import write_torch
from keras_pretrained.layers import AWDLSTMEncoder
from keras_pretrained.layers.recurrent.awd_lstm_source import AWDLSTMArchitecture
from keras_pretrained.presets import SourceError
from keras_pretrained.weights import WeightsError
from tests.layers.awd_lstm_models import (
    GOLDEN,
    SMALL,
    SOURCES,
    UNITS,
    WIDTH,
    WORDS,
    awd_lstm,
    golden,
    inputs,
    small,
    with_words,
)
from tests.layers.layer_test import to_numpy

BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason=f"{BACKEND} has no strings")
QUIET = {"dropout_multiplier": 0.0}


# --- texts -----------------------------------------------------------------------------------


@on_tensorflow
def test_texts(tmp_path: Path) -> None:
    import tensorflow as tf

    layer = small(pooling="last-max-mean", tokenizer=with_words())
    texts = ["The . word1", "word2"]
    ids = layer.tokenizer(texts)
    assert ids["token_ids"].tolist() == [[2, 8, 9, 10, 13], [2, 14, 1, 1, 1]]
    expected = to_numpy(layer(ids))
    np.testing.assert_allclose(to_numpy(layer(texts)), expected, atol=1e-6)
    symbolic = keras.Input((), dtype="string")
    model = keras.Model(symbolic, keras.layers.Dense(1)(layer(symbolic)))
    model.compile("adam", "mse")
    batches = tf.data.Dataset.from_tensors((texts, [[1.0], [0.0]]))
    model.fit(batches, shuffle=False, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    given = tf.constant(texts)
    np.testing.assert_allclose(to_numpy(again(given)), to_numpy(model(given)), atol=1e-6)


def test_another_vocabulary() -> None:
    layer = awd_lstm(tokenizer=with_words(), trainable_from="layer_1")
    old = layer.tokenizer.vocabulary
    words = [*old[:9], "new", "word7", "the"]
    made = layer.with_vocabulary(words, language_model_logits=True, trainable_from=0)
    assert made.tokenizer.vocabulary == words
    assert made.tokenizer.splitter == "whitespace"
    assert (made.trainable_from, layer.trainable_from) == (0, "layer_1")
    ours, theirs = to_numpy(made.table.embeddings), to_numpy(layer.table.embeddings)
    np.testing.assert_array_equal(ours[[2, 10, 11]], theirs[[2, old.index("word7"), 9]])
    np.testing.assert_allclose(ours[9], theirs.mean(0), atol=1e-6)
    bias, before = to_numpy(made.decoder.bias), to_numpy(layer.decoder.bias)
    assert bias[9] == pytest.approx(before.mean(), abs=1e-6)
    assert bias[10] == before[old.index("word7")]
    here, there = made.tokenizer("the word7"), layer.tokenizer("the word7")
    np.testing.assert_allclose(
        to_numpy(made.features(here["token_ids"][None])["hidden_states"][3]),
        to_numpy(layer(there["token_ids"][None])),
        atol=1e-6,
    )


@on_tensorflow
def test_texts_are_continued() -> None:
    layer = awd_lstm(tokenizer=with_words())
    ids = golden()["fastai-2_first_token_ids"]
    found = layer.generate(ids, max_new_tokens=3, temperature=0)
    logits = awd_lstm(language_model_logits=True)
    wanted = ids
    for _ in range(3):
        best = to_numpy(logits(wanted))[:, -1].argmax(-1).astype("int32")
        wanted = np.concatenate([wanted, best[:, None]], axis=1)
    np.testing.assert_array_equal(found, wanted)
    (text,) = layer.generate(["The word1"], max_new_tokens=3, temperature=0)
    row = layer.tokenizer(["The word1"])["token_ids"]
    longer = layer.generate(row, max_new_tokens=3, temperature=0)
    assert text == layer.tokenizer.decode(longer[0])
    assert text.startswith("The word1")
    with pytest.raises(ValueError, match="reads texts from their end"):
        awd_lstm("fastai-0.7-bwd").generate(ids)


# --- sources ---------------------------------------------------------------------------------


def test_presets_from_placed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(tmp_path))
    with pytest.raises(SourceError, match=r"fwd_wt103\.h5"):
        AWDLSTMEncoder("ulmfit-wt103")
    folder = tmp_path / "ulmfit-wt103-backward"
    shutil.copytree(GOLDEN / "fastai-0.7", folder)
    # The golden files hold a smaller network: its number of words is read, its widths are not.
    sizes = {"embedding_size": WIDTH, "units": UNITS}
    layer = AWDLSTMEncoder("ulmfit-wt103-backward", architecture=sizes)
    assert layer.architecture.vocabulary_size == WORDS
    assert layer.architecture.backward
    assert layer.tokenizer.rules == "0.7"
    assert layer.get_config()["preset"] == "ulmfit-wt103-backward"
    np.testing.assert_array_equal(
        to_numpy(layer(inputs())), to_numpy(awd_lstm("fastai-0.7-bwd")(inputs()))
    )
    with pytest.raises(WeightsError, match="expected shape"):
        AWDLSTMEncoder("ulmfit-wt103-backward")
    shutil.copytree(GOLDEN / "fastai-1", tmp_path / "ulmfit-wt103-fastai")
    assert AWDLSTMEncoder("ulmfit-wt103-fastai", architecture=sizes).tokenizer.rules == "1"


def test_folders_and_configurations(tmp_path: Path) -> None:
    expected = awd_lstm()
    assert AWDLSTMEncoder(GOLDEN / "fastai-2").architecture == expected.architecture
    assert expected.architecture == AWDLSTMArchitecture(**SMALL)
    changed = awd_lstm(architecture={"weight_dropout": 0.4, "backward": True})
    folder = changed.save_weights_as(tmp_path / "back", dialect="fastai")
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "lstm_bwd.pth", "itos_wt103.pkl")
    }
    assert AWDLSTMEncoder(folder).architecture == changed.architecture
    assert AWDLSTMEncoder(folder, weights=None).load_report is None
    config = json.loads((folder / "config.json").read_text())
    for change, message in (
        ({"emb_sz": None}, "gives embedding_size as 'None'"),
        ({"bidir": True}, "bidir=True. Expected False"),
        ({"out_bias": 1}, "decoder_bias as '1'. Expected true or false"),
        ({"n_layers": 10**6}, "num_layers as '1000000'"),
    ):
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(ValueError, match=message):
            AWDLSTMEncoder(folder)
    (folder / "config.json").write_text(json.dumps({"emb_sz": 5}))
    with pytest.raises(ValueError, match="Missing: vocab_sz, n_hid, n_layers"):
        AWDLSTMEncoder(folder)


def test_sources_that_do_not_fit(tmp_path: Path) -> None:
    from keras_pretrained import open_checkpoint

    stored = {name: array.read() for name, array in open_checkpoint(SOURCES["fastai-2"]).items()}
    untied = {**stored, "1.decoder.weight": stored["1.decoder.weight"] + 1}
    with pytest.raises(WeightsError, match="trained with tie_weights=False"):
        AWDLSTMEncoder(write_torch(tmp_path / "untied.pth", untied))
    strange = {**stored, "0.extra": np.ones(2, "float32")}
    with pytest.raises(WeightsError, match=r"nothing uses \(1\):\n  0\.extra"):
        AWDLSTMEncoder(write_torch(tmp_path / "strange.pth", strange))
    del stored["0.rnns.1.module.bias_hh_l0"]
    with pytest.raises(WeightsError, match="layer_1/recurrent_bias: expected"):
        AWDLSTMEncoder(write_torch(tmp_path / "short.pth", stored))
    table = {"0.encoder.weight": np.ones((3, 2), "float32")}
    with pytest.raises(WeightsError, match=r"lacks the tensors of fast\.ai's"):
        AWDLSTMEncoder(write_torch(tmp_path / "table.pth", table), dialect="fastai")
    encoder = {name[2:]: x for name, x in stored.items() if name.startswith("0.")}
    encoder["rnns.1.module.bias_hh_l0"] = encoder["rnns.1.module.bias_ih_l0"]
    path = write_torch(tmp_path / "encoder.pth", encoder)
    AWDLSTMEncoder(path)
    with pytest.raises(ValueError, match="holds an encoder without a decoder"):
        AWDLSTMEncoder(path, language_model_logits=True)
    with pytest.raises(ValueError, match="The vocabulary has 40 words, and the token table 3 rows"):
        AWDLSTMEncoder(architecture={**SMALL, "vocabulary_size": 3}, tokenizer=with_words())


def test_wrong_arguments() -> None:
    for options, message in (
        (
            {"pooling": "pooler"},
            r"original pooler.*Expected one of \[None, 'cls', .*'last-max-mean'",
        ),
        ({"hidden_layers": "mix"}, r"Those of this network have \[5, 7, 7, 5\]"),
        ({"language_model_logits": True, "pooling": "last"}, "must keep their defaults"),
        ({"bptt": 0}, "`bptt` must be an int from 1 on"),
        ({"kept_tokens": 5}, "Received: kept_tokens=5, bptt=None"),
        ({"bptt": 7, "kept_tokens": 5}, "Received: kept_tokens=5, bptt=7"),
        ({"bptt": 1, "kept_tokens": 5, "language_model_logits": True}, "is for classifiers"),
        ({"dropout_multiplier": -1.0}, "must not be negative"),
        ({"dropout_multiplier": 4.0}, "input_dropout is 1.0 with dropout_multiplier=4.0"),
        ({"architecture": {"units": 0}}, "units must be at least 1"),
        ({"architecture": {"weight_dropout": 1.0}}, r"weight_dropout must lie in \[0, 1\)"),
        ({"architecture": {"hidden_size": 3}}, "Unknown: hidden_size"),
        ({"trainable_from": 4}, "layer_2, decoder"),
    ):
        with pytest.raises(ValueError, match=message):
            awd_lstm(**options)
    assert AWDLSTMEncoder(architecture={**SMALL, "units": WIDTH}, hidden_layers="mix")(
        inputs()
    ).shape == (3, 6, WIDTH)


# --- exports ---------------------------------------------------------------------------------


@on_tensorflow
def test_saved_model_and_onnx(tmp_path: Path) -> None:
    import onnxruntime
    import tensorflow as tf

    from keras_pretrained.export import to_onnx, to_saved_model

    layer = small(pooling="last-max-mean", bptt=3, kept_tokens=6)
    symbolic = layer.symbolic_inputs()
    model = keras.Model(symbolic, keras.layers.Dense(2, name="scores")(layer(symbolic)))
    given = inputs()
    served = tf.saved_model.load(str(to_saved_model(model, tmp_path / "saved").path))
    path = to_onnx(model, tmp_path / "m.onnx").path
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for length in (6, 4):
        batch = {name: values[:, :length] for name, values in given.items()}
        expected = to_numpy(model(batch))
        tensors = {name: tf.constant(values) for name, values in batch.items()}
        np.testing.assert_allclose(served.serve_ids(tensors)["scores"], expected, atol=1e-5)
        (found,) = session.run(None, batch)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.skipif(BACKEND != "jax", reason="lowering for TPU is JAX's")
def test_the_layer_compiles_for_tpu() -> None:
    import jax

    layer = small(pooling="last-max-mean", bptt=2, kept_tokens=4)
    fixed = [v.value for v in layer.non_trainable_variables]

    def loss(values: Any, given: Any) -> Any:
        output, _ = layer.stateless_call(values, fixed, given, training=True)
        return (output**2).mean()

    values = [v.value for v in layer.trainable_variables]
    platforms = ["tpu", "cuda", "cpu"]
    exported = jax.export.export(jax.jit(jax.grad(loss)), platforms=platforms)(values, inputs())
    assert set(exported.platforms) == set(platforms)
