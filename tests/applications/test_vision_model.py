"""What every image network does: arguments, depth, features, saving, writing back, errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_pretrained import applications, export, preset_info
from keras_pretrained.applications import MODULES, MobileNetV1
from keras_pretrained.checkpoints import open_checkpoint
from keras_pretrained.layers import FrozenBackbone
from keras_pretrained.weights import WeightsError

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")


def small(**options: Any) -> Any:
    return MobileNetV1(
        **{"weights": None, "alpha": 0.25, "input_shape": (32, 32, 3), "classes": 7, **options}
    )


def snapshot(model: Any) -> dict[str, np.ndarray]:
    return {w.path: keras.ops.convert_to_numpy(w).copy() for w in model.weights}


def fit(model: Any) -> None:
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(IMAGES, np.array([0, 1, 2, 3]), verbose=0)


@pytest.mark.parametrize("name", MODULES)
def test_every_builder_is_listed_and_described(name: str) -> None:
    builder = getattr(applications, name)
    assert builder.network.name == name
    assert builder.network.module == MODULES[name]
    assert "Reference: [" in builder.__doc__
    assert all(form.name == dialect for dialect, form in builder.network.dialects.items())


def test_conventions_of_keras_applications() -> None:
    model = small()
    found = model.predict(IMAGES, verbose=0)
    assert found.shape == (4, 7)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(found, model.predict(IMAGES.astype("float64"), verbose=0))
    assert small(classes=np.int64(5)).output_shape == (None, 5)
    assert small(classes=None).output_shape == (None, 1001)
    assert small(classes=None, dialect="keras").output_shape == (None, 1000)
    assert small(include_top=False).output_shape == (None, 1, 1, 256)
    assert small(include_top=False, pooling="avg").output_shape == (None, 256)
    assert small(include_top=False, pooling="max", input_shape=None).output_shape == (None, 256)


@pytest.mark.parametrize("shape", [(2, 32, 32, 1), (2, 32, 32, 4), (2, 32, 32), (2, 3, 32, 32)])
def test_images_of_another_shape_say_what_is_expected(shape: tuple[int, ...]) -> None:
    backbone = FrozenBackbone(small(include_top=False), pooling="avg")
    with pytest.raises(ValueError, match=r"\(batch, height, width, 3\).*prepare_images"):
        backbone(np.ones(shape, "float32"))
    if len(shape) == 4:
        model = small()
        model.predict(IMAGES, verbose=0)
        # TensorFlow's program was made for images of three channels by now.
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=r"reshape|expected"):
            model.predict(np.ones(shape, "float32"), verbose=0)


def test_torchvision_scales_images_of_inception_as_its_network_does() -> None:
    """Its `transform_input` undoes torch's scaling; a file by path is scaled as the preset's."""
    for builder, preset in (
        (applications.InceptionV1, "googlenet"),
        (applications.InceptionV3, "inception-v3-torchvision"),
    ):
        image = preset_info(preset).image
        assert image is not None
        assert builder.network.dialects["torchvision"].scaling == image.scaling == "inception"


def test_scaling_is_inside() -> None:
    model, bare = small(), small(preprocessing=False)
    bare.set_weights(model.get_weights())
    np.testing.assert_allclose(
        model.predict(IMAGES, verbose=0), bare.predict(IMAGES / 127.5 - 1, verbose=0), atol=1e-6
    )
    bytes_in = IMAGES.astype("uint8")
    np.testing.assert_array_equal(
        model.predict(bytes_in, verbose=0), model.predict(bytes_in.astype("float32"), verbose=0)
    )


@pytest.mark.parametrize(
    ("depth", "first"),
    [(0, "stem"), ("stem", "stem"), (3, "Conv2d_4"), (-2, "Conv2d_12"), ("Conv2d_5", "Conv2d_5")],
)
def test_a_frozen_prefix_stays_as_it_is(depth: Any, first: str) -> None:
    model = small(trainable_from=depth)
    before = snapshot(model)
    fit(model)
    after = snapshot(model)
    names = [stage.name for stage in model.stages]
    for index, stage in enumerate(model.stages):
        same = [
            np.array_equal(before[w.path], after[w.path])
            for layer in stage.layers
            for w in layer.weights
        ]
        if index < names.index(first):
            assert all(same), stage.name
        else:
            assert not all(same), stage.name


def test_all_is_frozen_by_none() -> None:
    model = small(trainable_from=None)
    assert not model.trainable_variables
    # Dropout below the depth is off, the classifier's too.
    np.testing.assert_array_equal(model(IMAGES, training=True), model(IMAGES, training=False))


def test_statistics_can_be_kept_where_a_stage_trains() -> None:
    model = small(keep_statistics=True)
    before = snapshot(model)
    fit(model)
    changed = {path for path, after in snapshot(model).items() if (before[path] != after).any()}
    assert changed
    assert not any("moving_" in path for path in changed)


def test_a_changed_depth_must_be_compiled_again() -> None:
    model = small(trainable_from=-1)
    fit(model)
    model.trainable_from = -3
    with pytest.raises(ValueError, match="compile"):
        model.fit(IMAGES, np.zeros(4), verbose=0)
    outer = keras.Sequential([keras.Input((32, 32, 3)), model])
    fit(outer)
    model.trainable_from = 0
    with pytest.raises(ValueError, match="compile"):
        outer.fit(IMAGES, np.zeros(4), verbose=0)
    with pytest.raises(ValueError, match="Conv2d_13, logits"):
        model.trainable_from = "block7"


def test_features_have_the_original_names() -> None:
    model = small(classifier_activation=None)
    found = model.features(IMAGES)
    assert [tuple(found[f"Conv2d_{index}"].shape) for index in (1, 6, 13)] == [
        (4, 16, 16, 16),
        (4, 2, 2, 128),
        (4, 1, 1, 256),
    ]
    np.testing.assert_allclose(found["logits"], model(IMAGES), atol=1e-6)
    symbolic = model.features(keras.Input((32, 32, 3)))
    assert symbolic["Conv2d_6"].shape == (None, 2, 2, 128)


@pytest.mark.parametrize("depth", [0, 5, None])
def test_prefix_and_suffix_equal_the_whole(depth: Any) -> None:
    model = small(trainable_from=depth)
    prefix, suffix = model.split()
    assert not prefix.trainable_variables
    assert len(suffix.trainable_variables) == len(model.trainable_variables)
    np.testing.assert_allclose(suffix(prefix(IMAGES)), model(IMAGES), atol=1e-6)


def test_a_fresh_process_reloads(tmp_path: Path) -> None:
    model = small(trainable_from="Conv2d_9", keep_statistics=True)
    fit(model)
    model.save(tmp_path / "m.keras")
    np.savez(tmp_path / "m.npz", images=IMAGES, expected=model.predict(IMAGES, verbose=0))
    code = (
        "import sys, keras, numpy as np, keras_pretrained.applications\n"
        "m = keras.models.load_model(sys.argv[1] + '/m.keras')\n"
        "d = np.load(sys.argv[1] + '/m.npz')\n"
        "assert m.trainable_from == 'Conv2d_9' and m.plan.keep_statistics\n"
        "np.testing.assert_allclose(m.predict(d['images'], verbose=0), d['expected'], atol=1e-6)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_exports(tmp_path: Path) -> None:
    model = small()
    export.to_saved_model(model, tmp_path / "served")
    export.to_onnx(model, tmp_path / "model.onnx")


def test_weights_are_written_back_bit_by_bit(tmp_path: Path) -> None:
    model = small(trainable_from=None)
    path = model.save_weights_as(tmp_path / "first.ckpt")
    names = set(open_checkpoint(path))
    assert "MobilenetV1/Conv2d_3_depthwise/depthwise_weights" in names
    assert "MobilenetV1/Logits/Conv2d_1c_1x1/biases" in names
    again = small(weights=path, classes=None)
    assert again.plan.classes == 7
    assert len(again.load_report.loaded) == len(model.weights)
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    second = again.save_weights_as(tmp_path / "second.ckpt")
    first, second = open_checkpoint(path), open_checkpoint(second)
    assert set(first) == set(second)
    assert all(np.array_equal(first[name].read(), second[name].read()) for name in first)


def test_another_number_of_classes_makes_a_fresh_classifier(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = small().save_weights_as(tmp_path / "first.ckpt")
    with caplog.at_level("INFO", logger="keras_pretrained"):
        model = small(weights=path, classes=3)
    assert model.output_shape == (None, 3)
    assert "a fresh classifier for 3 classes" in caplog.text
    left_out = {name for name, why in model.load_report.ignored.items() if "head" in why}
    assert left_out == {
        "MobilenetV1/Logits/Conv2d_1c_1x1/biases",
        "MobilenetV1/Logits/Conv2d_1c_1x1/weights",
    }
    headless = small(weights=path, include_top=False)
    assert set(headless.load_report.ignored) == left_out


def test_moving_averages_are_preferred(tmp_path: Path) -> None:
    from keras_pretrained.checkpoints.writing import write_checkpoint

    model = small()
    stored = open_checkpoint(model.save_weights_as(tmp_path / "plain.ckpt"))
    tensors = {name: array.read() for name, array in stored.items()}
    training = {f"{name}/ExponentialMovingAverage": a + 1 for name, a in tensors.items()}
    training |= {f"{name}/RMSProp_1": a for name, a in tensors.items()}
    path = write_checkpoint(tmp_path / "trained.ckpt", {**tensors, **training}, "tf-bundle")
    averaged = small(weights=path)
    for ours, theirs in zip(model.get_weights(), averaged.get_weights(), strict=True):
        np.testing.assert_array_equal(ours + np.float32(1), theirs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (31, 32, 3)}, r"at least 32 pixels a side. Received: \(31, 32, 3\)"),
        ({"input_shape": (32, 32, 1)}, r"\(height, width, 3\)"),
        ({"classes": 0}, "`classes` must be a positive int"),
        ({"pooling": "mean"}, "'avg' or 'max'"),
        ({"dialect": "caffe"}, "Expected 'auto' or one of: slim, keras"),
        ({"weights": "imagenet-torchvision"}, "Expected one of: imagenet-slim, imagenet-keras"),
        ({"weights": "auto", "alpha": 0.3}, "were published"),
        ({"trainable_from": "Mixed_5b"}, "name of the first trainable stage: stem, Conv2d_1"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_unknown_options_and_shapes() -> None:
    with pytest.raises(TypeError, match=r"no argument 'depth'\. Of its own it has: alpha"):
        small(depth=3)
    with pytest.raises(ValueError, match=r"must be \(224, 224, 3\), because of its classifier"):
        applications.VGG16(weights=None, input_shape=(128, 128, 3))


def test_a_checkpoint_of_another_network_says_so(tmp_path: Path) -> None:
    path = small().save_weights_as(tmp_path / "mobile.ckpt")
    with pytest.raises(WeightsError, match="no checkpoint of InceptionV1: its names are of none"):
        applications.InceptionV1(weights=path)
    with pytest.raises(WeightsError, match="expected shape"):
        MobileNetV1(weights=path, alpha=0.5, input_shape=(32, 32, 3))
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        small(weights=str(tmp_path / "absent.ckpt"))
