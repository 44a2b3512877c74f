"""`AWDLSTMEncoder`: the contract of a text layer, dropouts, states, chunks, the classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import AWDLSTMEncoder, ULMFiTClassifier
from keras_pretrained.layers.blocks.token_table import TokenTable
from keras_pretrained.layers.blocks.weight_dropped_lstm import WeightDroppedLSTM
from keras_pretrained.layers.recurrent.awd_lstm_source import RATES
from tests.layers.awd_lstm_models import (
    UNITS,
    WIDTH,
    WORDS,
    awd_lstm,
    golden,
    inputs,
    small,
)
from tests.layers.layer_test import run_layer_test, to_numpy

BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason=f"{BACKEND} has no strings")
QUIET = {"dropout_multiplier": 0.0}

directions = pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])


def test_layer(tmp_path: Path) -> None:
    run_layer_test(
        lambda **kwargs: small(pooling="last-max-mean", **kwargs),
        inputs(),
        (None, 3 * WIDTH),
        tmp_path,
    )


# --- outputs ---------------------------------------------------------------------------------


def test_hidden_layers() -> None:
    given, layer = inputs(), awd_lstm()
    states = to_numpy(layer.features(given)["hidden_states"])
    assert [x.shape[-1] for x in states] == [WIDTH, UNITS, UNITS, WIDTH]
    real = given["padding_mask"].astype(bool)
    for choice, wanted in (
        (-1, states[3]),
        (1, states[1]),
        ([0, 2], np.concatenate([states[0], states[2]], -1)),
        ("all", np.concatenate(states, -1)),
    ):
        made = awd_lstm(hidden_layers=choice)
        assert made(made.symbolic_inputs()).shape == (None, None, wanted.shape[-1])
        np.testing.assert_allclose(to_numpy(made(given))[real], wanted[real], atol=1e-6)
    symbolic = layer.features(layer.symbolic_inputs())
    assert [x.shape for x in symbolic["hidden_states"]] == [
        (None, None, x.shape[-1]) for x in states
    ]
    assert symbolic["logits"].shape == (None, None, WORDS)


@directions
def test_pooling(backward: bool) -> None:
    """Over real tokens; the last one is the one that was read last."""
    given = inputs()
    hidden = to_numpy(small(backward)(given))
    rows = [row[real == 1] for row, real in zip(hidden, given["padding_mask"], strict=True)]
    parts = {
        "last": [row[0 if backward else -1] for row in rows],
        "max": [row.max(0) for row in rows],
        "mean": [row.mean(0) for row in rows],
    }
    parts["mean-max"] = [np.concatenate(x) for x in zip(parts["mean"], parts["max"], strict=True)]
    three = zip(parts["last"], parts["max"], parts["mean"], strict=True)
    parts["last-max-mean"] = [np.concatenate(x) for x in three]
    for pooling, wanted in parts.items():
        layer = small(backward, pooling=pooling)
        assert layer(layer.symbolic_inputs()).shape == (None, len(wanted[0]))
        np.testing.assert_allclose(to_numpy(layer(given)), wanted, atol=1e-6)


@directions
def test_padding_and_company_change_nothing(backward: bool) -> None:
    given, layer = inputs(), small(backward)
    found = to_numpy(layer(given))
    np.testing.assert_array_equal(to_numpy(layer(given["token_ids"])), found)
    for row, real in enumerate(given["padding_mask"].astype(bool)):
        alone = to_numpy(layer(given["token_ids"][row : row + 1, real]))
        np.testing.assert_allclose(found[row, real], alone[0], atol=1e-6)
        assert not found[row, ~real].any()


def test_wrong_ids_say_what_was_expected() -> None:
    layer = small()
    with pytest.raises(ValueError, match=f"token_ids from 0 to {WORDS - 1}. Received: 999 to 999"):
        layer(np.array([[999]]))
    with pytest.raises(ValueError, match=r"at least one token. Received: .*\(2, 0\)"):
        layer(np.ones((2, 0), "int32"))


def test_the_output_carries_its_mask() -> None:
    layer, given = small(), inputs()
    symbolic = layer.symbolic_inputs()
    model = keras.Model(symbolic, keras.layers.GlobalAveragePooling1D()(layer(symbolic)))
    wanted = to_numpy(small(pooling="mean")(given))
    np.testing.assert_allclose(model.predict(given, verbose=0), wanted, atol=1e-6)


def test_logits_are_tied() -> None:
    layer = awd_lstm(language_model_logits=True)
    ids = inputs()["token_ids"][:1]
    hidden = to_numpy(awd_lstm()(ids))
    weights = {w.path.split("/", 1)[1]: to_numpy(w) for w in layer.weights}
    wanted = hidden @ weights["table/embeddings"].T + weights["decoder/bias"]
    np.testing.assert_allclose(to_numpy(layer(ids)), wanted, atol=1e-5)
    paths = [v.path.split("/", 1)[1] for v in layer.trainable_variables]
    assert paths.count("decoder/bias") == 1
    layer.trainable_from = "decoder"
    assert [v.path.split("/", 1)[1] for v in layer.trainable_variables] == ["decoder/bias"]
    assert not [v for v in awd_lstm().trainable_variables if "decoder" in v.path]


# --- dropouts --------------------------------------------------------------------------------


def test_weight_drop() -> None:
    """A share of the recurrent weights, one choice for all rows and positions, anew each time."""
    lstm = WeightDroppedLSTM(30, 0.4)
    lstm.build((None, None, 20))
    masks = []

    def seen(inputs: Any, mask: Any, start: Any, state: Any, dropped: Any, *rest: Any) -> Any:
        masks.append(None if dropped is None else to_numpy(dropped))
        return inputs

    original = WeightDroppedLSTM.__mro__[1].call
    WeightDroppedLSTM.__mro__[1].call = lambda self, *given: seen(*given)
    try:
        for training in (True, True, False):
            lstm(np.zeros((2, 3, 20), "float32"), training=training)
    finally:
        WeightDroppedLSTM.__mro__[1].call = original
    first, second, none = masks
    assert none is None
    assert first.shape == (30, 120)
    assert not np.array_equal(first, second)
    for mask in (first, second):
        np.testing.assert_allclose(np.unique(mask), [0, 1 / 0.6], atol=1e-6)
        assert abs((mask == 0).mean() - 0.4) < 0.03


def test_a_given_choice_of_weights_is_torch_s_drop_connect() -> None:
    """With weights dropped, it is the layer with these weights zero and the others larger."""
    lstm, other = WeightDroppedLSTM(7, 0.5), WeightDroppedLSTM(7)
    for layer in (lstm, other):
        layer.build((None, None, 5))
    random = np.random.default_rng(1)
    weights = [random.normal(0, 0.5, w.shape).astype("float32") for w in lstm.weights]
    mask = (random.random((7, 28)) < 0.5).astype("float32") * 2
    lstm.set_weights(weights)
    other.set_weights([weights[0], weights[1] * mask, *weights[2:]])
    x = random.normal(size=(2, 4, 5)).astype("float32")
    found = to_numpy(lstm(x, recurrent_mask=mask, training=True))
    np.testing.assert_allclose(found, to_numpy(other(x)), atol=1e-6)
    quiet = to_numpy(lstm(x, training=False))
    assert np.abs(quiet - found).max() > 0.01


def test_whole_tokens_are_dropped() -> None:
    table = TokenTable(500, 4, row_dropout=0.3)
    table.build()
    ids = np.tile(np.arange(500, dtype="int32"), (2, 1))
    quiet = to_numpy(table(ids, training=False))
    np.testing.assert_array_equal(quiet[0], to_numpy(table.embeddings))
    noisy = to_numpy(table(ids, training=True))
    np.testing.assert_array_equal(noisy[0], noisy[1])
    kept = (noisy[0] != 0).any(-1)
    assert abs(kept.mean() - 0.7) < 0.08
    np.testing.assert_allclose(noisy[0][kept], quiet[0][kept] / 0.7, rtol=1e-5)
    assert not np.array_equal(noisy, to_numpy(table(ids, training=True)))


def test_features_are_dropped_all_over_a_text() -> None:
    table = TokenTable(50, 100, dropout=0.4)
    table.build()
    ids = np.random.default_rng(2).integers(0, 50, (3, 6)).astype("int32")
    dropped = to_numpy(table(ids, training=True)) == 0
    assert (dropped == dropped[:, :1]).all()
    assert not np.array_equal(dropped[0, 0], dropped[1, 0])
    assert abs(dropped.mean() - 0.4) < 0.1


def test_where_dropouts_are() -> None:
    """Behind the embeddings and between the LSTMs, none behind the last, one before the logits."""
    ids = golden()["fastai-2_first_token_ids"]

    def zeros(**changes: float) -> list[float]:
        layer = awd_lstm(architecture={**dict.fromkeys(RATES, 0.0), **changes})
        states = to_numpy(layer.features(ids, training=True)["hidden_states"])
        return [bool((state == 0).any()) for state in states]

    assert zeros() == [False] * 4
    assert zeros(input_dropout=0.5) == [True, False, False, False]
    assert zeros(hidden_dropout=0.5) == [False, True, True, False]
    layer = awd_lstm(dropout_multiplier=0.5)
    assert layer.table.row_dropout.rate == 0.01
    assert layer.lstms[0].weight_dropout.rate == 0.1
    assert layer.decoder.dropout.rate == 0.05
    classifier = awd_lstm(architecture=AWDLSTMEncoder.classifier_dropouts)
    assert [x.rate for x in classifier.dropouts] == [0.3, 0.3]
    assert classifier.lstms[0].weight_dropout.rate == 0.5
    noisy = awd_lstm(language_model_logits=True)
    quiet = to_numpy(noisy(ids))
    assert np.abs(to_numpy(noisy(ids, training=True)) - quiet).max() > 0.01
    np.testing.assert_array_equal(to_numpy(noisy(ids, training=False)), quiet)


# --- states ----------------------------------------------------------------------------------


def test_a_stream_in_batches_is_the_stream() -> None:
    """As fast.ai's language models are trained: each row goes on where it was."""
    ids = np.random.default_rng(5).integers(2, WORDS, (3, 14)).astype("int32")
    whole = to_numpy(small()(ids))
    layer = small(stateful=True)
    parts = [to_numpy(layer(ids[:, a:b])) for a, b in ((0, 5), (5, 6), (6, 14))]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)
    layer.reset_state()
    np.testing.assert_allclose(to_numpy(layer(ids[:, :5])), whole[:, :5], atol=1e-6)
    assert not layer.states.trainable_variables
    with pytest.raises(ValueError, match=r"states of 2 rows\. Received: a batch of 3"):
        small(stateful=True, state_rows=2)(ids)


