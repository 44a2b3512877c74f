"""FrozenBackbone over image networks and their presets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import applications
from keras_pretrained.layers import FrozenBackbone
from keras_pretrained.presets import SourceError
from tests.layers.layer_test import to_numpy

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype("uint8")
PRESET = "mobilenet-v1-0.25-128"


@pytest.fixture(scope="module")
def network() -> Any:
    return applications.MobileNetV1(weights=None, alpha=0.25, include_top=False)


@pytest.fixture(scope="module")
def backbone(network: Any) -> FrozenBackbone:
    return FrozenBackbone(network, trainable_from="Conv2d_12", pooling="avg")


def test_the_stages_are_the_published_ones(network: Any, backbone: FrozenBackbone) -> None:
    names = [stage.name for stage in backbone.stages]
    assert names == [stage.name for stage in network.stages]
    assert names[0] == "stem"
    assert names[-1] == "Conv2d_13"
    assert {variable.path.split("_")[1] for variable in backbone.trainable_variables} == {
        "12",
        "13",
    }
    # The object given keeps its own depth and its own weights.
    assert network.trainable_from == 0
    assert not {id(v) for v in network.weights} & {id(v) for v in backbone.weights}


def test_features_are_those_of_the_network(network: Any, backbone: FrozenBackbone) -> None:
    expected = to_numpy(network(IMAGES))
    np.testing.assert_allclose(to_numpy(backbone(IMAGES)), expected.mean((1, 2)), atol=1e-6)
    found = to_numpy(backbone.features(IMAGES))
    assert list(found) == [stage.name for stage in backbone.stages]
    np.testing.assert_allclose(found["Conv2d_13"], expected, atol=1e-6)
    ends = to_numpy(network.features(IMAGES))
    np.testing.assert_allclose(found["Conv2d_5"], ends["Conv2d_5_pointwise"], atol=1e-6)
    pyramid = backbone.features(keras.Input((64, 64, 3)))
    assert pyramid["Conv2d_5"].shape == (None, 8, 8, 64)


def test_training_leaves_the_frozen_part_and_all_statistics(
    backbone: FrozenBackbone, tmp_path: Path
) -> None:
    before = {variable.path: to_numpy(variable).copy() for variable in backbone.weights}
    inputs = keras.Input((64, 64, 3), dtype="uint8")
    model = keras.Model(inputs, keras.layers.Dense(2, name="task")(backbone(inputs)))
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(IMAGES, np.ones((4, 2)), verbose=0)
    moved = [v.path for v in backbone.weights if not np.array_equal(before[v.path], to_numpy(v))]
    assert moved
    assert all(path.startswith(("Conv2d_12", "Conv2d_13")) for path in moved)
    assert not [path for path in moved if "moving" in path]
    prefix, suffix = backbone.split()
    np.testing.assert_allclose(
        to_numpy(suffix(prefix(IMAGES))), to_numpy(backbone(IMAGES)), atol=1e-6
    )

    # Another process, which knows the layers only, and has no files and no network.
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", IMAGES)
    code = """
import json, sys, keras, numpy as np
import keras_pretrained.layers
folder = sys.argv[1]
model = keras.models.load_model(f"{folder}/model.keras")
backbone = model.layers[1]
result = keras.ops.convert_to_numpy(model(np.load(f"{folder}/images.npy")))
print(json.dumps([result.tolist(), backbone.trainable_from, len(model.trainable_variables)]))
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    result, depth, trainable = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(result, to_numpy(model(IMAGES)), atol=1e-6)
    assert depth == "Conv2d_12"
    assert trainable == len(model.trainable_variables)


def test_a_preset_brings_its_architecture_and_scaling() -> None:
    backbone = FrozenBackbone(PRESET, weights=None, pooling="max", trainable_from=-1)
    assert backbone.model.plan.options["alpha"] == 0.25
    assert backbone.model.plan.scaling == "inception"
    assert backbone(IMAGES).shape == (4, 256)
    plain = FrozenBackbone(PRESET, weights=None, preprocessing=False, include_top=True)
    assert plain.model.plan.scaling is None
    assert plain.stages[-1].name == "logits"
    # Those of a preset of another form: the same paper, other numbers.
    other = FrozenBackbone("resnet-50-torchvision", weights=None)
    assert [stage.name for stage in other.stages][1:] == [f"layer{n}" for n in range(1, 5)]


def test_a_preset_loads_its_own_file(monkeypatch: Any, tmp_path: Path) -> None:
    # Its sibling for larger images has the same architecture and other weights.
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_PRETRAINED_OFFLINE", "1")
    with pytest.raises(SourceError, match=PRESET):
        FrozenBackbone(PRESET)
    network = applications.MobileNetV1(weights=None, alpha=0.25)
    (tmp_path / PRESET).mkdir()
    network.save_weights_as(tmp_path / PRESET / "mobilenet_v1_0.25_128.ckpt")
    backbone = FrozenBackbone(PRESET)
    assert backbone.model.plan.preset == PRESET
    assert backbone.load_report is not None
    np.testing.assert_array_equal(
        to_numpy(backbone.model.get_layer("Conv2d_13_pointwise").kernel),
        to_numpy(network.get_layer("Conv2d_13_pointwise").kernel),
    )
