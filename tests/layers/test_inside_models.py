"""Pretrained layers inside models of the user's own, and what reaches into them from outside."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import safetensors.numpy

from keras_pretrained.layers import BertEncoder
from keras_pretrained.weights import WeightsError
from tests.layers.layer_test import to_numpy
from tests.layers.toys import make_bert

HF = Path(__file__).parents[1] / "goldens" / "bert_hf" / "erf"
IDS = np.array([[2, 5, 6, 7, 3], [2, 9, 3, 0, 0]], "int32")


@pytest.mark.parametrize("trainable_from", [0, 1, None])
def test_a_frozen_stage_leaves_the_dropout_behind_it_on(trainable_from: Any) -> None:
    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = make_bert(trainable_from=trainable_from)
            self.dropout = keras.layers.Dropout(0.5)

        def call(self, ids: Any) -> Any:
            return self.dropout(self.encoder(ids))

    model = Model()
    assert (to_numpy(model(IDS, training=True)) == 0).any()
    assert (to_numpy(model(IDS, training=False)) != 0).all()


def test_blocks_behind_the_last_selected_one_do_not_train() -> None:
    encoder = make_bert(hidden_layers=-2, pooling="mean")
    unused = encoder.stages[3].layers[0]
    assert not unused.trainable_variables
    assert len(encoder.stages[2].layers[0].trainable_variables) == 16
    before = [to_numpy(v).copy() for v in unused.weights]
    model = keras.Model(inputs := keras.Input((None,), dtype="int32"), encoder(inputs))
    model.compile(keras.optimizers.AdamW(0.1, weight_decay=0.1), "mse", jit_compile=False)
    model.fit(IDS, np.zeros((2, encoder.hidden_size)), verbose=0)
    for variable, old in zip(unused.weights, before, strict=True):
        np.testing.assert_array_equal(to_numpy(variable), old)
    assert len(encoder.features(IDS)["hidden_states"]) == 4


def test_a_slice_set_trainable_keeps_the_depth() -> None:
    encoder = make_bert(trainable_from=1)
    expected = {v.path for v in encoder.trainable_variables}
    for part in encoder.split():
        part.trainable = False
        part.trainable = True
        assert {v.path for v in encoder.trainable_variables} == expected


@pytest.mark.parametrize("dialect", ["hf", "google"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_a_written_folder_keeps_the_casing(dialect: str, lowercase: bool, tmp_path: Path) -> None:
    folder = BertEncoder(HF, lowercase=lowercase).save_weights_as(tmp_path / "written", dialect)
    assert BertEncoder(folder).tokenizer.lowercase is lowercase


def test_quantised_tensors_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "quantised"
    shutil.copytree(HF, folder)
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("0.attention.self.query.weight"))
    tensors[name] = tensors[name].astype("int8")
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=r"expected floating-point values.*query.weight int8"):
        BertEncoder(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a `source`"),
        ({"architecture": {"num_layers": 2}}, "Missing: vocabulary_size, num_heads"),
        ({"source": HF, "architecture": {"layers": 2}}, "Unknown: layers"),
        ({"source": HF, "architecture": {"num_heads": 0}}, "multiple of num_heads"),
    ],
    ids=str,
)
def test_a_wrong_architecture_says_what_is_wrong(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BertEncoder(**arguments)
