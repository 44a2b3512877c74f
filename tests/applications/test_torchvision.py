"""torchvision's networks against torchvision itself (goldens/make_torchvision.py)."""

from __future__ import annotations

import gzip
import json
import runpy
from collections.abc import Iterable
from functools import cache
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import applications, list_presets, preset_info
from keras_pretrained.applications.vision import densenet
from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.inception import AUXILIARY
from keras_pretrained.applications.vision.plan import Network
from keras_pretrained.checkpoints import open_checkpoint
from keras_pretrained.checkpoints.writing import write_checkpoint
from keras_pretrained.weights import WeightsError
from tests.goldens.torchvision_values import images, value
from tests.parity.recording import Record

GOLDENS = Path(__file__).parents[1] / "goldens" / "torchvision"
FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures"
SIZE = (65, 96)

BUILDERS = {
    **{f"resnet{depth}": f"ResNet{depth}" for depth in (18, 34, 50, 101, 152)},
    **{f"densenet{depth}": f"DenseNet{depth}" for depth in (121, 161, 169, 201)},
    "squeezenet1_0": "SqueezeNet1_0",
    "squeezenet1_1": "SqueezeNet1_1",
    "googlenet": "InceptionV1",
    "inception_v3": "InceptionV3",
    "alexnet": "AlexNet",
}
IN_FIXTURES = {
    **{name: BUILDERS[name] for name in ("alexnet", "densenet121", "resnet18", "resnet50")},
    **{name: BUILDERS[name] for name in ("squeezenet1_1", "googlenet", "inception_v3")},
    "vgg11_bn": "VGG11",
    "vgg16": "VGG16",
}
SIZES = {"alexnet": (224, 224), "inception_v3": (99, 107)}
# The others are deeper or wider, of the same code.
QUICK = (
    *("resnet18", "resnet50", "densenet121", "squeezenet1_0", "squeezenet1_1", "alexnet"),
    "googlenet",
)
STAGES = {
    "squeezenet1_1": ["stem", *(f"fire{number}" for number in range(2, 10)), "logits"],
    "resnet18": ["stem", "layer1", "layer2", "layer3", "layer4", "logits"],
    "densenet121": [
        *("stem", "denseblock1", "transition1", "denseblock2", "transition2", "denseblock3"),
        *("transition3", "denseblock4", "logits"),
    ],
    "alexnet": ["stem", "features.3", "features.6", "features.8", "features.10", "logits"],
    "googlenet": [
        *("stem", "Mixed_3b", "Mixed_3c", *(f"Mixed_4{letter}" for letter in "bcdef")),
        *("Mixed_5b", "Mixed_5c", "logits"),
    ],
}
GOOGLENET = {
    "conv1": "Conv2d_1a_7x7",
    "maxpool1": "MaxPool_2a_3x3",
    "conv2": "Conv2d_2b_1x1",
    "conv3": "Conv2d_2c_3x3",
    "maxpool2": "MaxPool_3a_3x3",
    "maxpool3": "MaxPool_4a_3x3",
    "maxpool4": "MaxPool_5a_2x2",
    "avgpool": "AvgPool_0a_7x7",
    # The paper and slim begin with b.
    **{f"inception{n}{x}": f"Mixed_{n}{chr(ord(x) + 1)}" for n in "345" for x in "abcde"},
}
INCEPTION_V3 = {
    "maxpool1": "MaxPool_3a_3x3",
    "maxpool2": "MaxPool_5a_3x3",
    "avgpool": "AvgPool_1a_8x8",
}
HEADS = {"fc": "logits", "classifier": "logits", "features": "features"}
"""Children that several of torchvision's networks have."""
NOT_OURS = {
    "resnet": {"conv1", "bn1"},  # before the activation
    "alexnet": {"avgpool"},  # changes nothing at the published size
    "vgg": {"avgpool"},
    "googlenet": {"dropout"},
    "inception_v": {"dropout"},
}


def networks(names: Iterable[str], quick: tuple[str, ...]) -> list[Any]:
    """Networks as parameters; those that are not quick take part in complete runs only."""
    slow = {name: () if name in quick else (pytest.mark.exhaustive,) for name in names}
    return [pytest.param(name, marks=marks) for name, marks in slow.items()]


