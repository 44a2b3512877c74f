"""The image networks of the registry: all that were published, each as its publisher has it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from keras_pretrained.presets import (
    ImageSpec,
    Preset,
    PresetError,
    SourceError,
    image_presets,
    list_presets,
    preset_info,
    resolve,
)
from keras_pretrained.presets.families import FAMILIES
from keras_pretrained.presets.registry import registry

PRESETS = [preset for preset in registry().presets.values() if preset.image]
IDS = [preset.name for preset in PRESETS]
APPLICATIONS = "keras_pretrained.applications.vision."

# Widths and sizes of research/slim/nets/mobilenet_v1.md and of mobilenet/README.md.
V1 = [(alpha, size) for alpha in (0.25, 0.5, 0.75, 1.0) for size in (128, 160, 192, 224)]
V2 = [(alpha, size) for alpha in (0.35, 0.5, 0.75, 1.0) for size in (96, 128, 160, 192, 224)]
V2 += [(1.3, 224), (1.4, 224)]
DEPTHS = (50, 101, 152)

SLIM = {
    "inception-v1", "inception-v2", "inception-v3", "inception-v4", "inception-resnet-v2",
    *(f"resnet-v1-{depth}" for depth in DEPTHS),
    *(f"resnet-v2-{depth}" for depth in (*DEPTHS, 200)),
    "vgg-16", "vgg-19",
    *(f"mobilenet-v1-{alpha}-{size}" for alpha, size in V1),
    *(f"mobilenet-v2-{alpha}-{size}" for alpha, size in V2),
    "nasnet-a-mobile", "nasnet-a-large", "pnasnet-5-mobile", "pnasnet-5-large",
}  # fmt: skip
KERAS = {
    "xception", "inception-v3-keras", "inception-resnet-v2-keras", "vgg-16-keras", "vgg-19-keras",
    *(f"resnet-{depth}-keras" for depth in DEPTHS),
    *(f"resnet-v2-{depth}-keras" for depth in DEPTHS),
    *(f"mobilenet-v1-{alpha}-{size}-keras" for alpha, size in V1),
    *(f"mobilenet-v2-{alpha}-{size}-keras" for alpha, size in V2),
    *(f"densenet-{depth}-keras" for depth in (121, 169, 201)),
    "nasnet-a-mobile-keras", "nasnet-a-large-keras",
}  # fmt: skip
TORCHVISION = {
    "alexnet", "vgg-11", "vgg-13", "vgg-16-torchvision", "vgg-19-torchvision",
    *(f"vgg-{depth}-bn" for depth in (11, 13, 16, 19)),
    "resnet-18", "resnet-34",
    *(f"resnet-{depth}-torchvision" for depth in DEPTHS),
    *(f"resnet-{depth}-torchvision-v2" for depth in DEPTHS),
    "squeezenet-1.0", "squeezenet-1.1",
    *(f"densenet-{depth}" for depth in (121, 161, 169, 201)),
    "inception-v3-torchvision", "googlenet",
}  # fmt: skip


def image(name: str) -> ImageSpec:
    spec = preset_info(name).image
    assert spec is not None
    return spec


def test_every_release_is_there_and_nothing_else() -> None:
    found: dict[str, set[str]] = {}
    for preset in PRESETS:
        found.setdefault(image(preset.name).weights.split("-")[1], set()).add(preset.name)
    assert found == {"slim": SLIM, "keras": KERAS, "torchvision": TORCHVISION}


@pytest.mark.parametrize("preset", PRESETS, ids=IDS)
def test_every_preset_is_complete(preset: Preset) -> None:
    spec = image(preset.name)
    assert preset.builder.startswith(APPLICATIONS)
    assert preset.parameters > 400_000
    assert dict(preset.tokenizer) == {}
    assert preset.paper is not None
    assert re.fullmatch(r"https://arxiv\.org/abs/\d{4}\.\d{4,5}", preset.paper.url)
    assert "{" not in preset.description
    dialect = spec.weights.split("-")[1]
    for source in preset.sources:
        assert source.dialect == dialect
        assert source.kind == ("archive" if dialect == "slim" else "file")
        assert not {"*", "{"} & set(source.address)
    assert bool(preset.sources) == (preset.name != "resnet-v2-200")
    # torchvision states no licence; Keras none for its ResNet V2.
    absent = ("resnet-v2-200", "resnet-v2-*-keras")
    known = not any(preset.name in list_presets(each) for each in absent)
    assert (preset.licence is not None) == (known and dialect != "torchvision")


@pytest.mark.parametrize("preset", PRESETS, ids=IDS)
def test_preparation_fits_the_publisher(preset: Preset) -> None:
    spec = image(preset.name)
    background_first = spec.weights == "imagenet-slim" and spec.scaling == "inception"
    assert spec.classes == (1001 if background_first else 1000)
    expected = {"slim": "bilinear", "keras": "nearest", "torchvision": "antialiased-bilinear"}
    assert spec.interpolation == expected[spec.weights.split("-")[1]]
    assert (spec.crop_fraction == 0.875) == background_first
    if spec.resize:
        # 7/8 of the shorter side are kept, but for the recipe of 2021.
        kept = 0.965 if spec.weights.endswith("v2") else 0.875
        assert spec.size / spec.resize == pytest.approx(kept, abs=0.002)
    if preset.family in ("mobilenet", "nasnet", "inception"):
        assert spec.scaling == "inception"
    large = ("inception-v3", "inception-v4", "inception-resnet", "xception")
    if preset.name.startswith(large):
        assert spec.size == 299


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_torchvision_names_hold_the_first_digits_of_the_hash(name: str) -> None:
    (source,) = preset_info(name).sources
    digits = re.fullmatch(r".+-([0-9a-f]{8})\.pth", source.files["weights"])
    assert digits
    assert dict(source.sha256) == {"weights": digits[1]}
    assert source.address.endswith("/" + source.files["weights"])


@pytest.mark.parity
def test_keras_files_and_hashes_are_those_of_its_code() -> None:
    found = importlib.util.find_spec("keras")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "src" / "applications"
    code = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    for name in KERAS:
        (source,) = preset_info(name).sources
        if preset_info(name).family == "mobilenet":
            assert dict(source.md5) == {}
            continue
        assert source.md5["weights"] in code
        assert source.files["weights"].split("_")[0].split(".")[0] in code
        assert "/".join(source.address.split("/")[:6]).rsplit("/", 1)[0] + "/" in code


def test_mobilenet_files_have_the_width_and_size_in_their_names() -> None:
    for alpha, size in V1:
        text = f"{alpha:.2f}"
        digits = {"1.00": "1_0", "0.75": "7_5", "0.50": "5_0", "0.25": "2_5"}[text]
        (keras,) = preset_info(f"mobilenet-v1-{alpha}-{size}-keras").sources
        assert keras.files["weights"] == f"mobilenet_{digits}_{size}_tf.h5"
        for slim in preset_info(f"mobilenet-v1-{alpha}-{size}").sources:
            assert slim.address.endswith(f"/mobilenet_v1_{alpha}_{size}.tgz")
    for alpha, size in V2:
        (keras,) = preset_info(f"mobilenet-v2-{alpha}-{size}-keras").sources
        assert keras.address.endswith(f"_tf_dim_ordering_tf_kernels_{alpha}_{size}.h5")
        (slim,) = preset_info(f"mobilenet-v2-{alpha}-{size}").sources
        assert slim.address.endswith(f"/mobilenet_v2_{alpha}_{size}.tgz")


def test_parameters_are_the_same_wherever_the_network_is() -> None:
    """Copies differ by what is known of them: the background class, and Keras' needless biases."""
    count = {preset.name: preset.parameters for preset in PRESETS}
    for alpha, size in V1:
        name = f"mobilenet-v1-{alpha}-{size}"
        assert count[name] - count[f"{name}-keras"] == 1 + int(1024 * alpha)
    for name, width in (
        ("inception-v3", 2048),
        ("inception-resnet-v2", 1536),
        ("nasnet-a-mobile", 1056),
        ("nasnet-a-large", 4032),
    ):
        assert count[name] - count[f"{name}-keras"] == 1 + width
    for depth in (16, 19):
        assert count[f"vgg-{depth}"] == count[f"vgg-{depth}-keras"]
        assert count[f"vgg-{depth}"] == count[f"vgg-{depth}-torchvision"]
    for depth, biases in ((50, 26_560), (101, 52_672), (152, 75_712)):
        assert count[f"resnet-v1-{depth}"] == count[f"resnet-{depth}-torchvision"]
        assert count[f"resnet-{depth}-keras"] - count[f"resnet-v1-{depth}"] == biases
    for depth in (121, 169, 201):
        assert count[f"densenet-{depth}"] == count[f"densenet-{depth}-keras"]


