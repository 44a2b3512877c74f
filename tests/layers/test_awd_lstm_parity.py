"""`AWDLSTMEncoder` against fast.ai's three programs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import open_checkpoint
from keras_pretrained.checkpoints.torch_writer import write_torch
from keras_pretrained.layers import AWDLSTMEncoder
from tests.layers.awd_lstm_models import GOLDEN, SOURCES, awd_lstm, golden
from tests.layers.layer_test import to_numpy

BACKEND = keras.backend.backend()
NAMES = ("embeddings", "layer_0", "layer_1", "layer_2")


@pytest.mark.parity
@pytest.mark.parametrize("network", SOURCES)
def test_language_models(network: str, parity: Any) -> None:
    """All layers and the logits of two batches, the second from the states of the first."""
    expected, measured = golden(), parity(f"ulmfit/{network}")
    layer = awd_lstm(network, stateful=True, language_model_logits=True)
    assert layer.load_report.dialect == ("fastai-0.7" if "0.7" in network else "fastai")
    assert layer.architecture.backward == network.endswith("bwd")
    for batch in ("first", "second"):
        prefix = f"{network}_{batch}_"
        found = to_numpy(layer.features(expected[f"{prefix}token_ids"]))
        for index, name in enumerate(NAMES):
            wanted = expected[f"{prefix}hidden_states_{index}"]
            measured.close(name, found["hidden_states"][index], wanted)
        measured.close("logits", found["logits"], expected[f"{prefix}logits"])


@pytest.mark.parity
def test_a_classifier_s_chunks(parity: Any) -> None:
    """Texts of several chunks: outputs, which of them are pooled, and the concat pooling."""
    expected, measured = golden(), parity("ulmfit/fastai-2-classifier")
    ids = expected["texts_token_ids"]
    options = {"bptt": 3, "kept_tokens": 6}
    layer = awd_lstm(**options)
    mask = to_numpy(layer.compute_mask(ids))
    real = ~expected["texts_mask"]
    np.testing.assert_array_equal(mask[:, 3:], real)
    assert not mask[:, :3].any()
    outputs = to_numpy(layer(ids))
    measured.close("outputs", outputs[:, 3:][real], expected["texts_outputs"][real])
    pooled = to_numpy(awd_lstm(**options, pooling="last-max-mean")(ids))
    measured.close("pooled", pooled, expected["texts_pooled"])


def gradients(layer: AWDLSTMEncoder, ids: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Of `sum(output * weights)`, as a training step sees them, by the layer's paths."""
    variables = layer.trainable_variables
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(ids, training=True) * weights)
        found = tape.gradient(loss, [v.value for v in variables])
    else:
        import jax

        fixed = [v.value for v in layer.non_trainable_variables]

        def loss(values: Any) -> Any:
            output, _ = layer.stateless_call(values, fixed, ids, training=True)
            return (output * weights).sum()

        found = jax.grad(loss)([v.value for v in variables])
    root = f"{layer.path}/"
    return {
        v.path.removeprefix(root): to_numpy(g)
        for v, g in zip(variables, found, strict=True)
        if g is not None
    }


OURS = {
    "encoder.weight": "table/embeddings",
    "weight_hh_l0_raw": "recurrent_kernel",
    "module.weight_ih_l0": "kernel",
    "module.bias_ih_l0": "bias",
    "module.bias_hh_l0": "recurrent_bias",
}


