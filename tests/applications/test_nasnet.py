"""NASNet-A and PNASNet-5: ports and Keras compute what they must; all of a file is accounted for.

The networks are narrow here. Those of published width are compared in test_slim_fixtures.py and
test_keras_applications.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.applications.nasnet import NASNet

from keras_pretrained import applications
from keras_pretrained.applications.vision.nasnet import nasnet_a
from keras_pretrained.applications.vision.parts import ZeroBorder
from keras_pretrained.applications.vision.pnasnet import pnasnet_5
from keras_pretrained.checkpoints import open_checkpoint
from keras_pretrained.checkpoints.writing import write_checkpoint
from keras_pretrained.presets import preset_info
from keras_pretrained.weights import WeightsError
from tests.applications.test_keras_applications import with_values, write_h5
from tests.goldens import slim_values
from tests.parity.recording import Record

GOLDENS = Path(__file__).parents[1] / "goldens" / "nasnet"
NARROW = {
    "nasnet_a": nasnet_a("NASNetMobile", 64, "", channels=6, filters=8, cells=12, skips=False),
    "pnasnet_5": pnasnet_5("PNASNetLarge", 44, "", channels=6, filters=8, cells=12),
}
SHORT = {
    "nasnet_a": nasnet_a("NASNetMobile", 64, "", channels=6, filters=8, cells=3, skips=False),
    "pnasnet_5": pnasnet_5("PNASNetLarge", 44, "", channels=6, filters=8, cells=3),
}
LOGITS = {"preprocessing": False, "classifier_activation": None}


def tensors(network: str) -> dict[str, np.ndarray]:
    """Slim's checkpoint of a narrow network."""
    with np.load(GOLDENS / f"{network}.npz") as stored:
        shapes = [json.loads(each) for each in stored["variables"]]
    return {name: slim_values.value(name, tuple(shape)) for name, shape in shapes}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Network -> a checkpoint with all that the published ones hold."""
    folder = tmp_path_factory.mktemp("nasnet")
    paths = {}
    for network in NARROW:
        held = tensors(network)
        for name, value in list(held.items()):
            if "moving_" not in name:
                held[f"{name}/ExponentialMovingAverage"] = value + 1
                held[f"{name}/RMSProp"] = held[f"{name}/RMSProp_1"] = value * 0
        for name, shape in AUXILIARY.items():
            held[f"aux_7/aux_logits/{name}"] = np.ones(shape, "float32")
        held["aux_7/aux_logits/FC/biases/ExponentialMovingAverage"] = np.ones(5, "float32")
        held["global_step"] = np.int64(1)
        paths[network] = write_checkpoint(folder / f"{network}.ckpt", held, "tf-bundle")
    return paths


@pytest.fixture(scope="module")
def models(checkpoints: dict[str, Path]) -> dict[str, Any]:
    """Network -> its model, loaded."""
    return {name: NARROW[name](path, **LOGITS) for name, path in checkpoints.items()}


AUXILIARY = {
    "proj/weights": (1, 1, 96, 4),
    "aux_bn0/gamma": (4,),
    "aux_bn0/moving_mean": (4,),
    "Conv/weights": (4, 4, 4, 6),
    "FC/weights": (6, 5),
    "FC/biases": (5,),
}


@pytest.mark.parity
@pytest.mark.parametrize("network", NARROW)
def test_every_cell_equals_the_port(network: str, models: dict[str, Any], parity: Record) -> None:
    with np.load(GOLDENS / f"{network}.npz") as stored:
        golden = dict(stored)
    found = models[network].features(slim_values.images(int(golden["size"])))
    measured = parity(f"nasnet/slim-{network.replace('_', '-')}")
    spread = np.abs(golden["logits"]).max()
    measured.close("logits", found["logits"] / spread, golden["logits"] / spread)
    for end, expected in zip(golden["ends"], golden["samples"], strict=True):
        name, shape = json.loads(end)
        assert list(found[name].shape) == shape, name
        spread = np.abs(expected).max()
        ours = slim_values.sample(found[name])
        measured.close("cells", ours / spread, expected / spread)


def test_what_else_the_published_files_hold(
    models: dict[str, Any], checkpoints: dict[str, Path]
) -> None:
    report = models["nasnet_a"].load_report
    names = set(tensors("nasnet_a"))
    assert len(report.loaded) == len(names) == 1126
    assert set(open_checkpoint(checkpoints["nasnet_a"])) == names | set(report.ignored)
    reasons = {
        "aux_7/aux_logits/FC/weights": "the auxiliary head, which only training used",
        "aux_7/aux_logits/aux_bn0/moving_mean": "the auxiliary head, which only training used",
        "global_step": "the state of a training run",
        "cell_0/1x1/weights/RMSProp_1": "the state of a training run",
        "conv0_bn/gamma/ExponentialMovingAverage": "a moving average; the last value is loaded",
    }
    assert {name: report.ignored[name] for name in reasons} == reasons


@pytest.mark.parametrize("network", NARROW)
def test_weights_are_written_back_bit_by_bit(
    network: str, models: dict[str, Any], tmp_path: Path
) -> None:
    written = open_checkpoint(models[network].save_weights_as(tmp_path / "again.ckpt"))
    expected = tensors(network)
    assert set(written) == set(expected)
    for name, value in expected.items():
        read = written[name].read()
        assert (read.shape, read.tobytes()) == (value.shape, value.tobytes()), name


@pytest.mark.parity
@pytest.mark.parametrize(("blocks", "skips", "known_size"), [(2, True, True), (1, False, False)])
def test_files_of_keras(blocks: int, skips: bool, known_size: bool, tmp_path: Path) -> None:
    # Feature maps have 37, 19, 10 and 5 rows, where the border is another for even numbers.
    size = 75
    keras.backend.clear_session()
    reference = with_values(
        NASNet(
            input_shape=(size, size, 3),
            penultimate_filters=24 * 8,
            num_blocks=blocks,
            stem_block_filters=6,
            skip_reduction=skips,
            weights=None,
            classes=7,
            classifier_activation=None,
        )
    )
    path = tmp_path / "NASNet-narrow.h5"
    write_h5(reference, path, counted_from=3)
    narrow = nasnet_a("NASNetLarge", size, "", channels=6, filters=8, cells=3 * blocks, skips=skips)
    # Keras itself knows the border of maps of a known size only.
    side = size if known_size else None
    model = narrow(path, input_shape=(side, side, 3), **LOGITS)
    assert not model.load_report.ignored
    assert len(model.load_report.loaded) == len(reference.weights)
    cells = {
        "stem": "reduction_concat_stem_2",
        "cell_0": "normal_concat_0",
        "reduction_cell_0": f"reduction_concat_reduce_{blocks}",
        f"cell_{blocks}": f"normal_concat_{blocks + 1}",
        "reduction_cell_1": f"reduction_concat_reduce_{2 * blocks}",
        f"cell_{3 * blocks - 1}": f"normal_concat_{3 * blocks}",
    }
    outputs = {ours: reference.get_layer(theirs).output for ours, theirs in cells.items()}
    outputs["logits"] = reference.output
    images = np.random.default_rng(0).uniform(-1, 1, (2, size, size, 3)).astype("float32")
    expected = keras.Model(reference.input, outputs)(images)
    found = model.features(images)
    for name, value in expected.items():
        spread = float(np.abs(value).max())
        np.testing.assert_allclose(found[name], value, atol=2e-5 * spread, err_msg=name)


def test_borders_of_publishers_differ() -> None:
    """The same weights compute other numbers: a file must not be read for the wrong publisher."""
    options = {"include_top": False, "pooling": "avg", "preprocessing": False}
    slim, of_keras = (
        SHORT["nasnet_a"](None, dialect=form, **options) for form in ("slim", "keras")
    )
    of_keras.set_weights(slim.get_weights())
    images = slim_values.images(64)
    ours, theirs = slim(images), of_keras(images)
    assert np.abs(ours - theirs).max() > 1e-3 * np.abs(ours).max()


@pytest.mark.parametrize("network", SHORT)
def test_normalisations_fold_into_separable_convolutions(network: str) -> None:
    model = with_values(SHORT[network](None, **LOGITS))
    folded = applications.fold_batch_norm(model)
    left = {layer.name for layer in folded.layers if "Normalization" in type(layer).__name__}
    # Those behind two convolutions side by side stay.
    assert {name.rpartition(".")[2] for name in left} == {"final_path_bn"}
    images = slim_values.images(SHORT[network].network.size)
    expected = model(images)
    spread = float(np.abs(expected).max())
    np.testing.assert_allclose(folded(images), expected, atol=2e-5 * spread)


@pytest.mark.parametrize("shape", [(5, 8), (7, 7), (1, 2), (6, 3)])
@pytest.mark.parametrize(("size", "stride"), [(3, 2), (3, 1), (5, 3), (2, 2)])
def test_a_border_of_zeros_is_that_of_a_convolution(
    shape: tuple[int, int], size: int, stride: int
) -> None:
    images = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype("float32")
    kernel = np.ones((size, size, 3, 1), "float32") / size**2
    expected = keras.ops.depthwise_conv(images, kernel, strides=stride, padding="same")
    layer = ZeroBorder.from_config(ZeroBorder(size, stride).get_config())
    for known in ((*shape, 3), (None, None, 3)):
        inputs = keras.Input(known)
        bordered = layer(inputs)
        outputs = keras.layers.AveragePooling2D(size, stride)(bordered)
        np.testing.assert_allclose(keras.Model(inputs, outputs)(images), expected, atol=1e-6)
        assert (None in bordered.shape[1:3]) == (None in known)


def test_a_window_that_leaves_pixels_out_has_no_border() -> None:
    with pytest.raises(ValueError, match="stride=3, size=2"):
        ZeroBorder(2, 3)


def test_stages_are_the_published_cells(models: dict[str, Any]) -> None:
    cells = [f"cell_{index}" for index in range(12)]
    assert [stage.name for stage in models["pnasnet_5"].stages] == ["stem", *cells, "logits"]
    cells[4:4], cells[9:9] = ["reduction_cell_0"], ["reduction_cell_1"]
    assert [stage.name for stage in models["nasnet_a"].stages] == ["stem", *cells, "logits"]


@pytest.mark.parametrize(("network", "depth"), [("nasnet_a", "cell_4"), ("pnasnet_5", "cell_1")])
def test_prefix_and_suffix_equal_the_whole(
    network: str, depth: str, models: dict[str, Any]
) -> None:
    model = models[network]
    model.trainable_from = depth
    prefix, suffix = model.split()
    # A cell reads the two below, and both are on this side of the border or on that.
    names = [stage.name for stage in model.stages]
    behind = names[names.index(depth) :]
    trained = {variable.path.partition(".")[0] for variable in model.trainable_variables}
    assert trained == {name.replace("logits", "final_layer") for name in behind}
    images = slim_values.images(NARROW[network].network.size)
    np.testing.assert_allclose(suffix(prefix(images)), model(images), rtol=1e-5, atol=1e-5)
    model.trainable_from = 0


def test_small_images_and_odd_widths() -> None:
    """PNASNet-5 mobile has 13 filters in the lowest cell, and 27 in the next one, of two paths."""
    narrow = pnasnet_5("PNASNetMobile", 64, "", channels=6, filters=54, cells=3)
    model = narrow(None, include_top=False, input_shape=(32, 32, 3))
    assert model.output_shape == (None, 1, 1, 5 * 4 * 54)
    names = ("cell_stem_0.1x1", "cell_stem_1.path1_conv", "cell_stem_1.path2_conv")
    assert [model.get_layer(name).filters for name in names] == [13, 13, 14]
    with pytest.raises(ValueError, match="at least 32 pixels"):
        narrow(None, include_top=False, input_shape=(31, 32, 3))


def test_a_checkpoint_of_the_other_network_says_so(checkpoints: dict[str, Path]) -> None:
    with pytest.raises(WeightsError, match=r"nasnet_a\.ckpt") as caught:
        SHORT["pnasnet_5"](checkpoints["nasnet_a"])
    assert "cell_0/comb_iter_2/left/separable_5x5_1/depthwise_weights" in str(caught.value)
    assert "reduction_cell_0/beginning_bn/gamma" in str(caught.value)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("preset", "variables"),
    [
        ("nasnet-a-mobile", 1126),
        ("nasnet-a-mobile-keras", 1126),
        ("nasnet-a-large", 1546),
        ("nasnet-a-large-keras", 1546),
        ("pnasnet-5-mobile", 933),
        ("pnasnet-5-large", 1179),
    ],
)
def test_presets_and_builders_agree(preset: str, variables: int) -> None:
    record = preset_info(preset)
    name = record.builder.partition(":")[2]
    dialect = "keras" if preset.endswith("keras") else "slim"
    model = getattr(applications, name)(None, dialect=dialect)
    trained = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert record.image is not None
    assert (len(model.weights), trained) == (variables, record.parameters)
    assert model.input_shape == (None, record.image.size, record.image.size, 3)
    assert model.output_shape == (None, record.image.classes)


@pytest.mark.exhaustive
@pytest.mark.parametrize("options", [{"dialect": "slim"}, {"dialect": "keras"}])
def test_a_saved_network_reloads(options: dict[str, Any], tmp_path: Path) -> None:
    model = applications.NASNetMobile(None, classes=3, input_shape=(None, None, 3), **options)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, (2, 51, 64, 3), "uint8")
    np.testing.assert_array_equal(again(images), model(images))
    assert again.stages[0].name == "stem"
