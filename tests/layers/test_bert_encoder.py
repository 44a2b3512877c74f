"""BertEncoder as a layer: inputs, outputs, masks, training, saving."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import BertEncoder
from keras_pretrained.layers.transformers.bert import BertArchitecture
from keras_pretrained.weights import WeightsError
from tests.layers.layer_test import run_layer_test, to_numpy
from tests.layers.toys import WIDTH, make_bert

GOLDENS = Path(__file__).parents[1] / "goldens"
HF, GOOGLE = GOLDENS / "bert_hf" / "erf", GOLDENS / "bert_google"

IDS = np.array([[2, 5, 6, 7, 3], [2, 9, 3, 0, 0]], "int32")
MASK = (IDS != 0).astype("int32")
INPUTS = {"token_ids": IDS, "segment_ids": np.zeros_like(IDS), "padding_mask": MASK}


@pytest.mark.parametrize(
    ("options", "width", "pooled"),
    [
        ({}, WIDTH, False),
        ({"pooling": "cls"}, WIDTH, True),
        ({"pooling": "pooler"}, WIDTH, True),
        ({"pooling": "mean"}, WIDTH, True),
        ({"pooling": "mean-max", "hidden_layers": [-1, 0]}, 4 * WIDTH, True),
        ({"hidden_layers": "mix"}, WIDTH, False),
    ],
    ids=str,
)
def test_layer(options: dict[str, Any], width: int, pooled: bool, tmp_path: Path) -> None:
    shape = (None, width) if pooled else (None, None, width)
    run_layer_test(lambda **kw: make_bert(**options, **kw), INPUTS, shape, tmp_path)


def test_token_ids_alone_are_enough() -> None:
    encoder = make_bert()
    np.testing.assert_array_equal(to_numpy(encoder(IDS)), to_numpy(encoder(INPUTS)))
    np.testing.assert_array_equal(
        to_numpy(encoder({"token_ids": IDS.astype("int64")})), to_numpy(encoder(INPUTS))
    )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (IDS.astype("float32"), "integer token_ids"),
        (IDS[0], "shape \\(batch, length\\)"),
        ({"ids": IDS}, "dictionary of token_ids"),
        ({"token_ids": IDS, "mask": MASK}, "dictionary of token_ids"),
        (np.ones((1, 13), "int32"), "at most 12 tokens"),
    ],
)
def test_wrong_inputs_say_what_was_expected(inputs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_bert()(inputs)


def test_the_output_carries_the_padding_mask() -> None:
    encoder = make_bert()
    symbolic = encoder.symbolic_inputs()
    assert encoder(symbolic)._keras_mask is not None
    seen = []

    class Spy(keras.layers.Layer):
        def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
            return None

        def call(self, x: Any, mask: Any = None) -> Any:
            seen.append(to_numpy(mask))
            return x

    Spy()(encoder(INPUTS))
    np.testing.assert_array_equal(seen[0], MASK.astype(bool))
    assert getattr(make_bert(pooling="mean")(symbolic), "_keras_mask", None) is None


def test_padding_does_not_change_a_text() -> None:
    for pooling in ("cls", "mean", "max", "mean-max", "last", "pooler"):
        encoder = make_bert(pooling=pooling)
        alone = to_numpy(encoder(IDS[1:, :3]))
        np.testing.assert_allclose(to_numpy(encoder(IDS))[1:], alone, atol=2e-6, err_msg=pooling)


def test_pooling_is_what_its_name_says() -> None:
    encoder = make_bert()
    hidden = to_numpy(encoder(IDS))
    real = [row[mask.astype(bool)] for row, mask in zip(hidden, MASK, strict=True)]
    reference = {
        "cls": [row[0] for row in real],
        "mean": [row.mean(0) for row in real],
        "max": [row.max(0) for row in real],
        "mean-max": [np.concatenate([row.mean(0), row.max(0)]) for row in real],
        "last": [row[-1] for row in real],
    }
    for pooling, expected in reference.items():
        pooled = make_bert(pooling=pooling)
        pooled.set_weights(encoder.get_weights())
        np.testing.assert_allclose(to_numpy(pooled(IDS)), np.stack(expected), atol=1e-6)


def test_hidden_layers_select_and_concatenate() -> None:
    encoder = make_bert()
    states = to_numpy(encoder.features(IDS)["hidden_states"])
    assert len(states) == 4
    for choice, expected in {
        0: states[0],
        -2: states[2],
        (1, 3): np.concatenate([states[1], states[3]], -1),
        "all": np.concatenate(states, -1),
    }.items():
        asked = list(choice) if isinstance(choice, tuple) else choice
        chosen = make_bert(hidden_layers=asked)
        chosen.set_weights(encoder.get_weights())
        np.testing.assert_array_equal(to_numpy(chosen(IDS)), expected)


def test_the_mix_starts_as_the_average_and_always_trains() -> None:
    encoder = make_bert(hidden_layers="mix", trainable_from=None)
    states = to_numpy(encoder.features(IDS)["hidden_states"])
    np.testing.assert_allclose(to_numpy(encoder(IDS)), np.mean(states, 0), atol=1e-6)
    assert {v.name for v in encoder.trainable_variables} == {"mix", "gamma"}


def test_features_in_a_graph_keep_the_layer(tmp_path: Path) -> None:
    encoder = make_bert(trainable_from="layer_1")
    symbolic = encoder.symbolic_inputs()
    found = encoder.features(symbolic)
    assert [tuple(t.shape) for t in found["hidden_states"]] == [(None, None, WIDTH)] * 4
    assert [tuple(t.shape) for t in found["attentions"]] == [(None, 2, None, None)] * 3
    assert tuple(found["pooled"].shape) == (None, WIDTH)
    model = keras.Model(symbolic, found)
    assert [type(layer) for layer in model.layers].count(BertEncoder) == 1
    model.save(tmp_path / "features.keras")
    reloaded = keras.models.load_model(tmp_path / "features.keras")
    copy = next(layer for layer in reloaded.layers if isinstance(layer, BertEncoder))
    assert copy.trainable_from == "layer_1"
    for ours, theirs in zip(
        keras.tree.flatten(model.predict(INPUTS, verbose=0)),
        keras.tree.flatten(reloaded.predict(INPUTS, verbose=0)),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    attention = to_numpy(encoder.features(INPUTS)["attentions"][0])
    np.testing.assert_allclose(attention.sum(-1), 1, atol=1e-5)
    assert attention[1, :, :, 3:].max() == 0


@pytest.mark.parametrize("plain_first", [True, False])
def test_output_and_features_stand_in_one_graph(plain_first: bool) -> None:
    encoder = make_bert()
    symbolic = encoder.symbolic_inputs()
    calls = [lambda: encoder(symbolic), lambda: encoder.features(symbolic)["pooled"]]
    outputs = [call() for call in (calls if plain_first else calls[::-1])]
    model = keras.Model(symbolic, outputs)
    assert len(model(INPUTS)) == 2


def test_one_token_is_a_text() -> None:
    assert to_numpy(make_bert()(IDS[:, :1])).shape == (2, 1, WIDTH)


@pytest.mark.parametrize(
    "options",
    [
        {"pooling": "average"},
        {"hidden_layers": 9},
        {"hidden_layers": []},
        {"hidden_layers": "some"},
        {"pooling": "pooler", "hidden_layers": -2},
        {"max_length": 99},
    ],
    ids=str,
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Received"):
        make_bert(**options)


def test_wrong_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bert-bass"):
        BertEncoder("bert-bass")
    with pytest.raises(ValueError, match="source"):
        BertEncoder(weights=HF, architecture={})
    with pytest.raises(ValueError, match="multiple of num_heads"):
        BertEncoder(HF, architecture={"num_heads": 3})
    with pytest.raises(WeightsError, match="expected shape"):
        BertEncoder(HF, architecture={"intermediate_size": 7})
    with pytest.raises(WeightsError, match="layer_3/attention/query/kernel: expected"):
        BertEncoder(HF, architecture={"num_layers": 4})
    with pytest.raises(WeightsError, match=r"nothing uses[\s\S]*encoder.layer.2"):
        BertEncoder(HF, architecture={"num_layers": 2})
    folder = tmp_path / "gpt"
    shutil.copytree(HF, folder)
    config = (folder / "config.json").read_text(encoding="utf-8")
    (folder / "config.json").write_text(config.replace('"bert"', '"gpt2"'), encoding="utf-8")
    with pytest.raises(ValueError, match="'gpt2'"):
        BertEncoder(folder)


def test_every_variable_that_the_loss_depends_on_has_a_gradient() -> None:
    encoder = BertEncoder(HF, pooling="pooler", trainable_from=0)
    before = [to_numpy(v) for v in encoder.trainable_variables]
    model = keras.Model(symbolic := encoder.symbolic_inputs(), encoder(symbolic))
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=False)
    golden = np.load(HF / "expected.npz")
    x = {name: golden[f"long_{name}"] for name in INPUTS}
    model.fit(x, np.random.default_rng(0).normal(size=(3, 16)), verbose=0, batch_size=3)
    for variable, old in zip(encoder.trainable_variables, before, strict=True):
        moved = np.abs(to_numpy(variable) - old).max()
        if variable.path.endswith("key/bias"):
            # The softmax does not see what is added to all scores of a query.
            assert moved < 1e-6, variable.path
        else:
            assert moved > 1e-8, variable.path


def test_the_configuration_says_which_gelu_not_the_other_weights() -> None:
    for options in ({}, {"weights": None}, {"weights": GOOGLE}):
        assert BertEncoder(HF, **options).architecture.activation == "gelu"
        assert BertEncoder(GOOGLE, **options).architecture.activation == "gelu_tanh"
    old = GOLDENS / "bert_hf" / "legacy_bin"
    assert BertEncoder(old).architecture.activation == "gelu"


def test_a_configuration_that_lies_takes_no_memory() -> None:
    with pytest.raises(WeightsError, match="word_embeddings: expected shape"):
        BertEncoder(HF, architecture={"vocabulary_size": 10**12})


@pytest.mark.parametrize("dialect", ["hf", "google", "tf-models", "tf-models-objects"])
def test_weights_are_written_back_in_every_dialect(dialect: str, tmp_path: Path) -> None:
    sources = {
        "hf": HF,
        "google": GOOGLE,
        "tf-models": GOLDENS / "bert_tf_models" / "saved_model",
        "tf-models-objects": GOLDENS / "bert_tf_models" / "encoder_checkpoint",
    }
    from keras_pretrained import open_checkpoint

    encoder = BertEncoder(sources[dialect])
    written = open_checkpoint(encoder.save_weights_as(tmp_path / "weights", dialect))
    original = open_checkpoint(sources[dialect])
    assert encoder.load_report is not None
    used = {name for names in encoder.load_report.loaded.values() for name in names}
    assert set(written) == used
    for name in used:
        assert written[name].dtype == original[name].dtype
        assert written[name].read().tobytes() == original[name].read().tobytes(), name
        assert written[name].shape == original[name].shape


def test_another_checkpoint_replaces_the_weights_or_nothing(tmp_path: Path) -> None:
    encoder = BertEncoder(HF)
    other = BertEncoder(GOOGLE)
    before = to_numpy(encoder(INPUTS))
    with pytest.raises(WeightsError):
        make_bert().load_weights_from(GOOGLE)
    encoder.load_weights_from(GOOGLE)
    changed = to_numpy(encoder(INPUTS))
    assert np.abs(changed - before).max() > 1e-3
    assert encoder.load_report is not None
    assert encoder.load_report.dialect == "google"
    np.testing.assert_array_equal(
        to_numpy(encoder.embeddings.word_embeddings), to_numpy(other.embeddings.word_embeddings)
    )


def test_weights_none_is_the_architecture_alone() -> None:
    encoder = BertEncoder(HF, weights=None)
    assert encoder.load_report is None
    assert encoder.architecture.num_layers == 3
    a, b = (to_numpy(BertEncoder(HF, weights=None)(IDS)) for _ in range(2))
    assert np.abs(a - b).max() > 1e-3
    assert encoder.tokenizer.vocabulary_size == encoder.architecture.vocabulary_size
    assert BertEncoder("bert-l2-h128", weights=None).hidden_size == 128


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.array([[1, -3]]), "takes token_ids from 0 to 22. Received: -3 to 1"),
        ({"token_ids": np.array([[1, 23]])}, "token_ids from 0 to 22. Received: 1 to 23"),
        (
            {"token_ids": np.array([[1]]), "segment_ids": np.array([[2]])},
            "segment_ids from 0 to 1. Received: 2 to 2",
        ),
    ],
    ids=["below", "above", "segments"],
)
def test_ids_that_the_tables_have_no_rows_for(inputs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_bert()(inputs)


def test_a_layer_without_vocabulary_says_so() -> None:
    with pytest.raises(ValueError, match="no vocabulary"):
        _ = make_bert().tokenizer


def test_architecture_is_checked() -> None:
    with pytest.raises(ValueError, match="gelu_tanh"):
        BertArchitecture(5, 1, 1, 4, 4, activation="swish")


RELOAD = """
import socket, sys
def refuse(*args, **kwargs):
    raise OSError("no network in this test")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
