"""`FrozenBackbone` around SavedModels, and the SavedModels that our own layers read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.checkpoints import open_checkpoint
from keras_pretrained.layers import BertEncoder, ElmoEmbedding, FrozenBackbone, SavedModelLayer
from keras_pretrained.layers.saved_model import ModuleError, native_layer
from tests.layers.layer_test import to_numpy
from tests.layers.saved_models import FOLDER, expected, model_of, texts

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's graphs run on TensorFlow", allow_module_level=True)

import tensorflow as tf

GOLDENS = FOLDER.parent
BERT = GOLDENS / "bert_tf_models" / "saved_model"


@pytest.mark.parametrize("kept", [True, False])
def test_backbone_around_a_module(kept):
    backbone = FrozenBackbone(str(FOLDER / "tf2_text"), keep_statistics=kept, name="backbone")
    assert isinstance(backbone.model, SavedModelLayer)
    assert [stage.name for stage in backbone.stages] == ["module"]
    assert not backbone.trainable_weights
    model = model_of(backbone, 2)
    model.compile("adam", "mse")
    before = backbone.get_weights()
    model.train_on_batch(texts(), np.ones((4, 2)))
    np.testing.assert_array_equal(backbone.get_weights()[0], before[0])
    backbone.trainable_from = 0
    model.compile("adam", "mse")
    model.train_on_batch(texts(), np.ones((4, 2)))
    assert np.abs(backbone.get_weights()[0] - before[0]).max() > 1e-4
    # Its function for training counts the steps.
    assert backbone.get_weights()[1] == (0 if kept else 1)


def test_backbone_splits_and_names_outputs():
    backbone = FrozenBackbone(str(FOLDER / "keras2"), output="hidden")
    inputs = {name: expected()[f"keras2_{name}"] for name in ("left", "right")}
    prefix, suffix = backbone.split()
    np.testing.assert_array_equal(suffix(prefix(inputs)), backbone(inputs))
    assert set(backbone.features(inputs)) == {"hidden", "logits"}


def test_depths_of_a_module_are_all_or_nothing():
    for depth in (None, 1):
        assert not FrozenBackbone(str(FOLDER / "tf2_text"), trainable_from=depth).trainable_weights
    for depth in (0, "module", -1):
        assert FrozenBackbone(str(FOLDER / "tf2_text"), trainable_from=depth).trainable_weights
    with pytest.raises(ValueError, match="trainable stage: module"):
        FrozenBackbone(str(FOLDER / "tf2_text"), trainable_from=2)
    with pytest.raises(ValueError, match=r"pools by itself"):
        FrozenBackbone(str(FOLDER / "tf2_text"), pooling="avg")


def test_signature_of_tf1_as_a_backbone():
    backbone = FrozenBackbone(FOLDER / "tf1_text", trainable_from=0, output="default")
    np.testing.assert_allclose(backbone(texts()), expected()["tf1_text_default"], atol=1e-6)
    every = backbone.features(texts())
    np.testing.assert_allclose(every["averaged"], expected()["tf1_text_averaged"], atol=1e-6)
    assert len(backbone.trainable_weights) == 4


def test_statistics_of_a_module_are_kept_unless_asked_otherwise(tmp_path):
    inputs = {name: expected()[f"keras2_{name}"] for name in ("left", "right")}
    for kept in (True, False):
        backbone = FrozenBackbone(
            FOLDER / "keras2", trainable_from=0, keep_statistics=kept, output="hidden"
        )
        model = model_of(backbone)
        model.compile("sgd", "mse", jit_compile=False)
        before = [np.array(each) for each in backbone.model.non_trainable_weights]
        trained = backbone.model.trainable_weights[0].numpy()
        model.train_on_batch(inputs, np.eye(3))
        after = backbone.model.non_trainable_weights
        same = all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
        assert same == kept
        assert np.abs(backbone.model.trainable_weights[0].numpy() - trained).max() > 1e-4
        model.save(tmp_path / "model.keras")
        reloaded = keras.saving.load_model(tmp_path / "model.keras")
        assert reloaded.layers[-1].model.keep_statistics == kept


def stored_variables(folder: Path) -> list[Any]:
    return list(open_checkpoint(folder).values())


def test_known_variables_are_loaded_natively():
    assert native_layer(BERT) is BertEncoder
    backbone = FrozenBackbone(str(BERT), trainable_from="layer_1")
    assert isinstance(backbone.model, BertEncoder)
    assert [stage.name for stage in backbone.stages][:2] == ["stem", "layer_0"]
    assert backbone.model.load_report is not None


def test_elmo_of_tf_hub_is_loaded_natively(tmp_path):
    """The module's graph is TF1's; only its variables are read."""
    golden = ElmoEmbedding(GOLDENS / "elmo", hidden_layers=2)
    golden.save_weights_as(tmp_path / "model.ckpt", dialect="tf-hub")
    # As TF-Hub's module, this checkpoint has no options: its clips are those of the original.
    original = ElmoEmbedding(tmp_path / "model.ckpt", hidden_layers=2)
    variables = tmp_path / "module" / "variables"
    variables.mkdir(parents=True)
    for path in tmp_path.glob("model.ckpt.*"):
        path.rename(variables / path.name.replace("model.ckpt", "variables"))
    shutil.copy(FOLDER / "tf1_text" / "saved_model.pb", tmp_path / "module")
    assert native_layer(tmp_path / "module") is ElmoEmbedding
    backbone = FrozenBackbone(tmp_path / "module", trainable_from="layer_1", hidden_layers=2)
    assert [stage.name for stage in backbone.stages] == ["stem", "layer_0", "layer_1"]
    sentences = ["the cat sat", "a dog"]
    np.testing.assert_allclose(
        to_numpy(backbone(sentences)), to_numpy(original(sentences)), atol=1e-6
    )


@pytest.mark.parametrize("module", ["tf1_text", "tf1_references", "tf2_text", "keras2"])
def test_unknown_variables_are_not(module):
    assert native_layer(FOLDER / module) is None


def test_native_needs_all_variables(tmp_path):
    shutil.copytree(BERT, tmp_path / "copy")
    saved = tf.train.Checkpoint(classifier=tf.Variable([1.0], name="classifier"))
    tf.saved_model.save(saved, str(tmp_path / "other"))
    assert native_layer(tmp_path / "copy") is BertEncoder
    assert native_layer(tmp_path / "other") is None
    assert native_layer(tmp_path / "nothing") is None
    (tmp_path / "file").write_bytes(b"x")
    assert native_layer(tmp_path / "file") is None


def test_info_names_the_native_layer(tmp_path):
    variables = {
        each.name: tf.Variable(np.zeros(each.shape, "float32"), name=each.name)
        for each in stored_variables(BERT)
    }
    saved = tf.train.Checkpoint(variables=list(variables.values()))
    signature = [tf.TensorSpec([None, 2])]
    saved.__call__ = tf.function(lambda x: x, input_signature=signature)
    tf.saved_model.save(saved, str(tmp_path / "bert"))
    advice = "Its variables are those of a BertEncoder, which trains at any depth: use that."
    assert SavedModelLayer(tmp_path / "bert").info.endswith(advice)
    with pytest.raises(ModuleError, match=f"has no variables.*{advice}"):
        SavedModelLayer(tmp_path / "bert", trainable=True)
