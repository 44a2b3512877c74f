"""NASNet-A and PNASNet-5: ports and Keras compute what they must; the published files are accounted for.

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
from keras_pretrained.applications.nasnet import nasnet_a
from keras_pretrained.applications.parts import ZeroBorder
from keras_pretrained.applications.pnasnet import pnasnet_5
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
        paths[network] = write_checkpoint(folder / network / "model.ckpt", held, "tf-bundle")
    return paths


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
@pytest.mark.parametrize("known_size", [True, False])
def test_every_cell_equals_the_port(
    network: str, known_size: bool, checkpoints: dict[str, Path], parity: Record
) -> None:
    with np.load(GOLDENS / f"{network}.npz") as stored:
        golden = dict(stored)
    size = int(golden["size"]) if known_size else None
    model = NARROW[network](checkpoints[network], input_shape=(size, size, 3), **LOGITS)
    found = model.features(slim_values.images(int(golden["size"])))
    measured = parity(f"nasnet/slim-{network.replace('_', '-')}")
    spread = np.abs(golden["logits"]).max()
    measured.close("logits", found["logits"] / spread, golden["logits"] / spread)
    for end, expected in zip(golden["ends"], golden["samples"], strict=True):
        name, shape = json.loads(end)
        assert list(found[name].shape) == shape, name
        spread = np.abs(expected).max()
        ours = slim_values.sample(found[name])
        measured.close("cells", ours / spread, expected / spread)


def test_what_else_the_published_files_hold(checkpoints: dict[str, Path]) -> None:
    report = NARROW["nasnet_a"](checkpoints["nasnet_a"], **LOGITS).load_report
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
    network: str, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    model = NARROW[network](checkpoints[network])
    written = open_checkpoint(model.save_weights_as(tmp_path / "again.ckpt"))
    expected = tensors(network)
    assert set(written) == set(expected)
    for name, value in expected.items():
        read = written[name].read()
        assert (read.shape, read.tobytes()) == (value.shape, value.tobytes()), name


# With 37 and 19 rows behind the first convolution and the first cell, or with even numbers.
@pytest.mark.parity
@pytest.mark.parametrize(("skips", "size"), [(True, 75), (False, 66)])
def test_files_of_keras(skips: bool, size: int, tmp_path: Path) -> None:
    keras.backend.clear_session()
    reference = with_values(
        NASNet(
            input_shape=(size, size, 3),
            penultimate_filters=24 * 8,
            num_blocks=2,
            stem_block_filters=6,
            skip_reduction=skips,
            weights=None,
            classes=7,
            classifier_activation=None,
        )
    )
    path = tmp_path / "NASNet-narrow.h5"
    write_h5(reference, path, counted_from=3)
    narrow = nasnet_a("NASNetLarge", 75, "", channels=6, filters=8, cells=6, skips=skips)
    model = narrow(path, input_shape=(size, size, 3), **LOGITS)
    assert not model.load_report.ignored
    assert len(model.load_report.loaded) == len(reference.weights)
    cells = {
        "stem": "reduction_concat_stem_2",
        "cell_0": "normal_concat_0",
        "cell_1": "normal_concat_1",
        "reduction_cell_0": "reduction_concat_reduce_2",
        "cell_2": "normal_concat_3",
        "reduction_cell_1": "reduction_concat_reduce_4",
        "cell_5": "normal_concat_6",
    }
    outputs = {ours: reference.get_layer(theirs).output for ours, theirs in cells.items()}
    outputs["logits"] = reference.output
    images = np.random.default_rng(0).uniform(-1, 1, (2, size, size, 3)).astype("float32")
    expected = keras.Model(reference.input, outputs)(images)
    found = model.features(images)
    # Keras knows the border of maps of a known size only; ours is right for any.
    anywhere = narrow(path, input_shape=(None, None, 3), **LOGITS).features(images)
    for name, value in expected.items():
        spread = float(np.abs(value).max())
        np.testing.assert_allclose(found[name], value, atol=2e-5 * spread, err_msg=name)
        np.testing.assert_allclose(anywhere[name], value, atol=2e-5 * spread, err_msg=name)


def test_borders_of_publishers_differ(tmp_path: Path) -> None:
    """The same weights compute other numbers: a file must not be read for the wrong publisher."""
    images = slim_values.images(64)
    results = []
    path = write_checkpoint(tmp_path / "model.ckpt", tensors("nasnet_a"), "tf-bundle")
    for form in ("slim", "keras"):
        model = NARROW["nasnet_a"](path, include_top=False, pooling="avg", preprocessing=False)
        if form == "keras":
            other = NARROW["nasnet_a"](
                None, include_top=False, pooling="avg", preprocessing=False, dialect="keras"
            )
            other.set_weights(model.get_weights())
            model = other
        results.append(np.asarray(model(images)))
    assert np.abs(results[0] - results[1]).max() > 1e-3 * np.abs(results[0]).max()


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


def test_stages_are_the_published_cells() -> None:
    names = [stage.name for stage in NARROW["nasnet_a"](None).stages]
    cells = [f"cell_{index}" for index in range(12)]
    cells[4:4], cells[9:9] = ["reduction_cell_0"], ["reduction_cell_1"]
    assert names == ["stem", *cells, "logits"]
    model = NARROW["pnasnet_5"](None, trainable_from="cell_3", include_top=False)
    assert [stage.name for stage in model.stages] == ["stem", *(f"cell_{i}" for i in range(12))]
    trained = {variable.path.partition(".")[0] for variable in model.trainable_variables}
    assert trained == {f"cell_{index}" for index in range(3, 12)}


@pytest.mark.parametrize("network", NARROW)
@pytest.mark.parametrize("depth", ["cell_0", "cell_5", "logits"])
def test_prefix_and_suffix_equal_the_whole(
    network: str, depth: str, checkpoints: dict[str, Path]
) -> None:
    model = NARROW[network](checkpoints[network], trainable_from=depth, **LOGITS)
    prefix, suffix = model.split()
    images = slim_values.images(NARROW[network].network.size)
    assert not prefix.trainable_variables
    np.testing.assert_allclose(suffix(prefix(images)), model(images), rtol=1e-5, atol=1e-5)


def test_images_of_the_smallest_size() -> None:
    for network in NARROW.values():
        model = network(None, include_top=False, input_shape=(32, 32, 3))
        assert model.output_shape == (None, 1, 1, model.output_shape[-1])
        with pytest.raises(ValueError, match="at least 32 pixels"):
            network(None, include_top=False, input_shape=(31, 32, 3))


@pytest.mark.parametrize(
    ("given", "wanted"), [("pnasnet_5", "nasnet_a"), ("nasnet_a", "pnasnet_5")]
)
def test_a_checkpoint_of_the_other_network_says_so(
    given: str, wanted: str, checkpoints: dict[str, Path]
) -> None:
    with pytest.raises(WeightsError) as caught:
        NARROW[wanted](checkpoints[given])
    missing = {
        "nasnet_a": "reduction_cell_0/beginning_bn/gamma",
        "pnasnet_5": "cell_0/comb_iter_2/left/separable_5x5_1",
    }[wanted]
    assert missing in str(caught.value)
    assert "model.ckpt" in str(caught.value)


def test_widths_that_do_not_halve() -> None:
    """PNASNet-5 mobile: 13 filters in the lowest cell, of two paths 13 and 14 in the next."""
    model = applications.PNASNetMobile(None, dialect="slim", input_shape=(64, 64, 3))
    widths = {
        name: model.get_layer(name).filters
        for name in ("cell_stem_0.1x1", "cell_stem_1.path1_conv", "cell_stem_1.path2_conv")
    }
    assert list(widths.values()) == [13, 13, 14]
    assert len(model.weights) == 933
    assert model.count_params() == 5_099_232


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
