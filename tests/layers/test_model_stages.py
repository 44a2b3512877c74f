"""FrozenBackbone over graphs of every shape, against the model that it was made from."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import FrozenBackbone
from keras_pretrained.weights import WeightsError
from tests.layers.layer_test import to_numpy
from tests.layers.toys import branched_model

VECTORS = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
layers = keras.layers


def with_shared_layers() -> keras.Model:
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4), layers.Dropout(0.5), layers.BatchNormalization()],
        name="inner",
    )
    shared = layers.Dense(4, name="shared")
    inputs = keras.Input((4,))
    x = inner(shared(inner(shared(inputs))))
    return keras.Model(inputs, layers.Dense(2, name="tail")(x * 2 + 1))


def with_normalizations_first() -> keras.Model:
    inputs = keras.Input((4,))
    x = layers.Normalization(mean=1.0, variance=2.0)(inputs)
    x = layers.Dense(3, name="root")(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(2, name="tail")(layers.PReLU()(x)))


def sequential() -> keras.Model:
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="root"), layers.Dense(2, name="tail")]
    )


@pytest.mark.parametrize(
    ("make", "stages"),
    [
        (with_shared_layers, ["shared", "inner", "tail"]),
        (with_normalizations_first, ["root", "tail"]),
        (sequential, ["root", "tail"]),
    ],
)
def test_the_backbone_is_the_model(make: Any, stages: list[str]) -> None:
    model = make()
    backbone = FrozenBackbone(model, trainable_from="tail")
    assert [stage.name for stage in backbone.stages] == stages
    assert {v.path for v in backbone.trainable_variables} == {"tail/kernel", "tail/bias"}
    expected = to_numpy(model(VECTORS))
    np.testing.assert_array_equal(to_numpy(backbone(VECTORS)), expected)
    prefix, suffix = backbone.split()
    np.testing.assert_array_equal(to_numpy(suffix(prefix(VECTORS))), expected)
    np.testing.assert_array_equal(to_numpy(backbone(VECTORS, training=True)), expected)


@pytest.mark.filterwarnings("error:.*mask")
def test_masks_pass_from_stage_to_stage() -> None:
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(inputs)
    x = layers.SimpleRNN(4)(layers.SimpleRNN(4, return_sequences=True)(x))
    model = keras.Model(inputs, x)
    ids = np.array([[1, 2, 3], [4, 0, 0]])
    found = to_numpy(FrozenBackbone(model)(ids))
    np.testing.assert_array_equal(found, to_numpy(model(ids)))
    np.testing.assert_allclose(found[1:], to_numpy(model(ids[1:, :1])), atol=1e-6)


def test_a_feature_is_the_output_of_its_own_stage() -> None:
    inputs = keras.Input((4,))
    first = layers.Dense(5, name="first")(inputs)
    left = layers.Dense(2, name="left")(first)
    # Runs behind `first`, and belongs to its stage, but reads the input.
    right = layers.Dense(2, name="right")(layers.Rescaling(2.0)(inputs))
    model = keras.Model(inputs, layers.Add()([left, right]))
    found = FrozenBackbone(model).features(VECTORS)
    reference = keras.Model(inputs, first)
    np.testing.assert_array_equal(to_numpy(found["first"]), to_numpy(reference(VECTORS)))


def test_weights_outside_the_graph_are_left_alone() -> None:
    class WithMore(keras.Model):
        def __init__(self) -> None:
            inputs = keras.Input((4,))
            super().__init__(inputs, layers.Dense(2)(inputs))
            self.more = layers.Dense(3)
            self.more.build((None, 4))

    model = WithMore()
    np.testing.assert_array_equal(
        to_numpy(FrozenBackbone(model)(VECTORS)), to_numpy(model(VECTORS))
    )


def test_the_source_keeps_its_precision() -> None:
    model = branched_model()
    images = np.random.default_rng(0).uniform(0, 255, (2, 6, 6, 3)).astype("float32")
    backbone = FrozenBackbone(model, dtype="mixed_bfloat16")
    np.testing.assert_array_equal(to_numpy(backbone(images)), to_numpy(model(images)))


def test_a_configuration_may_be_used_twice() -> None:
    config = FrozenBackbone(branched_model()).get_config()
    FrozenBackbone.from_config(config)
    assert FrozenBackbone.from_config(config).get_config()["source"] == config["source"]


def test_what_has_no_stage_or_no_dialect_says_so(tmp_path: Any) -> None:
    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match="other than a normalisation"):
        FrozenBackbone(keras.Model(inputs, layers.BatchNormalization()(inputs)))
    np.savez(tmp_path / "weights.npz", a=np.zeros(2))
    with pytest.raises(WeightsError, match="no dialects"):
        FrozenBackbone(branched_model()).load_weights_from(tmp_path / "weights.npz")