@on_tensorflow
def test_a_language_model_trains_on_a_stream(tmp_path: Path) -> None:
    """Under XLA: states pass from step to step, and a saved model keeps them."""
    layer = small(stateful=True, language_model_logits=True, state_rows=2, **QUIET)
    symbolic = keras.Input((None,), dtype="int32")
    model = keras.Model(symbolic, layer(symbolic))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss, jit_compile=True)
    period = np.array([2, 3, 2, 4, 2, 5, 2, 6], "int32")
    stream = np.tile(period, (2, 41))
    batches = [(stream[:, i : i + 8], stream[:, i + 1 : i + 9]) for i in range(0, 320, 8)]
    losses = [float(model.train_on_batch(x, y)) for x, y in batches]
    assert losses[-1] < 0.5 * losses[0]
    kept = to_numpy(layer.states.held["layer_0"])
    assert all(np.abs(state).max() > 0 for state in kept)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    copy = next(each for each in again.layers if isinstance(each, AWDLSTMEncoder))
    for one, other in zip(kept, to_numpy(copy.states.held["layer_0"]), strict=True):
        np.testing.assert_array_equal(one, other)


# --- chunks ----------------------------------------------------------------------------------


@directions
@pytest.mark.parametrize("kept", [4, 5, 7, 100])
def test_which_chunks_are_kept(backward: bool, kept: int) -> None:
    """Chunks of three, counted from the first token read, that begin in the last `kept`."""
    given = inputs()
    ids = np.concatenate([given["token_ids"], given["token_ids"][:, ::-1]], axis=1)
    layer = small(backward, bptt=3, kept_tokens=kept)
    found = to_numpy(layer.compute_mask(ids))
    for row, real in zip(found, ids != 1, strict=True):
        places = np.flatnonzero(real)
        places = places[::-1] if backward else places
        wanted = np.zeros(len(row), bool)
        for start in range(0, len(places), 3):
            if len(places) - start <= kept:
                wanted[places[start : start + 3]] = True
        np.testing.assert_array_equal(row, wanted)
        assert wanted.any()


