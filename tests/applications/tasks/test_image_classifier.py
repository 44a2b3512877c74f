"""ImageClassifier: what it learns and says, and that it is a Keras model like any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from PIL import Image

from keras_pretrained import applications, export, finetune
from keras_pretrained.applications import ImageClassifier, prepare_images
from keras_pretrained.layers import FrozenBackbone
from keras_pretrained.presets import ImageSpec, PresetError
from tests.applications.tasks.pictures import SHAPES, SHARED, digits, scenes, tiny_network
from tests.layers.toys import make_bert

BACKEND = keras.backend.backend()
PRESET = "mobilenet-v1-0.25-224"
ARCHIVE = SHARED / "fixtures" / "mobilenet_v1_0.25_real" / "mobilenet_v1_0.25_224.tgz"
with_real_weights = pytest.mark.skipif(not ARCHIVE.exists(), reason="absent: MobileNet's weights")
RANDOM = np.random.default_rng(0)
IMAGES = [RANDOM.integers(0, 256, (30 + n, 40, 3)).astype("uint8") for n in range(6)]
LABELS = ["no", "yes", "no", "yes", "yes", "no"]


def make(classes: Any = ("no", "yes"), **options: Any) -> ImageClassifier:
    return ImageClassifier(tiny_network(), classes, **options)


def compiled(classifier: ImageClassifier, rate: float = 3e-3) -> ImageClassifier:
    classifier.compile(keras.optimizers.Adam(rate))
    return classifier


def shapes(count: int, seed: int) -> tuple[list[Any], list[str]]:
    images, masks = scenes(count, seed)
    return images, [SHAPES[mask.max()] for mask in masks]


def test_it_learns_and_answers_with_names() -> None:
    (images, labels), (held_out, expected) = shapes(300, seed=0), shapes(100, seed=1)
    classifier = compiled(make(2, trainable_from=0, dropout=0.0), rate=1e-2)
    history = classifier.fit(
        images, labels, epochs=20, validation_split=0.05, batch_size=16, verbose=0
    ).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert classifier.labels == ["disc", "square"]
    correct = np.mean(np.array(classifier.predict(held_out)) == expected)
    assert correct > 0.75 > 0.6 > np.mean(np.array(expected) == "disc") > 0.4
    _, accuracy = classifier.evaluate(held_out, expected, verbose=0)
    assert accuracy == pytest.approx(correct)


@with_real_weights
@pytest.mark.exhaustive
def test_frozen_pretrained_features_tell_digits_apart() -> None:
    images, numbers = digits()
    scores = {}
    for weights in (ARCHIVE, None):
        keras.utils.set_random_seed(1)
        classifier = ImageClassifier(PRESET, 10, size=96, weights=weights)
        classifier.fit(list(images[:300]), numbers[:300], epochs=15, verbose=0)
        found = classifier.predict(list(images[300:800]))
        scores[weights] = np.mean(np.array(found) == numbers[300:800])
    assert scores[ARCHIVE] > 0.6 > 0.3 > scores[None]


@with_real_weights
def test_the_networks_own_classifier_knows_imagenet() -> None:
    photos = sorted((SHARED / "data" / "imagenet_63").glob("*.*"))
    if not photos:
        pytest.skip("absent: imagenet_63")
    classifier = ImageClassifier(PRESET, weights=ARCHIVE)
    names = applications.imagenet_labels()
    expected = [names[int(photo.name.partition("_")[0])] for photo in photos]
    top = classifier.predict_top(photos, 5)
    assert (
        round(np.mean([best[0][0] == name for best, name in zip(top, expected, strict=True)]), 3)
        == 0.619
    )
    hits = [name in dict(best) for best, name in zip(top, expected, strict=True)]
    assert round(np.mean(hits), 3) == 0.873
    # The thousand classes, with the background before them.
    assert classifier.labels == applications.imagenet_labels(1001)
    assert len(set(classifier.labels)) == 1001


def test_images_come_in_any_form(tmp_path: Path) -> None:
    classifier = make()
    expected = classifier.predict_proba(IMAGES)
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for given in (paths, [*map(str, paths)], np.array([*map(str, paths)]), tuple(paths)):
        np.testing.assert_array_equal(classifier.predict_proba(given), expected)
    pictures = [Image.fromarray(image) for image in IMAGES]
    np.testing.assert_array_equal(classifier.predict_proba(pictures, batch_size=4), expected)
    # What Keras knows itself goes to Keras.
    spec = ImageSpec("", 32, "", "antialiased-bilinear", 0)
    arrays = prepare_images(spec, IMAGES)
    np.testing.assert_allclose(classifier.predict(arrays, verbose=0), expected, atol=1e-6)


def test_material_trains_as_the_same_arrays_do() -> None:
    source = tiny_network()
    spec = ImageSpec("", 32, "", "antialiased-bilinear", 0)
    arrays = prepare_images(spec, IMAGES)
    losses = []
    for x, y in ((IMAGES, LABELS), (arrays, np.array([0, 1, 0, 1, 1, 0]))):
        keras.utils.set_random_seed(3)
        classifier = ImageClassifier(source, ["no", "yes"], trainable_from=0, dropout=0.0)
        history = compiled(classifier).fit(x, y, batch_size=3, epochs=3, shuffle=False, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_a_last_batch_counts_its_own_images_only() -> None:
    classifier = compiled(make())
    numbers = [["no", "yes"].index(label) for label in LABELS[:5]]
    shares = classifier.predict_proba(IMAGES[:5])[range(5), numbers]
    loss, _ = classifier.evaluate(IMAGES[:5], LABELS[:5], batch_size=2, verbose=0)
    assert loss == pytest.approx(-np.log(shares).mean(), rel=1e-4)


def test_several_labels_and_weights() -> None:
    classifier = make(["a", "b", "c"], multi_label=True)
    labels = [["a"], [], ["b", "c"], ["c"], [], ["a", "b", "c"]]
    compiled(classifier, 0.0).fit(IMAGES, labels, sample_weight=[1, 0, 1, 1, 0, 1], verbose=0)
    shares = classifier.predict_proba(IMAGES)
    expected = [[n for n, share in zip("abc", row, strict=True) if share > 0.5] for row in shares]
    assert classifier.predict(IMAGES) == expected
    classifier = compiled(make())
    shares = classifier.predict_proba(IMAGES)[range(6), [0, 1, 0, 1, 1, 0]]
    by_hand = np.average(-np.log(shares), weights=[1, 2, 1, 2, 2, 1])
    weights = classifier.weighted(LABELS, None, {"yes": 2.0})
    loss = classifier.evaluate(IMAGES, LABELS, sample_weight=weights, batch_size=2, verbose=0)[0]
    assert loss == pytest.approx(by_hand, rel=1e-5)
    # Six in batches of four: the copies that fill up the last one do not count.
    _, accuracy = classifier.evaluate(IMAGES, LABELS, batch_size=4, verbose=0)
    assert accuracy == pytest.approx(np.mean(shares > 0.5))


@keras.saving.register_keras_serializable(package="tests")
class Inverted(keras.layers.Layer):
    """Counts what it has changed."""

    seen: ClassVar[list[int]] = []

    def call(self, inputs: Any, training: bool = False) -> Any:
        assert training
        self.seen.append(len(inputs))
        return 255 - inputs


def test_augmentation_is_of_the_data_that_train() -> None:
    classifier = make(augment=Inverted())
    assert not any(isinstance(layer, Inverted) for layer in classifier._flatten_layers())
    (images, _, _) = classifier.batches(IMAGES, LABELS, batch_size=8, training=True)[0]
    plain = classifier.batches(IMAGES, LABELS, batch_size=8)
    np.testing.assert_allclose(
        np.unique(images.sum((1, 2, 3))), np.unique((255 - plain[0][0]).sum((1, 2, 3)))
    )
    Inverted.seen.clear()
    compiled(classifier, 0.0).fit(
        IMAGES, LABELS, batch_size=8, validation_data=(IMAGES, LABELS), verbose=0
    )
    # Keras looks at the first batch once more, for its shape.
    assert set(Inverted.seen) == {8}
    count = len(Inverted.seen)
    classifier.predict(IMAGES)
    classifier.fit(IMAGES, LABELS, batch_size=8, shuffle=False, verbose=0)
    assert len(Inverted.seen) == count
    layers = [keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1)]
    several = make(augment=keras.layers.Pipeline(layers))
    assert several.batches(IMAGES, LABELS, training=True)[0][0].shape == (8, 32, 32, 3)
    cropping = make(augment=keras.layers.CenterCrop(16, 16))
    with pytest.raises(ValueError, match=r"must keep the shape of images, \(8, 32, 32, 3\)"):
        cropping.fit(IMAGES, LABELS, verbose=0)
    with pytest.raises(ValueError, match="must be a Keras layer"):
        make(augment=lambda x: x)


RELOAD = """
import sys, keras, numpy
import keras_pretrained.applications
model = keras.models.load_model(sys.argv[1])
images = list(numpy.load(sys.argv[2]))
print(model.predict(images), model.labels, model.trainable_from, model.compiled, model.augment.rate)
numpy.save(sys.argv[3], model.predict_proba(images))
"""


def test_a_saved_task_holds_labels_and_preparation(tmp_path: Path) -> None:
    augment = keras.layers.Dropout(0.25)
    classifier = make(2, trainable_from="conv_8", images="inception-v3", augment=augment)
    classifier.compile("adam", classifier.default_loss())
    classifier.fit(IMAGES, LABELS, verbose=0)
    classifier.save(tmp_path / "task.keras")
    same = [IMAGES[0], IMAGES[0][::-1]]
    np.save(tmp_path / "images.npy", same)
    files = [tmp_path / name for name in ("task.keras", "images.npy", "found.npy")]
    command = [sys.executable, "-c", RELOAD, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = classifier.predict(same)
    assert done.stdout.splitlines()[-1] == f"{answers} ['no', 'yes'] conv_8 True 0.25"
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), classifier.predict_proba(same))


def test_its_own_classifier_survives_saving(tmp_path: Path) -> None:
    network = applications.MobileNetV1(
        weights=None, alpha=0.25, classes=3, input_shape=(32, 32, 3), classifier_activation=None
    )
    classifier = ImageClassifier(network)
    arrays = np.stack([image[:30, :32] for image in IMAGES]).repeat(2, axis=1)[:, :32]
    np.testing.assert_allclose(
        classifier.predict(arrays, verbose=0), network.predict(arrays, verbose=0), atol=1e-6
    )
    assert classifier.labels == [0, 1, 2]
    assert classifier.default_loss().get_config()["from_logits"] is True
    named = ImageClassifier(FrozenBackbone(network, trainable_from="logits"), ["a", "b", "c"])
    named.save(tmp_path / "task.keras")
    again = keras.models.load_model(tmp_path / "task.keras")
    assert again.labels == ["a", "b", "c"]
    assert [layer.name for layer in again.layers] == [layer.name for layer in named.layers]
    np.testing.assert_array_equal(again.predict_proba(IMAGES), named.predict_proba(IMAGES))
    fresh = ImageClassifier(network, ["cat", "dog"])
    assert fresh.layers[-1].name == "classifier"
    assert not fresh.backbone.model.plan.include_top
    np.testing.assert_array_equal(
        fresh.backbone.model.get_layer("Conv2d_13_pointwise").kernel,
        network.get_layer("Conv2d_13_pointwise").kernel,
    )
    with pytest.raises(ValueError, match=r"a classifier of its own, for 3 classes. Received: 2"):
        ImageClassifier(FrozenBackbone(network), 2)


def test_a_network_that_does_not_scale_gets_its_scaling(tmp_path: Path) -> None:
    inputs = keras.Input((32, 32, 3))
    network = keras.Model(inputs, keras.layers.Conv2D(3, 1, name="conv")(inputs))
    classifier = ImageClassifier(network, 2, scaling="inception")
    scaled = prepare_images(ImageSpec("", 32, "", "antialiased-bilinear", 0), IMAGES) / 127.5 - 1
    features = keras.ops.convert_to_numpy(network(scaled)).mean((1, 2))
    kernel, bias = map(np.array, classifier.get_layer("classifier").get_weights())
    logits = features @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(IMAGES), expected, atol=1e-5)
    network.save(tmp_path / "network.keras")
    from_file = ImageClassifier(tmp_path / "network.keras", 2, scaling="inception", dropout=0.0)
    from_file.set_weights(classifier.get_weights())
    np.testing.assert_allclose(from_file.predict_proba(IMAGES), expected, atol=1e-5)


def test_the_tools_of_finetune_work_on_it() -> None:
    classifier = make(trainable_from="conv_4")
    batches = classifier.batches(IMAGES, LABELS, batch_size=4)
    cached = finetune.cache_features(batches, classifier)
    head = finetune.suffix(classifier)
    np.testing.assert_allclose(
        np.asarray(head.predict(cached, verbose=0))[:6],
        classifier.predict_proba(IMAGES),
        atol=1e-5,
    )
    plan = finetune.plan(100, "low", classifier)
    classifier.fit(IMAGES, LABELS, plan=plan, epochs=1, verbose=0)
    assert isinstance(classifier.optimizer, finetune.StageRates)
    classifier.trainable_from = None
    before = [np.array(weight) for weight in classifier.backbone.get_weights()]
    classifier.fit(IMAGES, LABELS, verbose=0)
    for old, new in zip(before, classifier.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the artefacts are compared with TensorFlow's")
def test_an_exported_task_takes_images(tmp_path: Path) -> None:
    import onnxruntime
    import tensorflow as tf

    classifier = make()
    arrays = prepare_images(ImageSpec("", 32, "", "antialiased-bilinear", 0), IMAGES)
    expected = classifier.predict_proba(IMAGES)
    export.to_saved_model(classifier, tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served")).serve({"images": tf.constant(arrays)})
    np.testing.assert_allclose(served["classifier"].numpy(), expected, atol=1e-5)
    export.to_onnx(classifier, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {"images": arrays})
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_wrong_material_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    classifier = make()
    cases: list[tuple[Any, Any, str]] = [
        (IMAGES, ["yes"], "6 images and 1 answers"),
        (IMAGES[:1], ["perhaps"], "Label 0 is 'perhaps'. Expected one of: 'no', 'yes'"),
        ([IMAGES[0], tmp_path / "text.png"], ["no", "no"], "Image 1: .*text.png.*not an image"),
        ([IMAGES[0], np.zeros((2, 2, 5))], ["no", "no"], r"Image 1: .*Received: \(2, 2, 5\)"),
        ([], [], "at least one image"),
    ]
    for x, y, message in cases:
        with pytest.raises(ValueError, match=message):
            classifier.fit(x, y, verbose=0)
    with pytest.raises(TypeError, match=r"list of images. Received one: 'a.png'"):
        classifier.predict("a.png")


def test_wrong_arguments_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"no classifier of its own that is known\. Pass"):
        make(None)
    with pytest.raises(ValueError, match=r"takes images of any size. Pass `size=`"):
        ImageClassifier(tiny_network(None), 2)
    assert ImageClassifier(tiny_network(None), 2, size=48).image_size == 48
    with pytest.raises(ValueError, match=r"takes images of 32 x 32. Received: size=48"):
        make(size=48)
    with pytest.raises(ValueError, match="made already: trainable_from belong to"):
        ImageClassifier(FrozenBackbone(tiny_network()), 2, trainable_from=1)
    with pytest.raises(PresetError, match="takes no images"):
        ImageClassifier("minilm-l6", 2)
    with pytest.raises(ValueError, match=r"takes images, \(batch, height, width, 3\)"):
        ImageClassifier(FrozenBackbone(make_bert(pooling="mean")), 2)
    with pytest.raises(ValueError, match=r"`k` must be from 1 to 2. Received: 3"):
        make().predict_top(IMAGES, 3)