def test_accuracy() -> None:
    assert (image("mobilenet-v1-0.25-128").top_1, image("mobilenet-v1-0.25-128").top_5) == (
        41.5,
        66.3,
    )
    assert image("resnet-50-torchvision-v2").top_1 == 80.858
    assert image("mobilenet-v1-0.25-128-keras").top_1 is None
    for preset in PRESETS:
        spec = image(preset.name)
        assert (spec.top_1 is None) == (spec.top_5 is None)
        if spec.top_1 is not None and spec.top_5 is not None:
            assert 40 < spec.top_1 < spec.top_5 < 97


def test_what_a_builder_offers() -> None:
    found = image_presets(APPLICATIONS + "resnet_v1:ResNetV1_50")
    assert {weights: preset.name for weights, preset in found.items()} == {
        "imagenet-slim": "resnet-v1-50",
        "imagenet-keras": "resnet-50-keras",
    }
    found = image_presets(APPLICATIONS + "resnet:ResNet50")
    assert list(found) == ["imagenet-torchvision", "imagenet-torchvision-v2"]
    assert image_presets(APPLICATIONS + "nowhere:Nothing") == {}


@pytest.mark.parametrize(("size", "name"), [(None, 224), (160, 160), (96, 224)])
def test_the_published_size_or_else_the_largest(size: int | None, name: int) -> None:
    builder = APPLICATIONS + "mobilenet_v1:MobileNetV1"
    found = image_presets(builder, alpha=0.25, size=size)
    assert found["imagenet-slim"].name == f"mobilenet-v1-0.25-{name}"
    assert found["imagenet-keras"].name == f"mobilenet-v1-0.25-{name}-keras"
    assert image_presets(builder, alpha=0.3, size=size) == {}