@pytest.mark.parity
@pytest.mark.parametrize("length", [9, 12])
def test_gradients_end_where_fastai_s_do(length: int, parity: Any) -> None:
    """In training, states are detached every `bptt` tokens and early chunks have no gradient."""
    expected, measured = golden(), parity("ulmfit/fastai-2-classifier")
    layer = awd_lstm(bptt=3, kept_tokens=6, pooling="last-max-mean", dropout_multiplier=0.0)
    ids = np.pad(expected["texts_token_ids"], [(0, 0), (0, length - 9)], constant_values=1)
    found = gradients(layer, ids, expected["texts_weights"])
    compared = 0
    for name, values in expected.items():
        if not name.startswith("texts_gradient_"):
            continue
        theirs = name.removeprefix("texts_gradient_")
        path = OURS.get(theirs)
        if path is None:
            _, index, rest = theirs.split(".", 2)
            path, values = f"layer_{index}/{OURS[rest]}", values.T
        measured.close("gradients", found[path], values)
        compared += 1
    assert compared == 13
    unlimited = awd_lstm(pooling="last-max-mean", dropout_multiplier=0.0)
    whole = gradients(unlimited, ids, expected["texts_weights"])
    path = "layer_0/recurrent_kernel"
    assert np.abs(whole[path] - found[path]).max() > 0.01


def test_stale_copies_are_ignored_by_name() -> None:
    stored = open_checkpoint(SOURCES["fastai-1"])
    for index in range(3):
        name = f"0.rnns.{index}.module.weight_hh_l0"
        assert not np.array_equal(
            stored[name].read(), stored[f"0.rnns.{index}.weight_hh_l0_raw"].read()
        )
        assert name in awd_lstm("fastai-1").load_report.ignored