@directions
def test_training_in_chunks_has_the_same_numbers(backward: bool) -> None:
    """Whatever the length, the side of the padding and the direction."""
    given = inputs()
    ids = np.concatenate([given["token_ids"], given["token_ids"][:, ::-1]], axis=1)
    plain = to_numpy(small(backward, pooling="mean", **QUIET)(ids))
    assert np.abs(plain).max() > 0.1
    for options in ({"bptt": 2}, {"bptt": 2, "kept_tokens": 100}):
        layer = small(backward, pooling="mean", **QUIET, **options)
        np.testing.assert_allclose(to_numpy(layer(ids, training=True)), plain, atol=1e-6)
    layer = small(backward, pooling="last-max-mean", **QUIET, bptt=2, kept_tokens=5)
    found = to_numpy(layer(ids, training=True))
    np.testing.assert_allclose(found, to_numpy(layer(ids)), atol=1e-6)


@on_tensorflow
def test_long_texts_train_in_models_of_free_length() -> None:
    layer = small(pooling="last-max-mean", bptt=3, kept_tokens=6, **QUIET)
    symbolic = keras.Input((None,), dtype="int32")
    model = keras.Model(symbolic, ULMFiTClassifier(2, dropouts=(0, 0))(layer(symbolic)))
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    ids = np.random.default_rng(3).integers(2, WORDS, (4, 20)).astype("int32")
    for length in (4, 20):
        before = layer.get_weights()
        model.train_on_batch(ids[:, :length], np.ones((4, 2)))
        for old, variable in zip(before, layer.weights, strict=True):
            assert ("decoder" in variable.path) == np.array_equal(old, to_numpy(variable))


