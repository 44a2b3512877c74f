"""Images are prepared as the publishers' own programs do it, from whatever they come in."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from keras_pretrained.applications.vision.images import prepare_images
from keras_pretrained.presets import ImageSpec, PresetError, preset_info
from tests.goldens.image_pattern import pattern

GOLDENS = Path(__file__).parents[1] / "goldens" / "image_preparation"
PHOTO = pattern(375, 500)
# Sides that are odd, that a float32 rounds, and that are smaller than the input.
SIZES = [(375, 500), (500, 333), (180, 131), (257, 256), (231, 997), (1, 1), (299, 299)]


def spec(name: str) -> ImageSpec:
    found = preset_info(name).image
    assert found is not None
    return found


def slim_inception(image: Any, size: int) -> np.ndarray:
    """`preprocess_for_eval` of slim's inception_preprocessing.py in TensorFlow's own operations."""
    import tensorflow as tf

    image = tf.image.convert_image_dtype(image, tf.float32)
    image = tf.image.central_crop(image, central_fraction=0.875)
    return tf.compat.v1.image.resize_bilinear(image[None], [size, size])[0].numpy() * 255


def slim_vgg(image: Any, size: int, side: int = 256) -> np.ndarray:
    """`preprocess_for_eval` of slim's vgg_preprocessing.py, before the means are subtracted."""
    import tensorflow as tf

    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = tf.cast(side, tf.float32) / tf.reduce_min(shape)
    resized = tf.compat.v1.image.resize_bilinear(
        image[None], tf.cast(tf.math.rint(shape * scale), tf.int32)
    )[0]
    offset = tf.cast((tf.shape(resized)[:2] - size) / 2, tf.int32)
    return tf.slice(resized, [*offset, 0], [size, size, 3]).numpy()


@pytest.mark.parity
@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("name", ["inception-v1", "inception-v3", "mobilenet-v1-0.25-128"])
def test_slim_inception(name: str, shape: tuple[int, int]) -> None:
    image = pattern(*shape)
    size = spec(name).size
    (ours,) = prepare_images(name, image)
    np.testing.assert_allclose(ours, slim_inception(image, size), rtol=0, atol=2e-4)


@pytest.mark.parity
@pytest.mark.parametrize("shape", SIZES)
def test_slim_vgg(shape: tuple[int, int]) -> None:
    image = pattern(*shape)
    (ours,) = prepare_images("resnet-v1-50", image)
    np.testing.assert_allclose(ours, slim_vgg(image, 224), rtol=0, atol=2e-4)


@pytest.mark.parity
@pytest.mark.parametrize(
    "name", ["resnet-18", "resnet-50-torchvision-v2", "inception-v3-torchvision"]
)
def test_torchvision(name: str) -> None:
    """Equal in every pixel: both are Pillow's resizing."""
    image = spec(name)
    with np.load(GOLDENS / "expected.npz") as expected:
        for height, width in ((375, 500), (500, 333), (180, 131), (257, 256), (1201, 300)):
            (ours,) = prepare_images(name, pattern(height, width))
            key = f"{height}x{width}_{image.resize}_{image.size}"
            np.testing.assert_array_equal(ours[::16, ::16], expected[key])
            sums = ours.astype(np.int64).sum(axis=(0, 1))
            np.testing.assert_array_equal(sums, expected[f"{key}_sum"])


@pytest.mark.parity
@pytest.mark.parametrize("name", ["resnet-50-keras", "xception"])
def test_keras(name: str, tmp_path: Path) -> None:
    import keras

    size = spec(name).size
    for height, width in SIZES:
        path = tmp_path / "photo.png"
        Image.fromarray(pattern(height, width)).save(path)
        loaded = keras.utils.load_img(path, target_size=(size, size))
        theirs = keras.utils.img_to_array(loaded)
        np.testing.assert_array_equal(prepare_images(name, path), theirs[None])


@pytest.mark.parametrize("name", ["inception-v1", "resnet-v1-50", "resnet-18", "resnet-50-keras"])
def test_every_kind_of_image_gives_the_same(name: str, tmp_path: Path) -> None:
    expected = prepare_images(name, PHOTO)
    assert expected.shape == (1, 224, 224, 3)
    assert expected.dtype == np.float32
    for suffix in ("png", "bmp", "ppm", "tiff", "webp"):
        path = tmp_path / f"photo.{suffix}"
        Image.fromarray(PHOTO).save(path, **({"lossless": True} if suffix == "webp" else {}))
        for given in (path, str(path), [path]):
            np.testing.assert_array_equal(prepare_images(name, given), expected)
    alpha = np.full((375, 500, 1), 7, np.uint8)
    for given in (
        [PHOTO],
        (PHOTO,),
        PHOTO[None],
        Image.fromarray(PHOTO),
        np.concatenate([PHOTO, alpha], axis=-1),
        Image.fromarray(np.concatenate([PHOTO, alpha], axis=-1)),
    ):
        np.testing.assert_array_equal(prepare_images(name, given), expected)
    # Pillow rounds images of bytes and leaves those of floats.
    for kind in (np.float32, np.float64, np.int32, np.uint16, np.float16):
        ours = prepare_images(name, PHOTO.astype(kind))
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1.1)


def test_tensors() -> None:
    import tensorflow as tf

    expected = prepare_images("inception-v1", PHOTO)
    for tensor in (tf.constant(PHOTO), tf.constant(PHOTO[None])):
        np.testing.assert_array_equal(prepare_images("inception-v1", tensor), expected)


