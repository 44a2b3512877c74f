"""SemanticSegmenter: what it learns, what its head computes, and which pixels count."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from keras_pretrained import applications, export, finetune
from keras_pretrained.applications import SemanticSegmenter
from keras_pretrained.applications.tasks.fully_convolutional import maps_by_stride, scored
from keras_pretrained.applications.tasks.segmentation_metrics import VOID, PixelAccuracy
from keras_pretrained.layers import FrozenBackbone
from tests.applications.tasks.pictures import (
    SHAPES,
    SHARED,
    digits,
    mean_overlap,
    scenes,
    tiny_network,
)
from tests.layers.toys import make_bert
from tests.parity.recording import Record

BACKEND = keras.backend.backend()
GOLDEN = Path(__file__).parents[2] / "goldens" / "fcn_head" / "expected.npz"
ARCHIVE = SHARED / "fixtures" / "mobilenet_v1_0.25_real" / "mobilenet_v1_0.25_224.tgz"
IMAGES, MASKS = scenes(6)
# Keras counts in a type that JAX does not have by default.
pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")


def make(classes: Any = SHAPES, skips: Any = (2, 4), **options: Any) -> SemanticSegmenter:
    return SemanticSegmenter(tiny_network(), classes, skips=skips, **options)


def compiled(segmenter: SemanticSegmenter, rate: float = 1e-2) -> SemanticSegmenter:
    segmenter.compile(keras.optimizers.Adam(rate))
    return segmenter


def with_scores(segmenter: SemanticSegmenter) -> SemanticSegmenter:
    """Scores begin at zero, where nothing could be told apart."""
    random = np.random.default_rng(0)
    for variable in segmenter.trainable_variables:
        if "score" in variable.path:
            variable.assign(random.normal(size=variable.shape))
    return segmenter


def test_it_finds_shapes_in_pictures_of_any_size() -> None:
    (images, masks), (held_out, expected) = scenes(200), scenes(60, seed=1)
    segmenter = compiled(make(trainable_from=0, dropout=0.0))
    history = segmenter.fit(images, masks, batch_size=16, epochs=12, verbose=0).history
    assert set(history) == {"loss", "accuracy", "mean_iou"}
    found = segmenter.predict(held_out, batch_size=25)
    assert [mask.shape for mask in found] == [mask.shape for mask in expected]
    assert {mask.dtype for mask in found} == {np.dtype("uint8")}
    overlap = mean_overlap(found, expected, 3)
    assert overlap > 0.45 > 0.3 > mean_overlap([0 * mask for mask in expected], expected, 3)
    scores = segmenter.evaluate(held_out, expected, return_dict=True, verbose=0)
    assert scores["mean_iou"] == pytest.approx(overlap, abs=0.03)
    assert segmenter.legend == {0: "background", 1: "square", 2: "disc"}


def digit_scenes(count: int, seed: int, drawn: slice) -> tuple[list[Any], list[np.ndarray]]:
    """Digits on noise: 1 in a mask is an even one, 2 an odd one, in and between its strokes."""
    images, numbers = digits()
    images, numbers = images[drawn], numbers[drawn]
    random = np.random.default_rng(seed)
    pictures, masks = [], []
    for _ in range(count):
        picture = random.integers(0, 120, (128, 128, 3)).astype("uint8")
        mask = np.zeros((128, 128), "uint8")
        for column in (0, 64):
            chosen, row = int(random.integers(len(images))), int(random.integers(0, 64))
            place = np.s_[row : row + 64, column : column + 64]
            picture[place] = np.maximum(picture[place], images[chosen])
            mask[place][images[chosen][..., 0] > 60] = 1 + numbers[chosen] % 2
        pictures.append(picture)
        masks.append(mask)
    return pictures, masks


@pytest.mark.exhaustive
@pytest.mark.skipif(not ARCHIVE.exists(), reason="absent: MobileNet's weights")
def test_pretrained_features_tell_even_digits_from_odd_ones() -> None:
    material = digit_scenes(150, 0, slice(0, 1000))
    held_out, expected = digit_scenes(50, 1, slice(1000, None))
    scores = {}
    for weights in (ARCHIVE, None):
        keras.utils.set_random_seed(1)
        segmenter = SemanticSegmenter(
            "mobilenet-v1-0.25-224", ["nothing", "even", "odd"], size=128, weights=weights
        )
        segmenter.compile(keras.optimizers.Adam(1e-2))
        segmenter.fit(*material, batch_size=15, epochs=12, verbose=0)
        scores[weights] = mean_overlap(segmenter.predict(held_out), expected, 3)
    background = mean_overlap([0 * mask for mask in expected], expected, 3)
    assert scores[ARCHIVE] > background + 0.2
    assert scores[ARCHIVE] > scores[None] + 0.05


@pytest.mark.parity
def test_the_head_computes_what_pytorch_does(parity: Record) -> None:
    stored = np.load(GOLDEN)
    maps = {stride: stored[f"map_{stride}"] for stride in (8, 16, 32)}
    inputs = {stride: keras.Input(each.shape[1:]) for stride, each in maps.items()}
    model = keras.Model([*inputs.values()], scored(inputs, 3, (33, 51), dropout=0.5))
    for stride in maps:
        layer = model.get_layer(f"score_{stride}")
        assert not np.any(layer.kernel)
        layer.set_weights([stored[f"kernel_{stride}"], stored[f"bias_{stride}"]])
    logits = model.predict([*maps.values()], verbose=0)
    parity("segmentation/fcn-8s").close("logits", logits, stored["logits"])


def resized(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, pixels seen as squares, by hand: (height, width, classes)."""

    def matrix(length: int, new: int) -> np.ndarray:
        place = np.clip((np.arange(new) + 0.5) * length / new - 0.5, 0, length - 1)
        return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(length)))

    rows, columns = matrix(scores.shape[0], height), matrix(scores.shape[1], width)
    return np.einsum("yr,rcn,xc->yxn", rows, scores, columns)


