"""`check`: a depth that has changed since `compile` is an error."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_pretrained import finetune
from tests.finetune.networks import classifier, dense_backbone, vectors


def test_a_depth_that_changed_after_compile_is_an_error() -> None:
    network = dense_backbone(2, trainable_from="dense_1")
    model = classifier(network)
    finetune.check(model)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    # Nothing has been trained with the old depth yet.
    network.trainable_from = 0
    finetune.check(model)
    model.train_on_batch(*vectors())
    finetune.check(model)
    network.trainable_from = None
    with pytest.raises(ValueError, match=r"'backbone' \(trainable_from=None\) has changed.*again"):
        finetune.check(model)
    network.trainable_from = 0
    with pytest.raises(ValueError, match="`compile"):
        finetune.check(model)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    finetune.check(model)


def test_a_layer_that_was_frozen_by_hand_is_found() -> None:
    network = dense_backbone(2)
    model = classifier(network, keras.optimizers.SGD())
    model.optimizer.apply(
        [np.zeros(v.shape, "float32") for v in model.trainable_variables],
        model.trainable_variables,
    )
    finetune.check(model)
    network.stages[0].layers[0].trainable = False
    assert model.compiled
    with pytest.raises(ValueError, match="'backbone'"):
        finetune.check(model)


def test_a_model_without_a_pretrained_network_is_an_error() -> None:
    with pytest.raises(ValueError, match="a model that holds one"):
        finetune.check(keras.Sequential([keras.layers.Dense(1)]))
