"""Bucketed and packed texts: the same outputs as one padded text a row."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.finetune import bucket_by_length, pack
from keras_pretrained.layers import (
    AlbertEncoder,
    DistilBertEncoder,
    ElectraEncoder,
    GPT2Decoder,
    RobertaEncoder,
)
from tests.finetune.networks import NO_DROPOUT, bert, classifier
from tests.layers.toys import VOCABULARY, make_encoder

LENGTHS = [3, 12, 5, 1, 7, 2, 2, 9, 4, 12]
RELATIVES: dict[str, Any] = {
    "roberta": (RobertaEncoder, {}),
    "albert": (AlbertEncoder, {"embedding_size": 6}),
    "distilbert": (DistilBertEncoder, {}),
    "electra": (ElectraEncoder, {}),
}


def sentences(width: int = 12) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    mask = (np.arange(width)[None] < np.array(LENGTHS)[:, None]).astype("int32")
    ids = random.integers(2, VOCABULARY, mask.shape).astype("int32")
    segments = random.integers(0, 2, mask.shape).astype("int32")
    return {
        "token_ids": np.where(mask, ids, 0).astype("int32"),
        "segment_ids": segments * mask,
        "padding_mask": mask,
    }


def numbers(x: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(x))


# --- buckets --------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_bucketed_outputs_are_those_of_padded_rows(fill: bool) -> None:
    model = classifier(bert())
    model.compile(jit_compile=False)
    inputs = sentences()
    batches = bucket_by_length(inputs, batch_size=3, lengths=(4, 8, 12), fill=fill)
    shapes = {batches[index][0]["token_ids"].shape for index in range(len(batches))}
    assert {length for _, length in shapes} == {4, 8, 12}
    assert len(shapes) == 3 or not fill
    assert {rows for rows, _ in shapes} == ({3} if fill else {2, 3})
    found = batches.restore(model.predict(batches, verbose=0))
    np.testing.assert_allclose(found, model.predict(inputs, verbose=0), atol=1e-5)


def test_every_row_is_in_one_batch_and_shuffled_by_epoch() -> None:
    inputs, labels = sentences(), np.arange(len(LENGTHS))
    batches = bucket_by_length(
        inputs, {"label": labels}, tokens=24, lengths=(4, 12), shuffle=True, seed=1
    )
    assert {len(batches[index][1]["label"]) for index in range(len(batches))} <= {1, 2, 5, 6}
    orders = []
    for _ in range(3):
        found: list[int] = []
        for index in range(len(batches)):
            x, y = batches[index]
            rows = y["label"].tolist()
            assert x["padding_mask"].sum() == sum(LENGTHS[row] for row in rows)
            found += rows
        assert sorted(found) == labels.tolist()
        orders.append(found)
        batches.on_epoch_end()
    assert orders[0] != orders[1] != orders[2]
    assert batches.real == sum(LENGTHS)
    with pytest.raises(ValueError, match="shuffle=False"):
        batches.restore(labels)


def test_rows_that_fill_a_batch_have_no_weight() -> None:
    inputs, labels = sentences(), np.arange(len(LENGTHS))
    weights = np.linspace(1, 2, len(LENGTHS))
    batches = bucket_by_length(inputs, labels, weights, batch_size=4, lengths=(12,), fill=True)
    (_, _, found) = batches[2]
    np.testing.assert_array_equal(found, [*weights[8:], 0, 0])
    assert batches.places == 3 * 4 * 12
    plain = bucket_by_length(inputs, labels, batch_size=4, lengths=(12,), fill=True)
    np.testing.assert_array_equal(plain[2][2], [1, 1, 0, 0])


def test_lengths_double_by_default_and_end_with_the_inputs() -> None:
    random = np.random.default_rng(0)
    real = np.array([3, 20, 40, 5])
    mask = (np.arange(48)[None] < real[:, None]).astype("int32")
    inputs = {"token_ids": random.integers(1, 9, mask.shape), "padding_mask": mask}
    batches = bucket_by_length(inputs)
    shapes = [batches[index][0]["token_ids"].shape for index in range(len(batches))]
    assert shapes == [(2, 16), (1, 32), (1, 48)]
    assert (batches.real, batches.places) == (68, 2 * 16 + 32 + 48)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"lengths": (4, 8)}, "longest text, 12 tokens"),
        ({}, {"lengths": (16,)}, "length of the inputs, 12"),
        ({}, {"batch_size": 2, "tokens": 8}, "not both"),
        ({"padding_mask": None}, {}, "Missing: padding_mask"),
        ({"padding_mask": np.eye(10, 12)}, {}, "Row 1 has some before"),
    ],
)
def test_wrong_inputs_of_buckets_are_an_error(change: Any, arguments: Any, message: str) -> None:
    inputs = {k: v for k, v in {**sentences(), **change}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        bucket_by_length(inputs, **arguments)


def test_lists_of_labels_and_weights_are_arrays() -> None:
    batches = bucket_by_length(sentences(), [0, 1] * 5, {"a": [2.0] * 10}, batch_size=10)
    labels = [batches[index][1] for index in range(len(batches))]
    assert sum(map(len, labels)) == 10
    np.testing.assert_array_equal(batches[0][2]["a"], np.full(len(labels[0]), 2.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": [0] * 5}, r"10 rows in `targets`.*\(5,\)"),
        ({"targets": np.arange(20)}, r"10 rows in `targets`.*\(20,\)"),
        ({"targets": np.arange(10), "rows_per_example": 2}, "5 rows in `targets`"),
        ({"targets": {"a": 1}}, "10 rows in `targets`"),
        ({"sample_weight": np.ones(9)}, "10 rows in `sample_weight`"),
        ({"batch_size": -1}, "`batch_size` must be at least 1. Received: -1"),
        ({"tokens": 0}, "`tokens` must be at least 1"),
    ],
)
def test_wrong_counts_are_an_error(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bucket_by_length(sentences(), **arguments)


# --- packing --------------------------------------------------------------------------------


def packed_and_plain(network: Any, **options: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    inputs = {name: x for name, x in sentences().items() if name in network.input_names}
    packed = pack(inputs, **options)
    plain = numbers(network(inputs))
    return numbers(network(packed.inputs)), plain, packed


@pytest.mark.parametrize("pooling", ["cls", "pooler", "mean", "max", "mean-max", "last"])
def test_packed_outputs_are_those_of_one_text_a_row(pooling: str) -> None:
    found, plain, packed = packed_and_plain(bert(pooling=pooling), texts_per_row=4)
    assert packed.index.shape[0] < len(LENGTHS) * 0.6
    assert found.shape == (*packed.index.shape, plain.shape[-1])
    np.testing.assert_allclose(packed.unpack(found), plain, atol=1e-5)


@pytest.mark.parametrize("family", RELATIVES)
def test_packing_is_for_all_encoders(family: str) -> None:
    layer, changes = RELATIVES[family]
    network = make_encoder(layer, {**NO_DROPOUT, **changes}, pooling="mean")
    found, plain, packed = packed_and_plain(network, texts_per_row=4)
    np.testing.assert_allclose(packed.unpack(found), plain, atol=1e-5)


def test_every_token_has_the_vector_that_it_has_alone() -> None:
    network = bert(pooling=None)
    found, plain, packed = packed_and_plain(network)
    for row, texts in enumerate(packed.index):
        for place, text in enumerate(texts):
            if text >= 0:
                start = packed.inputs["text_starts"][row, place]
                own = found[row, start : start + LENGTHS[text]]
                np.testing.assert_allclose(own, plain[text, : LENGTHS[text]], atol=1e-5)


def test_a_row_is_filled_and_holds_no_text_twice() -> None:
    packed = pack(sentences(), texts_per_row=4)
    texts = packed.index[packed.index >= 0]
    assert sorted(texts.tolist()) == list(range(len(LENGTHS)))
    # 57 tokens need five rows of twelve at least.
    assert packed.index.shape == (5, 4)
    assert packed.inputs["padding_mask"].sum() == sum(LENGTHS)
    # With two texts a row at most, the two of twelve stay alone and the others make pairs.
    assert pack(sentences(), texts_per_row=2).index.shape == (6, 2)
    assert pack(sentences(), length=24, texts_per_row=8).inputs["token_ids"].shape[1] == 24
    for count in (9, 20):
        with pytest.raises(ValueError, match=rf"10 rows in `values`.*\({count},\)"):
            packed.targets(np.zeros(count))


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_packed_training_takes_the_steps_of_plain_training(jit_compile: bool) -> None:
    plain, network = classifier(bert()), bert()
    inputs, labels = sentences(), np.arange(len(LENGTHS)) % 2
    packed = pack(inputs, texts_per_row=4)
    symbolic = packed.symbolic_inputs()
    head = keras.layers.Dense(2, name="classifier")
    ours = keras.Model(symbolic, head(network(symbolic)))
    assert ours.output_shape == (None, 4, 2)
    ours.set_weights(plain.get_weights())
    targets, weights = packed.targets(labels)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    data = ((plain, inputs, labels, None), (ours, packed.inputs, targets, weights))
    for model, x, y, sample_weight in data:
        model.compile(keras.optimizers.SGD(0.01), loss, jit_compile=jit_compile)
        model.fit(
            x, y, sample_weight=sample_weight, batch_size=16, epochs=2, shuffle=False, verbose=0
        )
    for a, b in zip(plain.weights, ours.weights, strict=True):
        np.testing.assert_allclose(numbers(a), numbers(b), atol=1e-5)
    np.testing.assert_allclose(
        packed.unpack(ours.predict(packed.inputs, verbose=0)),
        plain.predict(inputs, verbose=0),
        atol=1e-5,
    )


def test_what_cannot_be_packed_is_an_error() -> None:
    with pytest.raises(ValueError, match="a text of 12 tokens"):
        pack(sentences(), length=8)
    with pytest.raises(ValueError, match="texts_per_row"):
        pack(sentences(), texts_per_row=0)
    decoder = make_encoder(GPT2Decoder, NO_DROPOUT)
    inputs = {name: x for name, x in sentences().items() if name in decoder.input_names}
    with pytest.raises(ValueError, match="text_starts"):
        decoder(pack(inputs).inputs)