@pytest.mark.parametrize("name", ["inception-v1", "resnet-v1-50", "resnet-18", "resnet-50-keras"])
def test_grey_images(name: str, tmp_path: Path) -> None:
    grey = PHOTO[..., 1]
    expected = prepare_images(name, np.stack([grey] * 3, axis=-1))
    path = tmp_path / "grey.png"
    Image.fromarray(grey).save(path)
    for given in (grey, grey[..., None], grey[None, ..., None], path, [grey, path]):
        for ours in prepare_images(name, given):
            np.testing.assert_array_equal(ours, expected[0])


def test_palettes_and_printing_colours(tmp_path: Path) -> None:
    few = np.repeat(np.repeat(PHOTO[:8, :8] // 64 * 64, 30, axis=0), 30, axis=1)
    Image.fromarray(few).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "p.gif")
    ours = prepare_images("resnet-50-keras", tmp_path / "p.gif")
    np.testing.assert_allclose(ours, prepare_images("resnet-50-keras", few), rtol=0, atol=8)
    Image.new("CMYK", (40, 30), (0, 255, 255, 0)).save(tmp_path / "c.jpg", quality=95)
    assert (
        np.abs(prepare_images("inception-v1", tmp_path / "c.jpg")[0, 50, 50] - [255, 0, 0]).max()
        < 6
    )


def test_images_of_several_sizes() -> None:
    images = [pattern(*shape) for shape in SIZES]
    for name in ("inception-v3", "vgg-16", "densenet-121"):
        batch = prepare_images(name, images)
        assert batch.shape == (len(images), spec(name).size, spec(name).size, 3)
        for prepared, image in zip(batch, images, strict=True):
            np.testing.assert_array_equal(prepared, prepare_images(name, image)[0])
        assert 0 <= batch.min() < batch.max() <= 255


def test_presets_by_name_record_and_specification() -> None:
    expected = prepare_images("vgg-16", PHOTO)
    record = preset_info("vgg-16")
    for preset in (record, record.image):
        assert preset is not None
        np.testing.assert_array_equal(prepare_images(preset, PHOTO), expected)


def test_another_size() -> None:
    """The crop keeps its share of the image."""
    small, published = prepare_images("resnet-v1-50", PHOTO, size=112), spec("resnet-v1-50")
    assert published.resize == 256
    assert small.shape == (1, 112, 112, 3)
    np.testing.assert_allclose(small[0], slim_vgg(PHOTO, 112, side=128), rtol=0, atol=2e-4)
    np.testing.assert_allclose(
        prepare_images("inception-v1", PHOTO, size=96)[0],
        slim_inception(PHOTO, 96),
        rtol=0,
        atol=2e-4,
    )
    for name in ("resnet-18", "resnet-50-keras"):
        assert prepare_images(name, PHOTO, size=160).shape == (1, 160, 160, 3)
    for size in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="size must be a positive number of pixels"):
            prepare_images("resnet-18", PHOTO, size=size)  # type: ignore[arg-type]


def png(width: int, height: int) -> bytes:
    """A few bytes that promise a large image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")
    )


def whole_png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PHOTO).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("none.png", None, r"none\.png' is not a file. Expected an image: JPEG, PNG"),
        ("text.jpg", b"hello", r"text\.jpg' is not an image of a known format"),
        ("empty.jpg", b"", r"empty\.jpg' is not an image of a known format"),
        # Pillow would hand these to another program.
        ("page.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image of a kn"),
        ("half.png", whole_png()[:20_000], r"half\.png' is damaged: "),
        ("broken.png", png(20, 20), r"broken\.png' is damaged: "),
        ("bomb.png", png(60_000, 60_000), r"bomb\.png' has too many pixels"),
        ("large.png", png(10_000, 10_000), r"large\.png' has too many pixels"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_files_that_are_no_images(
    name: str, data: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        prepare_images("inception-v1", path)
    with pytest.raises(ValueError, match=f"^Image 1: .*{name}"):
        prepare_images("inception-v1", [PHOTO, path])


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((5, 5, 2)), ValueError, r"Expected an image of shape.*Received: \(5, 5, 2\)"),
        (np.zeros(5), ValueError, r"Received: \(5,\)"),
        (np.zeros((2, 2, 5, 5, 3)), ValueError, r"Received: \(2, 2, 5, 5, 3\)"),
        (np.zeros((0, 5, 3)), ValueError, r"Received: \(0, 5, 3\)"),
        (np.zeros((0, 5, 5, 3)), ValueError, "Expected at least one image"),
        ([], ValueError, r"Expected at least one image. Received: \[\]"),
        ([PHOTO, PHOTO[None]], ValueError, r"Image 1: .*Received: \(1, 375, 500, 3\)"),
        ([PHOTO, None], TypeError, "Image 1: An image is a path.*Received: NoneType of dtype obj"),
        (np.zeros((5, 5, 3), complex), TypeError, "dtype complex128"),
        (np.zeros((5, 5, 3), bool), TypeError, "dtype bool"),
        (3, ValueError, r"Received: \(\)"),
    ],
)
def test_things_that_are_no_images(images: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        prepare_images("inception-v1", images)


def test_networks_that_take_no_images() -> None:
    with pytest.raises(PresetError, match="'bert-base' is of family 'bert', which takes no images"):
        prepare_images("bert-base", PHOTO)
    with pytest.raises(PresetError, match="Unknown preset 'inception-v9'"):
        prepare_images("inception-v9", PHOTO)
