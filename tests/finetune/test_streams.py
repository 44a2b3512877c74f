"""Running text in batches: every token once, in order, with the states of the batch before."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.finetune import TokenStream
from keras_pretrained.layers import AWDLSTMEncoder
from tests.layers.layer_test import to_numpy

WORDS, ROWS, BPTT = 30, 3, 4


def network(backward: bool = False, **options: Any) -> AWDLSTMEncoder:
    sizes = {"vocabulary_size": WORDS, "embedding_size": 4, "units": 5, "num_layers": 2}
    options = {"stateful": True, "state_rows": ROWS, "language_model_logits": True, **options}
    encoder = AWDLSTMEncoder(
        architecture={**sizes, "backward": backward}, dropout_multiplier=0.0, **options
    )
    for variable in encoder.trainable_variables:
        # Random states would hardly matter.
        variable.assign(4 * variable)
    return encoder


def as_model(encoder: AWDLSTMEncoder) -> keras.Model:
    token_ids = keras.Input((None,), dtype="int32")
    model = keras.Model(token_ids, encoder(token_ids))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
    return model


def texts(count: int = 7, length: int = 10) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(2, WORDS, length).astype("int32") for _ in range(count)]


def read(stream: TokenStream) -> tuple[np.ndarray, np.ndarray]:
    """What all batches give, side by side."""
    inputs, targets = zip(*(stream[number] for number in range(len(stream))), strict=True)
    return np.concatenate(inputs, axis=1), np.concatenate(targets, axis=1)


def mean_surprise(logits: np.ndarray, targets: np.ndarray) -> float:
    logits = logits.astype("float64")
    logits -= logits.max(axis=-1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return float(-np.take_along_axis(logits, targets[..., None], axis=-1).mean())


def test_rows_go_on_and_targets_are_the_next_tokens() -> None:
    stream = TokenStream(texts(), network(), ROWS, BPTT)
    # 69 of the 70 tokens have one behind them: 23 a row, of which 5 batches of 4 are whole.
    assert (len(stream), stream.tokens) == (5, 60)
    assert stream[0][0].shape == (ROWS, BPTT)
    whole = np.concatenate(texts())
    inputs, targets = read(stream)
    for row in range(ROWS):
        np.testing.assert_array_equal(inputs[row], whole[row * 23 :][:20])
        np.testing.assert_array_equal(targets[row], whole[row * 23 + 1 :][:20])


def test_a_backward_network_reads_from_the_end() -> None:
    stream = TokenStream(texts(), network(backward=True), ROWS, BPTT)
    whole = np.concatenate(texts())
    for row in range(ROWS):
        end = 70 - row * 23
        for number in range(len(stream)):
            inputs, targets = stream[number]
            # The ids stand as in the text, and the targets are the ones before.
            stop = end - number * BPTT
            np.testing.assert_array_equal(inputs[row], whole[stop - BPTT : stop])
            np.testing.assert_array_equal(targets[row], whole[stop - BPTT - 1 : stop - 1])


@pytest.mark.parametrize("backward", [False, True])
def test_losses_are_those_of_whole_rows(backward: bool) -> None:
    encoder = network(backward)
    model = as_model(encoder)
    stream = TokenStream(texts(), encoder, ROWS, BPTT)
    inputs, targets = read(stream)
    if backward:
        order = [slice(start, start + BPTT) for start in range(16, -1, -BPTT)]
        inputs, targets = (np.concatenate([x[:, s] for s in order], 1) for x in (inputs, targets))
    encoder.reset_state()
    expected = mean_surprise(to_numpy(encoder({"token_ids": inputs})), targets)
    for _ in range(2):  # The second pass begins with zeros, too.
        found = model.evaluate(stream, verbose=0)
        assert found == pytest.approx(expected, abs=1e-5)
    # Without the states of the batch before it is another number.
    pieces = [stream[number] for number in range(len(stream))]
    apart = []
    for ids, following in pieces:
        encoder.reset_state()
        apart.append(mean_surprise(to_numpy(encoder({"token_ids": ids})), following))
    assert abs(np.mean(apart) - expected) > 1e-4


def test_fit_equals_batches_by_hand() -> None:
    first, second = network(), network()
    models = [as_model(encoder) for encoder in (first, second)]
    models[1].set_weights(models[0].get_weights())
    given = TokenStream(texts(), first, ROWS, BPTT)
    # Validation uses the same states, which the next epoch must not begin with.
    models[0].fit(
        given,
        epochs=2,
        shuffle=False,
        verbose=0,
        validation_data=TokenStream(texts(4), first, ROWS, BPTT),
    )
    for _ in range(2):
        second.reset_state()
        for number in range(len(given)):
            models[1].train_on_batch(*given[number])
    for ours, theirs in zip(first.trainable_variables, second.trainable_variables, strict=True):
        np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), atol=1e-6)


def test_texts_are_shuffled_and_not_their_tokens() -> None:
    parts = [np.full(10, number, "int32") for number in range(2, 9)]
    stream = TokenStream(parts, network(), batch_size=1, bptt=3, shuffle=True, seed=3)
    seen = []
    for _ in range(3):
        stream.on_epoch_begin()
        inputs, _ = read(stream)
        stream.on_epoch_end()
        places = np.flatnonzero(np.diff(inputs[0]))
        assert (np.diff(places) == 10).all()
        seen.append(tuple(inputs[0, ::10].tolist()))
    assert len(set(seen)) == 3
    assert {frozenset(order) for order in seen} == {frozenset(range(2, 9))}


def test_batches_in_another_order_are_refused() -> None:
    encoder = network()
    stream = TokenStream(texts(), encoder, ROWS, BPTT)
    # In another order in every epoch: one of them is wrong.
    with pytest.raises(Exception, match="Pass `shuffle=False` to fit"):
        as_model(encoder).fit(stream, epochs=5, verbose=0)
    assert stream[3][0].shape == (ROWS, BPTT)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="with stateful=True"):
        TokenStream(texts(), network(stateful=False), ROWS, BPTT)
    with pytest.raises(ValueError, match="Make it with state_rows=8"):
        TokenStream(texts(), network(), 8, BPTT)
    with pytest.raises(ValueError, match=r"have 70 tokens\. Expected at least 73"):
        TokenStream(texts(), network(), ROWS, 24)
    with pytest.raises(ValueError, match=r"Text 1 has the shape \(1, 3\)"):
        TokenStream([np.zeros(3), np.zeros((1, 3))], network(), ROWS, BPTT)
    with pytest.raises(ValueError, match=r"must be at least 1\. Received: 0 and 4"):
        TokenStream(texts(), network(), 0, BPTT)
