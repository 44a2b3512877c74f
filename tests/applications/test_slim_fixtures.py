"""What research/slim computed, and a network that was trained on ImageNet, through the public path.

The inputs lie beside a checkout, not in it; a clone without them has the goldens of test_slim.py.
"""

from __future__ import annotations

import io
import json
import runpy
import tarfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import applications
from keras_pretrained.checkpoints.writing import write_checkpoint

SHARED = Path(__file__).parents[3] / "shared"
NETWORKS = {
    "mobilenet_v1_0.25_128": ("MobileNetV1", {"alpha": 0.25, "input_shape": (128, 128, 3)}),
    "mobilenet_v2_1.0_224": ("MobileNetV2", {}),
    "inception_v1": ("InceptionV1", {}),
    "inception_v3": ("InceptionV3", {}),
    "inception_v4": ("InceptionV4", {}),
    "inception_resnet_v2": ("InceptionResNetV2", {}),
    "resnet_v1_50": ("ResNetV1_50", {}),
    "resnet_v2_50": ("ResNetV2_50", {}),
    "vgg_16": ("VGG16", {}),
    "nasnet_mobile": ("NASNetMobile", {}),
    "pnasnet_large": ("PNASNetLarge", {}),
}
# Behind the last feature map: the logits are compared by themselves, and what slim has in another
# shape, or for training alone, is not.
NOT_COMPARED = {
    *("Logits", "logits", "Predictions", "predictions", "AuxLogits"),
    *("global_pool", "AvgPool_1a", "PreLogits", "PreLogitsFlatten", "spatial_squeeze", "fc8"),
}
QUICK = ("mobilenet_v1_0.25_128",)


def networks() -> list[Any]:
    slow = {name: () if name in QUICK else (pytest.mark.exhaustive,) for name in NETWORKS}
    return [pytest.param(name, marks=marks) for name, marks in slow.items()]


def fixture(name: str) -> Path:
    folder = SHARED / "fixtures" / name
    if not folder.exists():
        pytest.skip(f"absent: {name}")
    return folder


def end_points(model: Any) -> dict[str, Any]:
    """Name in slim -> tensor: the named results, and the output of every convolution."""
    found = {}
    for layer in model.layers:
        for suffix in (".relu", ".BatchNorm", ""):
            if layer.name.endswith(suffix):
                name = layer.name.removesuffix(suffix).replace(".", "/")
                # Of a convolution's layers the last one is its result.
                found[name] = layer.output
                break
    return {**found, **{k.replace(".", "/"): v for k, v in model.end_points.items()}}


@pytest.mark.parity
@pytest.mark.parametrize("name", networks())
def test_every_end_point_equals_the_original(name: str, tmp_path: Path) -> None:
    folder = fixture(f"slim/{name}")
    rules = runpy.run_path(str(folder.parent / "values.py"))
    scales = json.loads((folder / "scalars.json").read_text())
    shapes = json.loads((folder / "vars.json").read_text())
    make = rules["var_value"]
    tensors = {key: make(key, shape, scales.get(key, 1.0)) for key, shape in shapes}
    tensors["global_step"] = np.int64(1)
    builder, options = NETWORKS[name]
    path = write_checkpoint(tmp_path / "model.ckpt", tensors, "tf-bundle")
    model = getattr(applications, builder)(
        weights=path, preprocessing=False, classifier_activation=None, **options
    )
    images = rules["make_input"](rules["SIZES"][name])
    expected = np.load(folder / "outputs.npz")
    names = [str(each) for each in expected["ep_names"]]
    root = f"{name}/"
    ours = end_points(model)
    tensors_of = {}
    for place, each in enumerate(names):
        tensor = ours.get(each.removeprefix(root))
        if tensor is not None and tuple(tensor.shape[1:]) == tuple(
            expected[f"ep{place:03d}_shape"][1:]
        ):
            tensors_of[place] = tensor
    results = keras.Model(model.input, [model.end_points["logits"], *tensors_of.values()])
    logits, *found = results.predict(images, verbose=0)
    scale = np.abs(expected["logits"]).max()
    np.testing.assert_allclose(logits, expected["logits"], atol=2e-5 * scale)
    for place, array in zip(tensors_of, found, strict=True):
        sample = expected[f"ep{place:03d}_sample"]
        values = array.reshape(-1)[expected[f"ep{place:03d}_sample_idx"]]
        np.testing.assert_allclose(
            values, sample, atol=1e-4 * np.abs(sample).max(), err_msg=names[place]
        )
    missed = {
        each.removeprefix(root) for place, each in enumerate(names) if place not in tensors_of
    }
    assert missed <= NOT_COMPARED


@pytest.mark.parity
def test_a_trained_network_in_its_archive() -> None:
    folder = fixture("mobilenet_v1_0.25_real")
    archive = folder / "mobilenet_v1_0.25_224.tgz"
    photos = sorted((SHARED / "data" / "imagenet_63").glob("*.*"))
    if not photos:
        pytest.skip("absent: imagenet_63")
    stored = np.load(folder / "mobilenet_expected.npz")
    images = np.stack([np.asarray(keras.utils.load_img(each)) for each in photos])
    images = images[:, 16:-16, 16:-16]
    labels = [int(each.name.partition("_")[0]) for each in photos]
    model = applications.MobileNetV1(weights=archive, alpha=0.25, classifier_activation=None)
    logits = model.predict(images, verbose=0)
    assert logits.shape[1] == 1001
    key = next(each for each in stored.files if stored[each].ndim == 2)
    expected = stored[key]
    ours = logits[:, 1:] if expected.shape[1] == 1000 else logits
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    ranks = np.argsort(-logits[:, 1:], axis=1)
    top_1 = np.mean([label == row[0] for label, row in zip(labels, ranks, strict=True)])
    top_5 = np.mean([label in row[:5] for label, row in zip(labels, ranks, strict=True)])
    assert (round(top_1, 3), round(top_5, 3)) == (0.619, 0.873)


def test_a_truncated_archive_says_so(tmp_path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        data = np.random.default_rng(0).bytes(20_000)
        member = tarfile.TarInfo("./mobilenet_v1_0.25_224.ckpt.data-00000-of-00001")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    path = tmp_path / "mobilenet.tgz"
    path.write_bytes(content.getvalue()[:-4000])
    with pytest.raises(ValueError, match=r"mobilenet\.tgz.*Get it again"):
        applications.MobileNetV1(weights=path, alpha=0.25)
    empty = tmp_path / "empty.tgz"
    with tarfile.open(empty, mode="w:gz"):
        pass
    with pytest.raises(ValueError, match="no checkpoint"):
        applications.MobileNetV1(weights=empty, alpha=0.25)