def test_arguments_that_do_not_tell_which_network() -> None:
    with pytest.raises(PresetError, match=r"has several networks: mobilenet-v1-0\.25.*with alpha"):
        image_presets(APPLICATIONS + "mobilenet_v1:MobileNetV1")
    builder = APPLICATIONS + "vgg:VGG16"
    assert set(image_presets(builder, batch_norm=False)) == {
        "imagenet-slim",
        "imagenet-keras",
        "imagenet-torchvision",
    }
    assert set(image_presets(builder, batch_norm=True)) == {"imagenet-torchvision"}


def test_every_preset_is_what_its_builder_offers() -> None:
    for preset in PRESETS:
        spec = image(preset.name)
        found = image_presets(preset.builder, size=spec.size, **preset.architecture)
        assert found[spec.weights] is preset


def test_what_was_never_published_asks_for_a_path() -> None:
    with pytest.raises(SourceError, match=r"'resnet-v2-200' were never published. Give the path"):
        resolve("resnet-v2-200")
    assert "none: these weights were never published" in str(preset_info("resnet-v2-200"))


def test_absent_files_say_what_to_fetch() -> None:
    with pytest.raises(SourceError) as caught:
        resolve("inception-v3")
    for part in ("inception_v3_2016_08_28.tar.gz", "*.ckpt or *.ckpt.index", "weights=None"):
        assert part in str(caught.value)


def test_order_of_widths_is_that_of_their_values() -> None:
    widths = [
        preset_info(name).architecture["alpha"] for name in list_presets("mobilenet-v2-*-224")
    ]
    assert widths == [0.35, 0.5, 0.75, 1.0, 1.3, 1.4]


def test_summary() -> None:
    text = str(preset_info("resnet-50-torchvision-v2"))
    for part in (
        "resnet (ResNet50)",
        "25,557,032",
        "shorter side to 232, centre crop; 224 x 224, antialiased-bilinear; torch scaling",
        "top-1 80.858 %, top-5 95.434 %",
        "resnet50-11ad3fa6.pth (torchvision)",
    ):
        assert part in text
    assert "tokenizer" not in text


def test_families_are_of_one_kind() -> None:
    for preset in registry().presets.values():
        assert FAMILIES[preset.family].takes_images == (preset.image is not None)


def test_aliases_say_the_source() -> None:
    aliases = registry().aliases
    for alias, name in (
        ("resnet-18-torchvision", "resnet-18"),
        ("resnet-v1-50-keras", "resnet-50-keras"),
        ("densenet-121-torchvision", "densenet-121"),
        ("xception-keras", "xception"),
    ):
        assert aliases[alias] == name
    # A network with several published weights has no plain name unless one is the original.
    assert {"resnet-50", "resnet-101"}.isdisjoint({*aliases, *registry().presets})