@cache
def state_dicts() -> dict[str, dict[str, list[int]]]:
    return json.loads(gzip.decompress((GOLDENS / "state_dicts.json.gz").read_bytes()))


def tensors(name: str) -> dict[str, np.ndarray]:
    return {key: value(key, tuple(shape)) for key, shape in state_dicts()[name].items()}


def build(name: str, weights: Any, **options: Any) -> Any:
    builder = getattr(applications, {**BUILDERS, **IN_FIXTURES}[name])
    if name.endswith("_bn"):
        options["batch_norm"] = True
    return builder(weights, **{"preprocessing": False, "classifier_activation": None, **options})


def family_of(name: str) -> str:
    return name.removesuffix("_bn").rstrip("0123456789_")


def is_auxiliary(key: str) -> bool:
    """Whether a tensor belongs to a head that only training used."""
    return key.startswith(("aux1.", "aux2.", "AuxLogits."))


def end_point(name: str, module: str) -> str:
    """The end point that is the output of torchvision's module."""
    family, place = family_of(name), module.removeprefix("features.")
    if module in HEADS:
        return "pool5" if (family, module) == ("vgg", "features") else HEADS[module]
    if family == "squeezenet":
        fires = [key for key in state_dicts()[name] if key.endswith(".squeeze.weight")]
        return f"fire{2 + fires.index(f'{module}.squeeze.weight')}"
    if family == "alexnet":
        # torchvision counts the activations and pools that end our stages.
        return {
            "2": "stem",
            "5": "features.3",
            "7": "features.6",
            "9": "features.8",
            "12": "features.10",
        }[place]
    return {"googlenet": GOOGLENET, "inception_v3": INCEPTION_V3}.get(name, {}).get(place, place)


