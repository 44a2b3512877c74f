"""The made-up inputs reach what an export must get right: ids, padding, sizes, axis names."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_pretrained.export.axes import input_axes, output_axes
from keras_pretrained.export.check import Check
from keras_pretrained.export.interface import Interface, Port
from keras_pretrained.export.report import ExportError
from keras_pretrained.export.samples import Limits, given_samples, synthetic_samples
from tests.export import models


def test_limits_come_from_the_architecture() -> None:
    limits = Limits.of(Interface(models.classifier()))
    assert limits == Limits(models.VOCABULARY, models.POSITIONS, segments=2, pad_id=0)


def test_limits_come_from_embedding_tables_without_a_text_encoder() -> None:
    inputs = keras.Input((None,), dtype="int32", name="words")
    model = keras.Model(inputs, keras.layers.Embedding(4, 3)(inputs))
    assert Limits.of(Interface(model)).vocabulary == 4
    for sample in synthetic_samples(Interface(model)):
        assert sample.values["words"].min() >= 0
        assert sample.values["words"].max() < 4


def test_text_samples_are_valid_padded_and_of_two_sizes() -> None:
    first, second = synthetic_samples(Interface(models.classifier()))
    assert first.sizes["batch"] != second.sizes["batch"]
    assert first.sizes["length"] != second.sizes["length"]
    for sample in (first, second):
        ids, segments, mask = (sample.values[name] for name in models.INPUTS)
        assert ids.shape == segments.shape == mask.shape
        assert ids.shape == (sample.sizes["batch"], sample.sizes["length"])
        assert {array.dtype for array in sample.values.values()} == {np.dtype("int32")}
        assert set(np.unique(mask)) == {0, 1}
        assert set(np.unique(segments[mask == 1])) == {0, 1}
        assert ids[mask == 1].min() > 0
        assert (ids[mask == 0] == 0).all()
        assert ids.max() < models.VOCABULARY
        assert mask[0].all()
        assert not mask[1:].all(axis=1).any()
    assert first.values["token_ids"].max() > 9


@pytest.mark.parametrize("positions", [1, 2, 5, 6, 12, 512])
def test_lengths_stay_within_the_position_table(positions: int) -> None:
    encoder = models.BertEncoder(
        architecture={
            "vocabulary_size": 7,
            "num_layers": 1,
            "num_heads": 1,
            "hidden_size": 2,
            "intermediate_size": 2,
            "max_positions": positions,
        },
        max_length=None,
    )
    inputs = models.ids()
    samples = synthetic_samples(Interface(keras.Model(inputs, encoder(inputs))))
    lengths = [sample.sizes["length"] for sample in samples]
    assert all(1 <= length <= positions for length in lengths)
    assert len(set(lengths)) == min(positions, 2)


def test_only_token_ids_are_padded_too() -> None:
    inputs = keras.Input((None,), dtype="int32", name="token_ids")
    model = keras.Model(inputs, models.bert()(inputs))
    for sample in synthetic_samples(Interface(model)):
        assert (sample.values["token_ids"][1:] == 0).any(axis=1).all()


def test_images_and_fixed_sizes() -> None:
    first, second = synthetic_samples(Interface(models.backbone()))
    assert first.values["images"].shape == (3, 12, 12, 3)
    assert second.values["images"].shape == (2, 12, 12, 3)
    free = synthetic_samples(Interface(models.backbone(size=None)))
    assert len({sample.values["images"].shape for sample in free}) == 2
    bytes_in = keras.Input((5, 5, 3), dtype="uint8", name="images")
    model = keras.Model(bytes_in, keras.layers.Rescaling(1 / 255)(bytes_in))
    values = synthetic_samples(Interface(model))[0].values["images"]
    assert values.dtype == np.uint8
    assert values.max() > 127


def test_a_fixed_batch_stays_fixed() -> None:
    inputs = keras.Input(batch_shape=(4, 3), name="numbers")
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    check = Check.prepare(Interface(model), None, None)
    assert [sample.values["numbers"].shape for sample in check.samples] == [(4, 3)] * 2
    assert check.input_axes() == {"numbers": (4, 3)}


# --- axis names ------------------------------------------------------------------------------


def ports(*shapes: tuple[str, tuple[int | None, ...]]) -> list[Port]:
    return [Port(name, shape, "int32") for name, shape in shapes]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([("numbers", (None, 4))], {"numbers": ("batch", 4)}),
        ([("words", (None, None))], {"words": ("batch", "length")}),
        ([("images", (None, None, None, 3))], {"images": ("batch", "height", "width", 3)}),
        (
            [("token_ids", (None, None)), ("padding_mask", (None, None)), ("age", (None, 1))],
            {
                "token_ids": ("batch", "length"),
                "padding_mask": ("batch", "length"),
                "age": ("batch", 1),
            },
        ),
        (
            [
                ("question_token_ids", (None, None)),
                ("question_padding_mask", (None, None)),
                ("answer_token_ids", (None, None)),
            ],
            {
                "question_token_ids": ("batch", "question_length"),
                "question_padding_mask": ("batch", "question_length"),
                "answer_token_ids": ("batch", "answer_length"),
            },
        ),
    ],
)
def test_input_axes(inputs: list, expected: dict) -> None:
    assert input_axes(ports(*inputs)) == expected


def test_output_axes_follow_the_sizes() -> None:
    sizes = [{"batch": 3, "length": 7}, {"batch": 2, "length": 5}]
    outputs = ports(("scores", (None, None, None, 8)))
    predictions = [{"scores": np.zeros((3, 7, 4, 8))}, {"scores": np.zeros((2, 5, 3, 8))}]
    named = output_axes(outputs, sizes, predictions)
    assert named == {"scores": ("batch", "length", "scores_2", 8)}


def test_two_towers_have_two_lengths() -> None:
    encoder = models.bert(pooling="mean")
    towers = {
        f"{side}_{name}": keras.Input((None,), dtype="int32", name=f"{side}_{name}")
        for side in ("question", "answer")
        for name in ("token_ids", "padding_mask")
    }
    vectors = [
        encoder({name: towers[f"{side}_{name}"] for name in ("token_ids", "padding_mask")})
        for side in ("question", "answer")
    ]
    model = keras.Model(towers, keras.layers.Dot(axes=-1)(vectors))
    check = Check.prepare(Interface(model), None, None)
    for sample in check.samples:
        assert sample.sizes["question_length"] != sample.sizes["answer_length"]
        for side in ("question", "answer"):
            shape = sample.values[f"{side}_token_ids"].shape
            assert shape == sample.values[f"{side}_padding_mask"].shape
    assert not check.tied
    assert not Check.prepare(check.interface, check.samples[0].values, None).tied


def test_inputs_of_other_names_that_share_a_length_are_found_to_share_it() -> None:
    names = {"words": "token_ids", "real": "padding_mask"}
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
    outputs = models.bert(pooling="mean")({names[name]: inputs[name] for name in names})
    interface = Interface(keras.Model(inputs, outputs))
    check = Check.prepare(interface, None, None)
    assert check.tied
    given = models.batch()
    named = {"words": given["token_ids"], "real": given["padding_mask"]}
    assert Check.prepare(interface, named, None).tied
    for sample in check.samples:
        assert sample.values["words"].shape == sample.values["real"].shape
    # Different names are always true; one name would be a promise that nobody made.
    assert check.input_axes()["real"] == ("batch", "real_length")


# --- names of inputs and outputs -------------------------------------------------------------


def test_names_are_those_of_keras() -> None:
    interface = Interface(models.classifier())
    assert {port.name for port in interface.inputs} == set(models.INPUTS)
    assert [port.name for port in interface.outputs] == ["scores"]
    sequential = Interface(models.dense())
    assert [port.name for port in sequential.inputs] == ["numbers"]
    assert [port.name for port in sequential.outputs] == ["result"]


def test_nested_unusual_and_repeated_names_become_unique_and_plain() -> None:
    first = keras.Input((3,), name="my-first")
    second = keras.Input((3,), name="second")
    both = keras.layers.Add(name="2nd.sum")([first, second])
    model = keras.Model([first, second], [both, both, first])
    interface = Interface(model)
    assert [port.name for port in interface.inputs] == ["my_first", "second"]
    assert [port.name for port in interface.outputs] == ["_2nd_sum", "_2nd_sum_1", "my_first_1"]
    with pytest.warns(UserWarning, match="must match the names"):
        model = keras.Model({"a": first, "b": second}, {"x": [both, first], "y": both})
    nested = Interface(model)
    assert [port.name for port in nested.inputs] == ["a", "b"]
    assert [port.name for port in nested.outputs] == ["x_0", "x_1", "y"]
    values = {"a": np.ones((1, 3), "float32"), "b": np.zeros((1, 3), "float32")}
    assert nested.predict(values)["x_1"].tolist() == [[1, 1, 1]]


# --- given inputs ----------------------------------------------------------------------------


def test_a_given_batch_is_checked_whole_and_in_part() -> None:
    given = models.batch(rows=3, length=7)
    whole, part = given_samples(Interface(models.classifier()), given)
    for name in models.INPUTS:
        np.testing.assert_array_equal(whole.values[name], given[name])
        np.testing.assert_array_equal(part.values[name], given[name][:2, :4])
    (_, doubled) = given_samples(Interface(models.dense()), np.ones((1, 4)))
    assert doubled.values["numbers"].shape == (2, 4)


def test_ids_of_another_integer_type_are_taken() -> None:
    given = {name: array.astype("int64") for name, array in models.batch().items()}
    whole, _ = given_samples(Interface(models.classifier()), given)
    assert whole.values["token_ids"].dtype == np.int32


def test_a_list_and_names_are_taken_by_a_model_of_a_list() -> None:
    first, second = keras.Input((2,), name="first"), keras.Input((2,), name="second")
    interface = Interface(keras.Model([first, second], first - second))
    ones, zeros = np.ones((1, 2), "float32"), np.zeros((1, 2), "float32")
    listed = given_samples(interface, [ones, zeros])[0].values
    named = given_samples(interface, {"second": zeros, "first": ones})[0].values
    assert listed["first"].tolist() == named["first"].tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token_ids": None}, "not an array|must have the shape"),
        ({"extra": np.ones((3, 7), "int32")}, "Received: .*extra"),
        ({"token_ids": np.ones((3,), "int32")}, "'token_ids'.*shape"),
        ({"token_ids": np.ones((0, 7), "int32")}, "'token_ids'.*at least one row"),
        ({"token_ids": np.full((3, 7), 0.5)}, "'token_ids'.*int32.*float64"),
        ({"token_ids": np.full((3, 7), 2**40)}, "'token_ids'.*int32.*int64"),
        ({"token_ids": np.full((3, 7), "word")}, "'token_ids'"),
        ({"segment_ids": np.zeros((3, 8), "int32")}, "length 8|length 7"),
        ({"token_ids": np.full((3, 7), models.VOCABULARY, "int32")}, "itself fails"),
    ],
)
def test_wrong_inputs_are_named(change: dict, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        Check.prepare(Interface(models.classifier()), {**models.batch(), **change}, None)


def test_a_missing_input_is_named() -> None:
    given = models.batch()
    del given["padding_mask"]
    with pytest.raises(ExportError, match=r"padding_mask.*Received: token_ids, segment_ids"):
        Check.prepare(Interface(models.classifier()), given, None)


def test_a_model_that_fails_on_made_up_inputs_asks_for_real_ones() -> None:
    inputs = keras.Input((None, None, 3), name="images")
    # The made-up image is too small for this network.
    outputs = keras.layers.Conv2D(2, 3, strides=200, name="conv")(inputs)
    outputs = keras.layers.Conv2D(2, 3)(outputs)
    with pytest.raises(ExportError, match=r"`inputs=`"):
        Check.prepare(Interface(keras.Model(inputs, outputs)), None, None)
