"""Wrong tables of image networks are errors that name the preset and the entry."""

from __future__ import annotations

import pytest

from keras_pretrained.presets import PresetError
from keras_pretrained.presets.table import parse_table

TABLE = """
family = "mobilenet"

[parts.small]
builder = "keras_pretrained.applications.vision.mobilenet_v1:MobileNetV1"
architecture = { alpha = 0.5 }
[parts.small.image]
weights = "imagenet-slim"
size = 160
scaling = "inception"
crop_fraction = 0.875
interpolation = "bilinear"
classes = 1001

[sources.slim]
base = "https://example.org/"
dialect = "slim"
files = { weights = "*.ckpt{,.index}" }
[sources.keras]
base = "https://example.org/"
dialect = "keras"
files = { weights = "{path}" }

[presets.one]
parts = ["small"]
description = "width {alpha} at {size}"
parameters = 1_332_105
image = { top_1 = 59.1, top_5 = 81.9 }
sources = [
    { from = "slim", path = "net_{alpha}_{size}.tgz" },
    { from = "keras", path = "net/5_0_{size}.h5", md5 = { weights = "MD5" } },
]
""".replace("MD5", "0" * 32)


def test_a_table_of_images() -> None:
    (preset,) = parse_table(TABLE, "t.toml")
    assert preset.builder == "keras_pretrained.applications.vision.mobilenet_v1:MobileNetV1"
    assert preset.description == "width 0.5 at 160"
    assert preset.parameters == 1_332_105
    assert preset.image is not None
    assert (preset.image.size, preset.image.top_1, preset.image.resize) == (160, 59.1, None)
    slim, keras = preset.sources
    assert (slim.address, slim.kind) == ("https://example.org/net_0.5_160.tgz", "archive")
    assert slim.files == {"weights": "*.ckpt{,.index}"}
    assert (keras.address, keras.kind) == ("https://example.org/net/5_0_160.h5", "file")
    assert keras.files == {"weights": "5_0_160.h5"}
    assert keras.md5 == {"weights": "0" * 32}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("builder =", "# builder =", "wrong builder ''"),
        ("parameters = 1_332_105", "", "'one': missing parameters"),
        ("parameters = 1_332_105", "parameters = 0", "parameters must be positive, not 0"),
        ("parameters = 1_332_105", "parameters = 1.5", "'parameters' must be of type int"),
        ("alpha = 0.5", "alpha = 5.0", r"alpha must lie in \(0, 4\], not 5.0"),
        ("alpha = 0.5", "width = 0.5", "architecture, entry: unknown value 'width'"),
        ('weights = "imagenet-slim"', 'weights = "imagenet"', "image, weights: unknown value"),
        ("size = 160", "", "image: missing size"),
        ("size = 160", "size = 0", "size must be positive, not 0"),
        ("size = 160", "sizes = 160", "image, entry: unknown value 'sizes'"),
        ('scaling = "inception"', 'scaling = "tf"', "scaling: unknown value 'tf'. Expected: inc"),
        ('"bilinear"', '"cubic"', "interpolation: unknown value 'cubic'"),
        ("0.875", "1.5", r"crop_fraction must lie in \(0, 1\), not 1.5"),
        ("0.875", "0.875\nresize = 256", "resize and crop_fraction exclude each other"),
        ("crop_fraction = 0.875", "resize = 100", "resize=100 leaves too little to crop size=160"),
        ("classes = 1001", "classes = 21841", "classes must be 1000 or 1001, not 21841"),
        ("59.1", "0.591", "top_1 is in percent, not 0.591"),
        ("59.1", "59", "'top_1' must be of type float, not int"),
        ('"*.ckpt{,.index}"', '"../*.ckpt"', "wrong pattern"),
        ('"*.ckpt{,.index}"', '"a/*.ckpt"', "wrong pattern 'a/\\*.ckpt'"),
        ("{path}", "*.h5", r"wrong file name '\*\.h5'"),
        ("0" * 32, "0" * 31, "wrong md5"),
        ("md5 = { weights", "md5 = { config", "md5, entry: unknown value 'config'"),
        ("parameters =", "unreleased = true\nparameters =", "`unreleased` is for a network with"),
        ("parameters =", "tokenizer = { kind = 'x' }\nparameters =", "tokenizer, entry: unknown"),
        ("{size}.tgz", "{height}.tgz", "refers to 'height'"),
    ],
)
def test_wrong_tables(old: str, new: str, message: str) -> None:
    assert old in TABLE
    with pytest.raises(PresetError, match=message) as caught:
        parse_table(TABLE.replace(old, new, 1), "t.toml")
    assert "t.toml" in str(caught.value)


def test_an_image_is_not_for_texts() -> None:
    from tests.presets.test_table import TABLE as TEXTS

    for entry in ("parameters = 5", "image = { size = 1 }"):
        with pytest.raises(PresetError, match="is for families that take images"):
            parse_table(TEXTS.replace("aliases =", f"{entry}\naliases =", 1), "t.toml")