# --- depth, classifier -------------------------------------------------------------------------


def test_depth() -> None:
    layer = awd_lstm(language_model_logits=True)
    names = ["stem", "layer_0", "layer_1", "layer_2", "decoder"]
    assert [stage.name for stage in layer.stages] == names
    for depth, first in {0: 0, 1: 2, "layer_0": 1, -1: 3, "decoder": 4, 3: 5, None: 5}.items():
        layer.trainable_from = depth
        trained = {id(variable) for variable in layer.trainable_variables}
        for index, stage in enumerate(layer.stages):
            found = {id(w) in trained for part in stage.layers for w in part.weights}
            assert found == {index >= first}, (depth, stage.name)
    ids = inputs()["token_ids"]
    frozen = awd_lstm(trainable_from="layer_2", pooling="last-max-mean")
    prefix, suffix = frozen.split()
    np.testing.assert_allclose(to_numpy(suffix(prefix(inputs()))), to_numpy(frozen(ids)), atol=1e-6)


@pytest.mark.parity
def test_the_head_of_fastai(parity: Any) -> None:
    expected = golden()
    head = ULMFiTClassifier(2, hidden_sizes=[4])
    head.build((None, 3 * WIDTH))
    for index in range(2):
        for layer, theirs, names in (
            (head.norms[index], "bn", ("weight", "bias", "running_mean", "running_var")),
            (head.denses[index], "lin", ("weight", "bias")),
        ):
            stored = [expected[f"head_layers.{index}.{theirs}.{name}"] for name in names]
            layer.set_weights([x.T for x in stored])
    x = expected["head_inputs"]
    pooled = np.concatenate([x[:, -1], x.max(1), x.mean(1)], axis=-1)
    parity("ulmfit/head").close("logits", to_numpy(head(pooled)), expected["head_logits"])
    assert head(keras.Input((3 * WIDTH,))).shape == (None, 2)
    copy = ULMFiTClassifier.from_config(head.get_config())
    copy.build((None, 3 * WIDTH))
    copy.set_weights(head.get_weights())
    np.testing.assert_array_equal(to_numpy(copy(pooled)), to_numpy(head(pooled)))
    with pytest.raises(ValueError, match=r"pooling='last-max-mean'.*\(3, 6, 5\)"):
        ULMFiTClassifier(2)(x)
    with pytest.raises(ValueError, match="one rate for each of the 3 blocks"):
        ULMFiTClassifier(2, hidden_sizes=[50, 20])


@on_tensorflow
def test_forward_and_backward_classifiers_are_averaged(tmp_path: Path) -> None:
    token_ids = keras.Input((None,), dtype="int32")
    made = [
        ULMFiTClassifier(3, activation="softmax")(
            small(backward, pooling="last-max-mean")(token_ids)
        )
        for backward in (False, True)
    ]
    model = keras.Model(token_ids, [*made, keras.layers.Average()(made)])
    forward, backward, both = model.predict(inputs()["token_ids"], verbose=0)
    np.testing.assert_allclose(both, (forward + backward) / 2, atol=1e-6)
    np.testing.assert_allclose(both.sum(-1), 1, atol=1e-6)
    assert np.abs(forward - backward).max() > 1e-3
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    found = again.predict(inputs()["token_ids"], verbose=0)
    np.testing.assert_allclose(found[2], both, atol=1e-6)
