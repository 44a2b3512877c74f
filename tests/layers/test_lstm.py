"""The LSTM that ELMo and AWD-LSTM share, against its formulas written out in NumPy.

What the formulas compute is compared with other programs where a published network uses them:
tests/layers/test_elmo_parity.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers.blocks.lstm import LSTM
from tests.layers.layer_test import to_numpy

BACKEND = keras.backend.backend()
FEATURES, UNITS = 5, 7
DIALECTS = {
    "torch": {},
    "two biases": {"recurrent_bias": True},
    "projected": {"projection_size": 3},
    "tensorflow": {
        "projection_size": 5,
        "gate_order": "igfo",
        "forget_bias": 1.0,
        "cell_clip": 0.2,
        "projection_clip": 0.05,
        "residual": True,
    },
}
every_dialect = pytest.mark.parametrize("options", DIALECTS.values(), ids=DIALECTS)


def make(**options: Any) -> LSTM:
    layer = LSTM(UNITS, **options)
    layer.build((None, None, FEATURES))
    random = np.random.default_rng(1)
    layer.set_weights([random.normal(0, 0.6, w.shape).astype("float32") for w in layer.weights])
    return layer


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Rows without padding, padded on either side and in the middle, and of padding alone."""
    mask = np.ones((5, 6), bool)
    mask[1, 4:] = mask[2, :3] = mask[3, 2:4] = mask[4] = False
    return np.random.default_rng(2).normal(size=(5, 6, FEATURES)).astype("float32"), mask


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def clip(x: np.ndarray, bound: float | None) -> np.ndarray:
    return x if bound is None else np.clip(x, -bound, bound)


def expected(layer: LSTM, row: np.ndarray, state: Any, recurrent: Any = 1.0) -> Any:
    """One row without padding, position by position, in float64."""
    weights = {w.name: to_numpy(w).astype("float64") for w in layer.weights}
    hidden, cell = state
    outputs = []
    for x in row[::-1] if layer.reverse else row:
        z = x @ weights["kernel"] + hidden @ (weights["recurrent_kernel"] * recurrent)
        z = z + weights["bias"] + weights.get("recurrent_bias", 0.0)
        parts = dict(zip(layer.gate_order, np.split(z, 4), strict=True))
        cell = sigmoid(parts["f"] + layer.forget_bias) * cell
        cell = clip(cell + sigmoid(parts["i"]) * np.tanh(parts["g"]), layer.cell_clip)
        hidden = sigmoid(parts["o"]) * np.tanh(cell)
        if layer.projection_size is not None:
            hidden = hidden @ weights["projection_kernel"]
        hidden = clip(hidden, layer.projection_clip)
        outputs.append(hidden + x if layer.residual else hidden)
    return np.array(outputs[::-1] if layer.reverse else outputs), (hidden, cell)


@every_dialect
@pytest.mark.parametrize("reverse", [False, True])
def test_outputs_and_states(options: dict[str, Any], reverse: bool) -> None:
    layer = make(reverse=reverse, **options)
    x, mask = batch()
    random = np.random.default_rng(3)
    start = tuple(
        random.normal(0, 0.1, (5, size)).astype("float32") for size in (layer.output_size, UNITS)
    )
    outputs, states = to_numpy(layer(x, mask=mask, initial_state=start, return_state=True))
    alone = to_numpy(layer(x, mask=mask, initial_state=start))
    np.testing.assert_array_equal(alone, outputs)
    for row, real in enumerate(mask):
        state = tuple(part[row] for part in start)
        wanted, ends = expected(layer, x[row, real], state)
        np.testing.assert_allclose(
            outputs[row, real], wanted.reshape(-1, layer.output_size), atol=1e-6
        )
        for found, end in zip(states, ends, strict=True):
            np.testing.assert_allclose(found[row], end, atol=1e-6)
        if not layer.residual:
            assert not outputs[row, ~real].any()


def test_clipping_is_at_work() -> None:
    layer = make(**DIALECTS["tensorflow"])
    x, _ = batch()
    _, (hidden, cell) = to_numpy(layer(x, return_state=True))
    for values, bound in ((hidden, 0.05), (cell, 0.2)):
        assert (np.abs(values) == np.float32(bound)).sum() > 5
        assert np.abs(values).max() <= np.float32(bound)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_text_in_two_parts_is_the_text(reverse: bool) -> None:
    layer = make(projection_size=3, reverse=reverse)
    x, _ = batch()
    whole, ends = to_numpy(layer(x, return_state=True))
    first, second = (x[:, 4:], x[:, :4]) if reverse else (x[:, :4], x[:, 4:])
    one, state = layer(first, return_state=True)
    two, state = layer(second, initial_state=state, return_state=True)
    parts = to_numpy([two, one] if reverse else [one, two])
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)
    for found, end in zip(to_numpy(state), ends, strict=True):
        np.testing.assert_allclose(found, end, atol=1e-6)