@pytest.mark.parametrize("skips", [(), (4,), (2, 4)])
def test_skips_choose_the_maps_that_are_scored(skips: tuple[int, ...]) -> None:
    segmenter = with_scores(make(skips=skips, size=(32, 32)))
    strides = [*skips, 8]
    assert segmenter.backbone.outputs == tuple(f"conv_{stride}" for stride in strides)
    image = np.asarray(IMAGES[0])[None]
    features = segmenter.backbone.features(image)
    total: Any = 0
    for stride in strides[::-1]:
        kernel, bias = map(np.array, segmenter.get_layer(f"score_{stride}").get_weights())
        score = np.asarray(features[f"conv_{stride}"])[0] @ kernel[0, 0] + bias
        total = score + (resized(total, *score.shape[:2]) if stride < 8 else 0)
    logits = segmenter.predict(image, verbose=0)[0]
    np.testing.assert_allclose(logits, resized(total, 32, 32), atol=1e-4)


def test_void_pixels_and_weights_of_images() -> None:
    segmenter = with_scores(compiled(make()))
    images, masks = IMAGES[:2], [mask.copy() for mask in MASKS[:2]]
    images[1], masks[1] = images[1][:32], masks[1][:32]
    masks[0][:7] = VOID
    masks[1][:, 20:] = VOID
    logits = segmenter.predict(np.array(images), verbose=0).astype("float64")
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    truth = np.stack(masks)
    known = truth != VOID
    losses = -np.log(np.take_along_axis(shares, np.where(known, truth, 0)[..., None], -1))[..., 0]
    right = logits.argmax(-1) == truth
    for weights in (None, [1.0, 3.0]):
        counts = known * np.reshape(weights or [1, 1], (2, 1, 1))
        found = segmenter.evaluate(
            images, masks, sample_weight=weights, return_dict=True, verbose=0
        )
        assert found["loss"] == pytest.approx(np.average(losses, weights=counts), rel=1e-4)
        assert found["accuracy"] == pytest.approx(np.average(right, weights=counts))
        overlaps = [
            np.sum(counts * ((truth == n) & (logits.argmax(-1) == n)))
            / np.sum(counts * ((truth == n) | (logits.argmax(-1) == n)))
            for n in range(3)
        ]
        assert found["mean_iou"] == pytest.approx(np.mean(overlaps), rel=1e-5)
    # Arrays of Keras' own see the same.
    by_keras = segmenter.evaluate(np.array(images), truth, return_dict=True, verbose=0)
    by_task = segmenter.evaluate(images, masks, return_dict=True, verbose=0)
    assert by_keras == pytest.approx(by_task, rel=1e-5)