import numpy as np
import keras
import keras_pretrained.layers
model = keras.models.load_model("model.keras")
inputs = dict(np.load("inputs.npz"))
encoder = next(l for l in model.layers if type(l).__name__ == "BertEncoder")
again = encoder.tokenizer(["a b c", "d e"])
np.savez("outputs.npz", y=model.predict(inputs, verbose=0), **again)
"""


def test_a_saved_model_needs_nothing_but_itself(tmp_path: Path) -> None:
    """No network, no cache, another folder, and the source checkpoint gone."""
    source = tmp_path / "source"
    shutil.copytree(HF, source)
    encoder = BertEncoder(source, trainable_from=2, pooling="mean", max_length=8)
    symbolic = encoder.symbolic_inputs()
    model = keras.Model(symbolic, keras.layers.Dense(3)(encoder(symbolic)))
    model.compile("adamw", "mse")
    model.fit(INPUTS, np.zeros((2, 3)), verbose=0)
    expected = model.predict(INPUTS, verbose=0)
    tokens = encoder.tokenizer(["a b c", "d e"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    model.save(elsewhere / "model.keras")
    np.savez(elsewhere / "inputs.npz", **INPUTS)
    shutil.rmtree(source)
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "KERAS_PRETRAINED_HOME": str(home / "cache")}
    environment["XDG_CACHE_HOME"] = str(home / "cache")
    subprocess.run([sys.executable, "-c", RELOAD], cwd=elsewhere, env=environment, check=True)
    outputs = np.load(elsewhere / "outputs.npz")
    np.testing.assert_array_equal(outputs["y"], expected)
    for name, values in tokens.items():
        np.testing.assert_array_equal(outputs[name], values)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="lowering for TPU is JAX's")
def test_the_layer_compiles_for_tpu() -> None:
    import jax

    encoder = make_bert(pooling="mean")
    trainable, fixed = encoder.trainable_variables, encoder.non_trainable_variables

    def loss(values: Any, inputs: Any) -> Any:
        output, _ = encoder.stateless_call(values, [v.value for v in fixed], inputs, training=False)
        return (output**2).mean()

    values = [v.value for v in trainable]
    for function in (loss, jax.grad(loss)):
        exported = jax.export.export(jax.jit(function), platforms=["tpu", "cuda", "cpu"])(
            values, INPUTS
        )
        assert set(exported.platforms) == {"tpu", "cuda", "cpu"}


@pytest.mark.parametrize("jit_compile", [False, True])
def test_adam_sees_the_summed_gradient_of_a_repeated_token(jit_compile: bool) -> None:
    """The first step of Adam moves every entry that has a gradient by the learning rate."""
    encoder = make_bert(pooling="mean", architecture_changes={"dropout": 0.0})
    model = keras.Model(symbolic := encoder.symbolic_inputs(), encoder(symbolic))
    model.compile(keras.optimizers.Adam(0.1, epsilon=1e-12), "mse", jit_compile=jit_compile)
    tables = {
        "word": (encoder.embeddings.word_embeddings, [2, 5]),
        "segment": (encoder.embeddings.token_type_embeddings, [0, 1]),
    }
    before = {name: to_numpy(table) for name, (table, _) in tables.items()}
    ids = np.array([[2, 5, 5, 5, 2, 5]], "int32")
    x = {"token_ids": ids, "segment_ids": (ids == 5).astype("int32"), "padding_mask": ids > 0}
    model.train_on_batch(x, np.random.default_rng(0).normal(size=(1, WIDTH)))
    for name, (table, rows) in tables.items():
        moved = np.abs(to_numpy(table) - before[name])[rows]
        np.testing.assert_allclose(moved, 0.1, rtol=1e-3, err_msg=name)
