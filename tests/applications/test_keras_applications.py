"""Keras' own `.h5` files in our builders; `keras.applications` computes what they must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from keras_pretrained import applications

NETWORKS: dict[str, tuple[Any, dict[str, Any], int]] = {
    "MobileNetV1": (keras.applications.MobileNet, {"alpha": 0.25}, 128),
    "MobileNetV2": (keras.applications.MobileNetV2, {"alpha": 0.35}, 96),
    "ResNetV1_50": (keras.applications.ResNet50, {}, 96),
    "ResNetV1_101": (keras.applications.ResNet101, {}, 96),
    "ResNetV2_50": (keras.applications.ResNet50V2, {}, 96),
    "InceptionV3": (keras.applications.InceptionV3, {}, 128),
    "InceptionResNetV2": (keras.applications.InceptionResNetV2, {}, 128),
    "Xception": (keras.applications.Xception, {}, 128),
    "NASNetMobile": (keras.applications.NASNetMobile, {}, 96),
    "NASNetLarge": (keras.applications.NASNetLarge, {}, 96),
    "VGG16": (keras.applications.VGG16, {}, 224),
    "VGG19": (keras.applications.VGG19, {}, 224),
}
QUICK = ("MobileNetV1", "MobileNetV2", "Xception")


def networks() -> list[Any]:
    slow = {name: () if name in QUICK else (pytest.mark.exhaustive,) for name in NETWORKS}
    return [pytest.param(name, marks=marks) for name, marks in slow.items()]


def with_values(model: keras.Model) -> keras.Model:
    """The model with weights that keep activations in range."""
    generator = np.random.default_rng(3)
    for variable in model.weights:
        shape, name = variable.shape, variable.name
        if name in ("gamma", "moving_variance"):
            made = generator.uniform(0.5, 1.0, shape)
        elif name in ("beta", "moving_mean", "bias"):
            made = generator.normal(0, 0.1, shape)
        else:
            inputs = shape[:2] if "depthwise" in variable.path else shape[:-1]
            made = generator.normal(0, np.sqrt(2 / np.prod(inputs)), shape)
        variable.assign(made.astype("float32"))
    return model


def write_h5(model: keras.Model, path: Path, counted_from: int) -> None:
    """Writes a file as Keras 2 wrote it; layers that it named by counting start anywhere."""
    with h5py.File(path, "w") as file:
        names = []
        for layer in model.layers:
            name = layer.name
            kind, _, number = name.rpartition("_")
            if name in ("conv2d", "batch_normalization"):
                name = f"{name}_{counted_from}"
            elif kind in ("conv2d", "batch_normalization"):
                name = f"{kind}_{int(number) + counted_from}"
            names.append(name)
            group = file.create_group(name)
            paths = [f"{name}/{variable.name}:0" for variable in layer.weights]
            for inside, variable in zip(paths, layer.weights, strict=True):
                group[inside] = np.asarray(variable)
            group.attrs["weight_names"] = [inside.encode() for inside in paths]
        file.attrs["layer_names"] = [name.encode() for name in names]
        file.attrs["keras_version"] = b"2.1.3"


@pytest.mark.parity
@pytest.mark.parametrize("name", networks())
def test_files_of_keras(name: str, tmp_path: Path) -> None:
    make, options, size = NETWORKS[name]
    top = name.startswith("VGG")
    keras.backend.clear_session()
    reference = with_values(
        make(
            weights=None,
            include_top=top,
            input_shape=(size, size, 3),
            **({"classifier_activation": None} if top else {}),
            **options,
        )
    )
    path = tmp_path / "weights.h5"
    write_h5(reference, path, counted_from=95)
    model = getattr(applications, name)(
        weights=path,
        include_top=top,
        input_shape=(size, size, 3),
        preprocessing=False,
        classifier_activation=None,
        **options,
    )
    images = np.random.default_rng(0).uniform(-1, 1, (2, size, size, 3)).astype("float32")
    expected = reference.predict(images, verbose=0)
    found = model.predict(images, verbose=0)
    assert model.load_report.dialect == "keras"
    assert not model.load_report.ignored
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_classifier_of_keras(tmp_path: Path) -> None:
    make, options, size = NETWORKS["MobileNetV2"]
    reference = with_values(make(weights=None, input_shape=(size, size, 3), **options))
    path = tmp_path / "weights.h5"
    write_h5(reference, path, counted_from=0)
    model = applications.MobileNetV2(weights=path, input_shape=(size, size, 3), **options)
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), "uint8")
    prepared = keras.applications.mobilenet_v2.preprocess_input(images.astype("float32"))
    expected = reference.predict(prepared, verbose=0)
    assert model.plan.classes == 1000
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("scaling", "module"),
    [("inception", "inception_v3"), ("caffe", "vgg16"), ("torch", "densenet")],
)
def test_images_are_scaled_as_keras_does(scaling: str, module: str) -> None:
    from keras_pretrained.applications.vision.parts import ImageScaling

    images = np.random.default_rng(0).uniform(0, 255, (2, 4, 5, 3)).astype("float32")
    expected = getattr(keras.applications, module).preprocess_input(images.copy())
    np.testing.assert_allclose(ImageScaling(scaling)(images), expected, atol=2e-5)
