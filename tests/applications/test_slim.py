"""Image networks in TensorFlow-Slim's checkpoints, against TensorFlow-Slim's own graphs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import applications
from keras_pretrained.checkpoints.writing import write_checkpoint
from tests.applications.test_slim_fixtures import end_points
from tests.goldens import slim_values

GOLDENS = Path(__file__).parents[1] / "goldens" / "slim"
NETWORKS = {
    "inception_v1": "InceptionV1",
    "inception_v2": "InceptionV2",
    "inception_v3": "InceptionV3",
    "resnet_v1_50": "ResNetV1_50",
    "resnet_v2_50": "ResNetV2_50",
}
QUICK = ("inception_v1", "resnet_v1_50")
# What has no layer of its own here: probabilities, the logits in another shape, and a head that is
# for training alone.
_ELSEWHERE = {"Predictions", "predictions", "Logits", "logits", "PreLogits", "AuxLogits"}


def write_v1(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    """The one file of 2016, as TensorFlow itself writes it."""
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.raw_ops.Save(
        filename=str(path), tensor_names=list(tensors), data=list(tensors.values())
    )
    return path


def networks() -> list[Any]:
    marks = {name: () if name in QUICK else (pytest.mark.exhaustive,) for name in NETWORKS}
    return [pytest.param(name, marks=each) for name, each in marks.items()]


@pytest.mark.parity
@pytest.mark.parametrize("network", networks())
def test_every_end_point_equals_slims(network: str, tmp_path: Path, parity: Any) -> None:
    golden = np.load(GOLDENS / f"{network}.npz")
    shapes = {name: tuple(shape) for name, shape in map(json.loads, golden["variables"])}
    tensors = {name: slim_values.value(name, shape) for name, shape in shapes.items()}
    tensors["global_step"] = np.array(1, "int64")
    path = tmp_path / f"{network}.ckpt"
    # The published files of 2016 are of the first format, those of later years of the second.
    if network == "inception_v1":
        write_v1(path, tensors)
    else:
        write_checkpoint(path, tensors, "tf-bundle")
    size = int(golden["size"])
    model = getattr(applications, NETWORKS[network])(
        weights=path, input_shape=(size, size, 3), preprocessing=False, classifier_activation=None
    )
    assert model.output_shape == (None, slim_values.CLASSES)
    used = {name for names in model.load_report.loaded.values() for name in names}
    assert used | set(model.load_report.ignored) == set(tensors)

    ours = end_points(model)
    names = [name.removeprefix(f"{network}/") for name, _ in map(json.loads, golden["ends"])]
    wanted = [place for place, name in enumerate(names) if name not in _ELSEWHERE]
    assert [names[place] for place in wanted if names[place] not in ours] == []
    outputs = [model.end_points["logits"], *(ours[names[place]] for place in wanted)]
    logits, *found = keras.Model(model.input, outputs)(slim_values.images(size))
    row = parity(f"{network.partition('_')[0]}/slim")
    for place, tensor in zip(wanted, found, strict=True):
        values = keras.ops.convert_to_numpy(tensor)
        assert list(values.shape) == json.loads(golden["ends"][place])[1]
        row.close("end points", slim_values.sample(values), golden["samples"][place])
    row.close("logits", keras.ops.convert_to_numpy(logits), golden["logits"])
