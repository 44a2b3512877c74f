"""Patterns, loading and writing: every tensor of both sides is accounted for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.checkpoints import Checkpoint
from keras_pretrained.checkpoints.checkpoint import LazyArray
from keras_pretrained.weights import (
    Rule,
    WeightMap,
    WeightReader,
    WeightsError,
    load_weights,
    save_weights,
    select_map,
)
from keras_pretrained.weights.transforms import TRANSPOSE, Fuse, Split

MAP = WeightMap(
    "toy",
    (
        Rule("table", "words"),
        Rule("layer_{i}/kernel", "block_{i+1}.weight", TRANSPOSE),
        Rule("layer_{i}/gamma", "block_{i+1}.scale"),
        Rule("layer_{i}/gamma", "block_{i+1}.gamma"),
        Rule(("layer_{i}/query", "layer_{i}/key"), "block_{i+1}.both", Split(1, 2)),
        Rule("head", ("head_a", "head_b"), Fuse(0, 2)),
        Rule("top", "block_{num_layers+1}.top"),
    ),
    ignore={r"step": "the training step", r".*/slot": "an optimizer slot"},
    prefixes=("", "net."),
)
DIMS = {"num_layers": 2}


class Variable:
    def __init__(self, shape: tuple[int, ...], dtype: str = "float32") -> None:
        self.shape, self.dtype, self.value = shape, dtype, None

    def assign(self, value: np.ndarray) -> None:
        self.value = value


def checkpoint(arrays: dict[str, np.ndarray]) -> Checkpoint:
    lazy = {
        name: LazyArray(name, array.shape, array.dtype, lambda array=array: array.copy())
        for name, array in arrays.items()
    }
    return Checkpoint(Path("toy.file"), "toy", lazy)


def tensors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"words": (5, 4), "head_a": (1, 4), "head_b": (1, 4), "block_3.top": (2,)}
    for i in (1, 2):
        shapes |= {f"block_{i}.weight": (3, 4), f"block_{i}.scale": (4,), f"block_{i}.both": (4, 6)}
    return {name: random.normal(size=shape).astype("float32") for name, shape in shapes.items()}


def variables() -> dict[str, Variable]:
    found = {"table": Variable((5, 4)), "head": Variable((2, 4)), "top": Variable((2,))}
    for i in (0, 1):
        found[f"layer_{i}/kernel"] = Variable((4, 3))
        found[f"layer_{i}/gamma"] = Variable((4,))
        found[f"layer_{i}/query"] = Variable((4, 3))
        found[f"layer_{i}/key"] = Variable((4, 3))
    return found


def test_every_variable_gets_its_tensor() -> None:
    stored, ours = tensors(), variables()
    report = load_weights(ours, checkpoint(stored | {"step": np.array(3)}), MAP, DIMS)
    np.testing.assert_array_equal(ours["layer_1/kernel"].value, stored["block_2.weight"].T)
    np.testing.assert_array_equal(ours["layer_0/key"].value, stored["block_1.both"][:, 3:])
    np.testing.assert_array_equal(ours["head"].value[1], stored["head_b"][0])
    np.testing.assert_array_equal(ours["top"].value, stored["block_3.top"])
    assert set(report.loaded) == set(ours)
    assert report.ignored == {"step": "the training step"}
    assert "11 variables loaded, 1 tensors ignored" in str(report)


def test_saving_gives_back_names_shapes_and_bits() -> None:
    stored, ours = tensors(), variables()
    load_weights(ours, checkpoint(stored), MAP, DIMS)
    written = save_weights({name: v.value for name, v in ours.items()}, MAP, DIMS)
    assert written.keys() == stored.keys()
    for name, array in stored.items():
        assert written[name].tobytes() == array.tobytes()
        assert written[name].flags.c_contiguous


def test_saving_keeps_the_spelling_that_was_loaded() -> None:
    stored, ours = tensors(), variables()
    stored["net.block_1.gamma"] = stored.pop("block_1.scale")
    report = load_weights(ours, checkpoint(stored), MAP, DIMS)
    values = {name: v.value for name, v in ours.items()}
    assert save_weights(values, MAP, DIMS, report.loaded).keys() == stored.keys()


def test_one_error_lists_everything_and_nothing_is_assigned() -> None:
    stored, ours = tensors(), variables()
    del stored["words"]
    stored["block_1.gamma"] = stored["block_1.scale"]
    stored["block_2.weight"] = np.zeros((7, 4), "float32")
    stored["stranger"] = np.zeros(1)
    with pytest.raises(WeightsError) as caught:
        load_weights(ours, checkpoint(stored), MAP, DIMS)
    text = str(caught.value)
    assert "table: expected words or net.words" in text
    assert "layer_0/gamma: ['block_1.scale'] and ['block_1.gamma']" in text
    assert "layer_1/kernel: expected shape [4, 3], received [4, 7]" in text
    assert "Tensors that nothing uses (1):\n  stranger" in text
    assert all(variable.value is None for variable in ours.values())


def test_prefixed_and_plain_names_together_are_ambiguous() -> None:
    stored = tensors()
    stored["net.words"] = stored["words"]
    with pytest.raises(WeightsError, match=r"table: \['words'\] and \['net.words'\]"):
        load_weights(variables(), checkpoint(stored), MAP, DIMS)


def test_a_transform_that_does_not_fit_is_reported_with_its_tensor() -> None:
    stored = tensors()
    stored["block_1.both"] = np.zeros((4, 5), "float32")
    with pytest.raises(WeightsError, match=r"layer_0/query: block_1.both float32\[4, 5\]"):
        load_weights(variables(), checkpoint(stored), MAP, DIMS)


def test_a_variable_without_a_rule_is_an_error_both_ways() -> None:
    ours = variables() | {"extra": Variable((1,))}
    with pytest.raises(WeightsError, match="extra: no rule"):
        load_weights(ours, checkpoint(tensors()), MAP, DIMS)
    with pytest.raises(WeightsError, match="extra: no rule"):
        save_weights({"extra": np.zeros(1)}, MAP, DIMS)
    with pytest.raises(WeightsError, match="written together with layer_0/key"):
        save_weights({"layer_0/query": np.zeros((4, 3))}, MAP, DIMS)


def test_values_take_the_variable_dtype_and_are_not_shared() -> None:
    stored, ours = tensors(), variables()
    ours["table"].dtype = "float16"
    reader = WeightReader(checkpoint(stored), MAP, DIMS)
    array = reader.read("table", (5, 4))
    assert array is not None
    assert not array.flags.writeable
    load_weights(ours, checkpoint(stored), MAP, DIMS)
    assert ours["table"].value.dtype == np.float16


def test_the_dialect_is_told_from_the_names() -> None:
    other = WeightMap("other", (Rule("table", "embedding"),))
    assert select_map(checkpoint(tensors()), (other, MAP), DIMS).dialect == "toy"
    assert select_map(checkpoint(tensors()), (other, MAP), DIMS, "other").dialect == "other"
    with pytest.raises(WeightsError, match="'other', 'toy'"):
        select_map(checkpoint({"nothing": np.zeros(1)}), (other, MAP), DIMS)
    with pytest.raises(WeightsError, match="Unknown dialect"):
        select_map(checkpoint(tensors()), (other, MAP), DIMS, "klingon")
    twin = WeightMap("twin", MAP.rules)
    with pytest.raises(WeightsError, match="equally well: 'toy', 'twin'"):
        select_map(checkpoint(tensors()), (MAP, twin), DIMS)