@pytest.mark.parametrize("network", SOURCES)
def test_weights_are_written_back(network: str, tmp_path: Path) -> None:
    """In the file's own dialect: every tensor, its name and its bits; a stale copy is renewed."""
    layer, original = awd_lstm(network), open_checkpoint(SOURCES[network])
    dialect = layer.load_report.dialect
    folder = layer.save_weights_as(tmp_path / "folder", dialect=dialect)
    written = open_checkpoint(folder)
    assert written.path.name == SOURCES[network].name
    assert set(written) == set(original)
    for name in original:
        source = name
        if name.endswith("module.weight_hh_l0"):
            source = name.replace("module.weight_hh_l0", "weight_hh_l0_raw")
        assert written[name].read().tobytes() == original[source].read().tobytes(), name
    again = AWDLSTMEncoder(folder)
    assert again.architecture == layer.architecture
    assert again.tokenizer.vocabulary == layer.tokenizer.vocabulary
    pickled = (folder / "itos_wt103.pkl").read_bytes()
    assert AWDLSTMEncoder(folder, tokenizer=None).tokenizer.published_files() == {
        "itos_wt103.pkl": pickled
    }
    other = "fastai" if dialect == "fastai-0.7" else "fastai-0.7"
    crossed = AWDLSTMEncoder(layer.save_weights_as(tmp_path / "x.pth", dialect=other))
    assert crossed.load_report.dialect == other
    for one, two in zip(layer.get_weights(), crossed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("network", ["fastai-0.7-fwd", "fastai-1", "fastai-2"])
def test_encoders_and_checkpoints_of_training(network: str, tmp_path: Path) -> None:
    """An encoder alone, a classifier's, and a learner's file with its optimizer."""
    ids = golden()["fastai-2_first_token_ids"]
    expected = to_numpy(awd_lstm(network)(ids))
    stored = {name: array.read() for name, array in open_checkpoint(SOURCES[network]).items()}
    encoder = {name[2:]: array for name, array in stored.items() if name.startswith("0.")}
    head = {"1.layers.0.weight": np.ones(15, "float32")}
    files = {
        "encoder": encoder,
        "classifier": {f"0.module.{name}": array for name, array in encoder.items()} | head,
        "learner": {"model": stored, "opt": {"state": np.ones(3, "float32"), "hypers": [0.1]}},
    }
    if network == "fastai-0.7-fwd":
        del files["classifier"], files["learner"]
    for name, content in files.items():
        layer = AWDLSTMEncoder(write_torch(tmp_path / f"{name}.pth", content))
        np.testing.assert_array_equal(to_numpy(layer(ids)), expected)
        path = layer.save_weights_as(tmp_path / "back.pth", dialect=layer.load_report.dialect)
        kept = {"opt.state", "1.layers.0.weight"}
        wanted = set(open_checkpoint(tmp_path / f"{name}.pth")) - kept
        assert set(open_checkpoint(path)) == wanted


# --- the published size ----------------------------------------------------------------------


@pytest.mark.exhaustive
@pytest.mark.parametrize("dialect", ["fastai-0.7", "fastai"])
def test_the_published_size(dialect: str, tmp_path: Path) -> None:
    """Random weights in the published layout, against the formulas of torch's LSTM in NumPy."""
    rows, units = (238_462, 1150) if dialect == "fastai-0.7" else (60_000, 1152)
    random = np.random.default_rng(6)
    table = random.normal(0, 0.3, (rows, 400)).astype("float32")
    tensors = {"0.encoder.weight": table, "1.decoder.weight": table}
    copy = "encoder_with_dropout.embed" if dialect == "fastai-0.7" else "encoder_dp.emb"
    tensors[f"0.{copy}.weight"] = table
    raw = "module.weight_hh_l0_raw" if dialect == "fastai-0.7" else "weight_hh_l0_raw"
    widths = [400, units, units, 400]
    for index, (before, size) in enumerate(pairwise(widths)):
        for name, shape in (
            ("module.weight_ih_l0", (4 * size, before)),
            (raw, (4 * size, size)),
            ("module.bias_ih_l0", (4 * size,)),
            ("module.bias_hh_l0", (4 * size,)),
        ):
            values = random.normal(0, 2 / size**0.5, shape).astype("float32")
            tensors[f"0.rnns.{index}.{name}"] = values
    if dialect == "fastai":
        tensors["1.decoder.bias"] = random.normal(size=rows).astype("float32")
    path = write_torch(tmp_path / "lm.pth", tensors)
    layer = AWDLSTMEncoder(path)
    ids = random.integers(2, rows, (2, 6)).astype("int32")
    found = to_numpy(layer.features(ids))
    hidden = table[ids].astype("float64")
    for index, size in enumerate(widths[1:]):
        stored = [
            tensors[f"0.rnns.{index}.{name}"].astype("float64")
            for name in ("module.weight_ih_l0", raw, "module.bias_ih_l0", "module.bias_hh_l0")
        ]
        hidden = torch_lstm(hidden, *stored)
        assert hidden.shape == (2, 6, size)
        assert np.abs(hidden).max() > 0.3
        np.testing.assert_allclose(found["hidden_states"][index + 1], hidden, atol=2e-5)
    logits = hidden @ table.T.astype("float64") + tensors.get("1.decoder.bias", 0.0)
    np.testing.assert_allclose(found["logits"], logits, atol=1e-4)


def torch_lstm(x: Any, kernel: Any, recurrent: Any, bias: Any, other: Any) -> np.ndarray:
    """`torch.nn.LSTM`, as its documentation has it."""

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    hidden = cell = np.zeros((len(x), recurrent.shape[1]))
    outputs = []
    for position in range(x.shape[1]):
        z = x[:, position] @ kernel.T + bias + hidden @ recurrent.T + other
        i, f, g, o = np.split(z, 4, axis=-1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        outputs.append(hidden)
    return np.stack(outputs, axis=1)


def test_the_formulas_are_torch_s() -> None:
    """The NumPy formulas reproduce what torch computed."""
    expected = golden()
    stored = open_checkpoint(GOLDEN / "fastai-2")
    hidden = expected["fastai-2_first_hidden_states_0"]
    for index in range(3):
        names = (
            "module.weight_ih_l0",
            "weight_hh_l0_raw",
            "module.bias_ih_l0",
            "module.bias_hh_l0",
        )
        hidden = torch_lstm(hidden, *(stored[f"0.rnns.{index}.{name}"].read() for name in names))
        wanted = expected[f"fastai-2_first_hidden_states_{index + 1}"]
        np.testing.assert_allclose(hidden, wanted, atol=1e-6)