def relative(ours: Any, original: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    spread = np.ptp(original)
    return np.asarray(ours) / spread, original / spread


@cache
def stored() -> dict[str, np.ndarray]:
    with np.load(GOLDENS / "expected.npz") as arrays:
        return dict(arrays)


def compare_modules(features: Any, name: str, measured: Any) -> None:
    """The samples of what every stored module gave."""
    keys = [key for key in stored() if key.startswith(f"{name}/") and key.endswith("/shape")]
    assert keys
    for key in keys:
        module = key.split("/")[1]
        ours = np.asarray(features[end_point(name, module)]).transpose(0, 3, 1, 2)
        assert list(ours.shape) == list(stored()[key]), module
        samples = np.linspace(0, ours.size - 1, 32).astype(int)
        original = stored()[f"{name}/{module}/values"]
        measured.close("modules, relative", *relative(ours.reshape(-1)[samples], original))
        mean, deviation = stored()[f"{name}/{module}/moments"]
        assert ours.mean(dtype="f8") == pytest.approx(mean, abs=1e-5 * deviation)
        assert ours.std(dtype="f8") == pytest.approx(deviation, rel=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("name", networks(BUILDERS, QUICK))
def test_networks_compute_what_torchvision_computes(
    name: str, tmp_path: Path, parity: Record
) -> None:
    family = "inception" if name in ("googlenet", "inception_v3") else family_of(name)
    row = parity(f"{family}/torchvision")
    container, suffix = "torch", "pth"
    if "safetensors" in row.row.checkpoint:
        container = suffix = "safetensors"
    path = write_checkpoint(tmp_path / f"{name}.{suffix}", tensors(name), container)
    batch = images(*SIZES.get(name, SIZE))
    model = build(name, path, input_shape=batch.shape[1:])
    features = model.features(batch)
    row.close("logits, relative", *relative(features["logits"][:, ::8], stored()[f"{name}/logits"]))
    compare_modules(features, name, row)
    auxiliary = set(filter(is_auxiliary, state_dicts()[name]))
    assert set(model.load_report.ignored.values()) <= {"a counter of training steps", AUXILIARY}
    if name in STAGES:
        assert [stage.name for stage in model.stages] == STAGES[name]
    counters = {key for key in state_dicts()[name] if key.endswith("num_batches_tracked")}
    assert set(model.load_report.ignored) == counters | auxiliary


@pytest.mark.parity
@pytest.mark.skipif(not FIXTURES.is_dir(), reason="absent: ../shared/fixtures")
@pytest.mark.parametrize("name", networks(IN_FIXTURES, ("squeezenet1_1",)))
def test_activations_of_a_trained_size(name: str, tmp_path: Path) -> None:
    """At the published size, with weights scaled so that no layer dies, in children and logits."""
    folder = FIXTURES / "torchvision" / name
    rule = runpy.run_path(str(folder.parent / "values.py"))["value"]
    shapes, scales = (
        json.loads((folder / f"{file}.json").read_text()) for file in ("vars", "scalars")
    )
    state = {key: rule(key, tuple(shape), scales.get(key, 1.0)) for key, shape in shapes}
    path = write_checkpoint(tmp_path / "net.pth", state, "torch")
    if name == "squeezenet1_1":
        # The same network as torch wrote it.
        path = FIXTURES / "torch_pickle" / "squeezenet1_1_zip.pth"
    batch = runpy.run_path(str(FIXTURES / "slim" / "values.py"))["make_input"](
        299 if name == "inception_v3" else 224
    )
    model = build(name, path)
    features = model.features(batch)
    with np.load(folder / "outputs.npz") as outputs:
        ours, original = relative(features["logits"], outputs["logits"])
        np.testing.assert_allclose(ours, original, atol=1e-5)
        for index, child in enumerate(outputs["ep_names"]):
            if child in NOT_OURS.get(family_of(name), ()):
                continue
            array = np.asarray(features[end_point(name, str(child))])
            array = array.transpose(0, 3, 1, 2) if array.ndim == 4 else array
            samples = array.reshape(-1)[outputs[f"ep{index:03d}_sample_idx"]]
            ours, original = relative(samples, outputs[f"ep{index:03d}_sample"])
            np.testing.assert_allclose(ours, original, atol=1e-5, err_msg=str(child))
    written = open_checkpoint(model.save_weights_as(tmp_path / "again.safetensors"))
    counters = {key for key in state if key.endswith("num_batches_tracked")}
    kept = set(state) - counters - set(filter(is_auxiliary, state))
    assert set(written) == kept
    assert all(written[key].read().tobytes() == state[key].tobytes() for key in kept)


# --- a whole DenseNet of nine layers, in files that torch wrote -----------------------------------

_FORM = densenet.DenseNet121.network.dialects["torchvision"]
_SMALL = {"blocks": (2, 1), "growth": 4, "stem": 8}


def small(form: Any, **knobs: Any) -> Application:
    """A builder of DenseNets of other sizes."""
    form = type(form)(**{**vars(form), "knobs": MappingProxyType(knobs)})
    return Application(
        Network("Small", densenet.__name__, densenet.body, densenet.head, {form.name: form})
    )


@pytest.mark.parity
@pytest.mark.parametrize(
    "file", ["densenet_9_2017.pth", "densenet_9.pth", "densenet_9.safetensors"]
)
def test_files_of_both_eras(file: str, tmp_path: Path, parity: Record) -> None:
    options = {"preprocessing": False, "classifier_activation": None, "input_shape": (*SIZE, 3)}
    model = small(_FORM, **_SMALL)(GOLDENS / file, **options)
    features = model.features(images(*SIZE))
    row = parity("densenet/torchvision-2017")
    row.close("logits, relative", *relative(features["logits"], stored()["densenet_9/logits"]))
    compare_modules(features, "densenet_9", row)
    original = open_checkpoint(GOLDENS / file)
    assert original.format == ("torch-legacy" if "2017" in file else original.format)
    written = open_checkpoint(model.save_weights_as(tmp_path / f"again{Path(file).suffix}"))
    kept = {name for name in original if not name.endswith("num_batches_tracked")}
    assert set(written) == kept
    assert ("features.denseblock1.denselayer1.norm.1.weight" in kept) == ("2017" in file)
    for name in kept:
        assert written[name].read().tobytes() == original[name].read().tobytes(), name


def test_names_of_both_eras_at_once_are_ambiguous(tmp_path: Path) -> None:
    newer, older = (open_checkpoint(GOLDENS / f"densenet_9{era}.pth") for era in ("", "_2017"))
    both = {name: array.read() for name, array in {**newer, **older}.items()}
    path = write_checkpoint(tmp_path / "both.pth", both, "torch")
    with pytest.raises(WeightsError, match=r"denselayer1\.norm\.1\.weight"):
        small(_FORM, **_SMALL)(path, include_top=False)


# --- DenseNet in Keras' files ---------------------------------------------------------------------

# What keras_applications, which made the published files, called the layers until 2019.
OLDER = {"conv1_conv": "conv1/conv", "conv1_bn": "conv1/bn", "predictions": "fc1000"}


def keras_file(model: Any, path: Path, names: dict[str, str]) -> Path:
    """The weights of a model in the file that Keras 2 wrote."""
    import h5py

    layers = [(names.get(layer.name, layer.name), layer) for layer in model.layers]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([name for name, _ in layers], "S")
        for name, layer in layers:
            group = file.create_group(name)
            weights = {f"{name}/{each.name}:0": each for each in layer.weights}
            group.attrs["weight_names"] = np.array(list(weights), "S")
            for weight_name, each in weights.items():
                group.create_dataset(weight_name, data=keras.ops.convert_to_numpy(each))
    return path


def randomised(model: Any) -> Any:
    generator = np.random.default_rng(7)
    for weight in model.weights:
        last = weight.path.rpartition("/")[2]
        made = generator.normal(0, 1, weight.shape) * (2 / max(1, prod(weight.shape[:-1]))) ** 0.5
        if last in ("gamma", "moving_variance"):
            made = generator.uniform(0.5, 1.5, weight.shape)
        elif last in ("beta", "moving_mean", "bias"):
            made = generator.normal(0, 0.1, weight.shape)
        weight.assign(made.astype("float32"))
    return model


@pytest.mark.parity
@pytest.mark.parametrize("names", [{}, OLDER], ids=["today", "2018"])
def test_keras_gives_the_same(names: dict[str, str], tmp_path: Path) -> None:
    from keras.src.applications.densenet import DenseNet

    blocks = (1, 2, 1, 1)
    options = {"weights": None, "input_shape": (64, 96, 3), "classes": 9}
    theirs = randomised(DenseNet(blocks, **options, name="small"))
    form = densenet.DenseNet121.network.dialects["keras"]
    builder = small(form, blocks=blocks, growth=32, stem=64)
    path = keras_file(theirs, tmp_path / "small.h5", names)
    ours = builder(path, input_shape=(64, 96, 3), preprocessing=False)
    assert ours.load_report.ignored == {}
    batch = images(64, 96)
    expected = theirs(batch, training=False)
    np.testing.assert_allclose(ours(batch), expected, atol=1e-5)
    fresh = builder(path, classes=3, input_shape=(64, 96, 3))
    assert len(fresh.load_report.ignored) == 2
    raw = np.random.default_rng(1).integers(0, 256, (1, 64, 96, 3)).astype("uint8")
    scaled = keras.applications.densenet.preprocess_input(raw.astype("float32"))
    features = keras.Model(theirs.input, theirs.get_layer("relu").output)
    np.testing.assert_allclose(
        fresh.features(raw)["features"], features(scaled, training=False), atol=1e-4
    )


@pytest.mark.parity
@pytest.mark.exhaustive
@pytest.mark.parametrize("depth", [121, 169, 201])
def test_keras_gives_the_same_in_every_depth(depth: int, tmp_path: Path) -> None:
    theirs = randomised(
        getattr(keras.applications, f"DenseNet{depth}")(weights=None, input_shape=(*SIZE, 3))
    )
    path = keras_file(theirs, tmp_path / "net.h5", OLDER)
    ours = build(f"densenet{depth}", path, input_shape=(*SIZE, 3), classifier_activation="softmax")
    np.testing.assert_allclose(ours(images(*SIZE)), theirs(images(*SIZE)), atol=1e-5)


# --- what they are for -------------------------------------------------------------------------


def test_presets_are_of_these_networks() -> None:
    """Every preset names a builder, and counts the parameters that torchvision counts."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    found = set()
    for name in list_presets():
        preset = preset_info(name)
        module, _, builder = preset.builder.partition(":")
        published = {source.dialect for source in preset.sources}
        own = module.rpartition(".")[2] in ("resnet", "densenet", "squeezenet", "alexnet")
        if own or (preset.family == "inception" and published == {"torchvision"}):
            (network,) = (key for key, value in BUILDERS.items() if value == builder)
            assert getattr(applications, builder).network.path == preset.builder
            shapes = state_dicts()[network].items()
            count = sum(
                prod(shape)
                for key, shape in shapes
                if not key.endswith(statistics) and not is_auxiliary(key)
            )
            assert preset.parameters == count, name
            found.add(network)
    assert found == set(BUILDERS)


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18"])
def test_stages_freeze_and_split(name: str) -> None:
    model = build(name, None, input_shape=(64, 64, 3), classes=4, trainable_from=-1)
    assert [stage.name for stage in model.stages] == STAGES[name]
    last, head = model.stages[-2:]
    trained = {id(variable) for variable in model.trainable_variables}
    expected = [v for layer in (*last.layers, *head.layers) for v in layer.trainable_variables]
    assert trained == {id(variable) for variable in expected}
    assert expected
    prefix, suffix = model.split()
    batch = images(64, 64)
    np.testing.assert_allclose(suffix(prefix(batch)), model(batch), atol=1e-5)
    again = type(model).from_config(model.get_config())
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


def test_a_squeezenet_is_trained_saved_and_reloaded(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "net.pth", tensors("squeezenet1_1"), "torch")
    builder = applications.SqueezeNet1_1
    model = builder(path, classes=3, input_shape=(48, 48, 3), trainable_from="fire9")
    assert set(model.load_report.ignored) == {"classifier.1.weight", "classifier.1.bias"}
    batch = np.random.default_rng(0).integers(0, 256, (6, 48, 48, 3)).astype("uint8")
    frozen = [v for stage in model.stages[:-2] for layer in stage.layers for v in layer.weights]
    before = [np.array(variable) for variable in frozen]
    assert before
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(batch, np.array([0, 1, 2, 0, 1, 2]), verbose=0)
    for variable, values in zip(frozen, before, strict=True):
        np.testing.assert_array_equal(variable, values)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(batch), model(batch), atol=1e-6)
    written = open_checkpoint(model.save_weights_as(tmp_path / "again.pth"))
    assert written["classifier.1.weight"].shape == (3, 512, 1, 1)
    stem = tensors("squeezenet1_1")["features.0.weight"]
    assert written["features.0.weight"].read().tobytes() == stem.tobytes()


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "net.pth", tensors("squeezenet1_0"), "torch")
    with pytest.raises(WeightsError) as error:
        applications.SqueezeNet1_1(path)
    assert "net.pth" in str(error.value)
    assert "expected shape [3, 3, 3, 64], received [7, 7, 3, 96]" in str(error.value)
    with pytest.raises(WeightsError, match=r"layer1\.0\.conv1\.weight"):
        applications.ResNet18(path)


@pytest.mark.parametrize(
    ("builder", "shape"),
    [
        ("AlexNet", (256, 256, 3)),
        ("SqueezeNet1_0", (20, 224, 3)),
        ("SqueezeNet1_1", (16, 16, 3)),
        ("DenseNet121", (28, 28, 3)),
    ],
)
def test_images_that_are_too_small_or_of_another_size(builder: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"`input_shape` of {builder} must be"):
        getattr(applications, builder)(None, input_shape=shape)


@pytest.mark.parametrize(("name", "side"), [("squeezenet1_0", 21), ("squeezenet1_1", 17)])
def test_the_smallest_images_give_logits(name: str, side: int) -> None:
    model = build(name, None, input_shape=(side, side, 3), classes=2)
    assert np.isfinite(model(images(side, side))).all()
    assert np.min(model(images(side, side))) >= 0