def test_accuracy_of_nothing_but_void_is_zero() -> None:
    metric = PixelAccuracy()
    metric.update_state(np.full((1, 2, 2), VOID, "uint8"), np.ones((1, 2, 2, 3), "float32"))
    assert float(metric.result()) == 0


def test_masks_come_in_any_form(tmp_path: Path) -> None:
    segmenter = make()
    expected = segmenter.batches(IMAGES, MASKS)[0][1]
    palette = [Image.fromarray(mask, mode=None).convert("P") for mask in MASKS]
    for number, mask in enumerate(MASKS):
        indexed = Image.frombytes("P", mask.shape[::-1], mask.tobytes())
        indexed.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        indexed.save(tmp_path / f"{number}.png")
        palette[number] = indexed
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    longer = [mask[..., None].astype("int64") for mask in MASKS]
    for given in (paths, palette, longer, [Image.fromarray(mask) for mask in MASKS]):
        images, targets, weights = segmenter.batches(IMAGES, given)[0]
        np.testing.assert_array_equal(targets, expected)
        # Six fill up to eight.
        assert images.shape == (6, 32, 32, 3)
        assert weights.shape == (6, 32, 32)
        assert weights.min() == 1


def test_a_last_batch_of_training_is_filled_with_pixels_that_do_not_count() -> None:
    images, _, weights = make().batches(IMAGES, MASKS, training=True)[0]
    assert images.shape == (8, 32, 32, 3)
    assert weights[6:].max() == 0 < weights[:6].min()


def test_augmentation_changes_masks_with_their_images() -> None:
    rows = np.mgrid[:32, :32][1].astype("uint8")
    image = np.stack([rows * 8] * 3, axis=-1)
    segmenter = make(32, augment=keras.layers.RandomFlip("horizontal"))
    images, masks, _ = segmenter.batches([image] * 8, [rows] * 8, training=True)[0]
    assert masks.dtype == np.uint8
    np.testing.assert_array_equal(images[..., 0], masks * 8.0)
    assert {int(mask[0, 0]) for mask in masks} == {0, 31}


RELOAD = """
import sys, keras, numpy
import keras_pretrained.applications
model = keras.models.load_model(sys.argv[1])
images = numpy.load(sys.argv[2])
print(model.legend, model.trainable_from, model.compiled, model.backbone.outputs)
numpy.save(sys.argv[3], model.predict(images, verbose=0))
"""