def test_a_mask_drops_weights_of_the_recurrent_kernel() -> None:
    layer = make()
    x, _ = batch()
    kept = np.random.default_rng(4).integers(0, 2, (UNITS, 4 * UNITS)).astype("float32")
    outputs = to_numpy(layer(x, recurrent_mask=kept))
    zeros = (np.zeros(UNITS), np.zeros(UNITS))
    for row in range(5):
        np.testing.assert_allclose(outputs[row], expected(layer, x[row], zeros, kept)[0], atol=1e-6)
    plain = to_numpy(layer(x))
    np.testing.assert_array_equal(to_numpy(layer(x, recurrent_mask=np.ones_like(kept))), plain)
    assert np.abs(outputs - plain).max() > 0.01


@pytest.mark.parametrize("reverse", [False, True])
def test_numbers_with_detached_states(reverse: bool) -> None:
    """Where gradients end is compared with fast.ai's: tests/layers/test_awd_lstm_parity.py."""
    layer = make(reverse=reverse)
    x, mask = batch()
    plain, ends = to_numpy(layer(x, mask=mask, return_state=True))
    outputs, state = layer(x, mask=mask, detach_every=2, return_state=True)
    np.testing.assert_array_equal(to_numpy(outputs), plain)
    *found, count = to_numpy(state)
    for one, other in zip(found, ends, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(count[:, 0], mask.sum(1))
    more, state = layer(x, mask=mask, initial_state=state, detach_every=2, return_state=True)
    np.testing.assert_array_equal(to_numpy(state[2])[:, 0], 2 * mask.sum(1))
    wanted = layer(x, mask=mask, initial_state=ends)
    np.testing.assert_array_equal(to_numpy(more), to_numpy(wanted))


def network(layer: LSTM) -> keras.Model:
    x, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    return keras.Model([x, mask], keras.layers.Dense(1)(layer(x, mask=mask)))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_trains(jit_compile: bool) -> None:
    """Every variable has a gradient, and XLA's is the one without it."""
    x, mask = batch()
    after = []
    for compiled in (False, jit_compile):
        keras.utils.set_random_seed(5)
        layer = make(**DIALECTS["tensorflow"])
        model = network(layer)
        model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=compiled)
        before = layer.get_weights()
        model.train_on_batch([x, mask], np.ones((5, 6, 1)))
        after.append(layer.get_weights())
        for old, new, variable in zip(before, after[-1], layer.weights, strict=True):
            assert np.abs(new - old).max() > 1e-6, variable.path
    for one, other in zip(*after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


POLICIES = ["mixed_bfloat16", "mixed_float16", "bfloat16"]


# JAX has no float64 unless it is told to.
@pytest.mark.parametrize("policy", POLICIES + ["float64"] * (BACKEND == "tensorflow"))
def test_policies(policy: str) -> None:
    x, mask = batch()
    wanted = to_numpy(make(**DIALECTS["tensorflow"])(x, mask=mask))
    output = make(**DIALECTS["tensorflow"], dtype=policy)(x, mask=mask)
    dtype = keras.backend.standardize_dtype(output.dtype)
    assert dtype == keras.DTypePolicy(policy).compute_dtype
    found = to_numpy(keras.ops.cast(output, "float32"))
    np.testing.assert_allclose(found, wanted, atol=1e-6 if policy == "float64" else 0.1)


def test_config_and_wrong_arguments(tmp_path: Path) -> None:
    layer = make(**DIALECTS["tensorflow"], reverse=True)
    copy = LSTM.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="letters of 'ifgo'"):
        LSTM(3, gate_order="ifjo")
    with pytest.raises(ValueError, match=r"inputs of size 7\. Received: 5"):
        make(residual=True)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf2onnx reads TensorFlow's graphs")
def test_onnx_has_free_lengths(tmp_path: Path) -> None:
    import onnxruntime

    from keras_pretrained.export import to_onnx

    model = network(make(**DIALECTS["tensorflow"], reverse=True))
    path = to_onnx(model, tmp_path / "lstm.onnx").path
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x, mask = batch()
    names = [each.name for each in session.get_inputs()]
    for length in (6, 4):
        given = {names[0]: x[:, :length], names[1]: mask[:, :length]}
        (found,) = session.run(None, given)
        wanted = to_numpy(model([x[:, :length], mask[:, :length]]))
        np.testing.assert_allclose(found, wanted, atol=1e-5)