def test_a_saved_task_is_whole(tmp_path: Path) -> None:
    network = tiny_network()
    segmenter = compiled(SemanticSegmenter(network, SHAPES, skips=(4,), trainable_from=-1))
    # Scores begin at zero, and pass no gradient down in the first step.
    segmenter.fit(IMAGES, MASKS, epochs=2, verbose=0)
    segmenter.save(tmp_path / "task.keras")
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    np.save(tmp_path / "images.npy", images)
    files = [tmp_path / name for name in ("task.keras", "images.npy", "found.npy")]
    command = [sys.executable, "-W", "ignore", "-c", RELOAD, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    stages = ("conv_4", "conv_8")
    assert done.stdout.splitlines()[-1] == f"{segmenter.legend} -1 True {stages}"
    np.testing.assert_array_equal(
        np.load(tmp_path / "found.npy"), segmenter.predict(images, verbose=0)
    )
    # What moved is the last block, and nothing of the frozen ones.
    moved = [
        old.path
        for old, new in zip(network.weights, segmenter.backbone.weights, strict=True)
        if not np.array_equal(old, new)
    ]
    assert moved == ["conv_8/kernel", "conv_8/bias"]


def test_the_tools_of_finetune_work_on_it() -> None:
    segmenter = with_scores(make(trainable_from="conv_4", dropout=0.0))
    batches = segmenter.batches(IMAGES, MASKS)
    expected = keras.Model.predict(segmenter, batches, verbose=0)
    cached = finetune.cache_features(batches, segmenter)
    head = finetune.suffix(segmenter)
    np.testing.assert_allclose(head.predict(cached, verbose=0), expected, atol=1e-5)
    segmenter.trainable_from = None
    cached = finetune.cache_features(batches, segmenter)
    np.testing.assert_allclose(
        finetune.suffix(segmenter).predict(cached, verbose=0), expected, atol=1e-5
    )
    segmenter.trainable_from = 0
    rates = finetune.discriminative(keras.optimizers.AdamW(1e-3), segmenter, layer_decay=0.5)
    assert rates.factors == {"conv_2": 0.125, "conv_4": 0.25, "conv_8": 0.5}
    segmenter.compile(rates)
    unfreezing = finetune.GradualUnfreezing(segmenter)
    segmenter.fit(IMAGES, MASKS, epochs=2, callbacks=[unfreezing], verbose=0)
    assert unfreezing.opened == {0: (), 1: ("conv_8",)}


def test_it_trains_under_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.src.trainers.trainer.model_supports_jit", lambda model: True)
    segmenter = make(trainable_from=0)
    segmenter.compile("adam", jit_compile=True)
    assert np.isfinite(segmenter.fit(IMAGES, MASKS, verbose=0).history["loss"][0])


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the artefacts are compared with TensorFlow's")
def test_an_exported_task_takes_images(tmp_path: Path) -> None:
    import onnxruntime
    import tensorflow as tf

    segmenter = with_scores(make())
    arrays = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    expected = segmenter.predict(arrays, verbose=0)
    export.to_saved_model(segmenter, tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served")).serve({"images": tf.constant(arrays)})
    np.testing.assert_allclose(served["logits"].numpy(), expected, atol=1e-4)
    export.to_onnx(segmenter, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    np.testing.assert_allclose(session.run(None, {"images": arrays})[0], expected, atol=1e-4)


def test_wrong_material_is_an_error() -> None:
    too_many = MASKS[0].copy()
    too_many[3, 4] = 3
    colours = Image.fromarray(np.zeros((32, 32, 3), "uint8"))
    cases: list[tuple[Any, type[Exception], str]] = [
        ([MASKS[1]], ValueError, r"Image 0: its mask has another size, \(40, 32\)"),
        ([too_many], ValueError, "Image 0: its mask has 3 at row 3, column 4. Expected a class"),
        ([colours], ValueError, r"Image 0: .*mask of shape .*Received: \(32, 32, 3\)"),
        ([MASKS[0] / 2], TypeError, "Image 0: A mask is .*float64"),
        ([], ValueError, "1 images and 0 answers"),
    ]
    for masks, kind, message in cases:
        with pytest.raises(kind, match=message):
            make().fit(IMAGES[:1], masks, verbose=0)
    with pytest.raises(ValueError, match="no `class_weight`"):
        make().fit(IMAGES, MASKS, class_weight={"disc": 2.0})


def test_wrong_arguments_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"strides below 8, .* each once: 2, 4. Received: \(16,\)"):
        make(skips=(16,))
    with pytest.raises(ValueError, match=r"at most 255 classes. Received: 256"):
        make(256)
    with pytest.raises(ValueError, match=r"takes images of 32 x 32. Received: size=\(32, 48\)"):
        make(size=(32, 48))
    with pytest.raises(ValueError, match=r"takes images of any size. Pass `size=`"):
        SemanticSegmenter(tiny_network(None), 2)
    with pytest.raises(ValueError, match="which takes"):
        SemanticSegmenter(FrozenBackbone(make_bert()), 2)
    flat = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2, name="top")]
    )
    with pytest.raises(ValueError, match=r"gives a feature map .* Its stages are: top"):
        SemanticSegmenter(flat, 2)


def test_strides_are_found_from_the_graph() -> None:
    network = applications.MobileNetV1(weights=None, alpha=0.25, include_top=False)
    assert maps_by_stride(FrozenBackbone(network), 100, 65) == {
        2: "Conv2d_1",
        4: "Conv2d_3",
        8: "Conv2d_5",
        16: "Conv2d_11",
        32: "Conv2d_13",
    }
