"""SavedModels repeat the model through plain TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_pretrained.export import ExportError, to_saved_model
from tests.export import models


def run(path: Path, inputs: dict[str, np.ndarray], endpoint: str = "serving_default") -> Any:
    signature = tf.saved_model.load(str(path)).signatures[endpoint]
    outputs = signature(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def test_outputs_of_a_text_encoder(tmp_path: Path) -> None:
    model = models.some_outputs()
    report = to_saved_model(model, tmp_path / "m")
    assert report.largest_difference <= 1e-5
    shapes = {tensor.name: tensor.shape for tensor in report.outputs}
    assert shapes["pooled"] == ("batch", 2 * models.WIDTH)
    assert shapes["listed"] == ("batch", "length", 2 * models.WIDTH)
    assert shapes["features_attentions_0"] == ("batch", 2, "length", "length")
    inputs = models.batch(rows=2, length=9, seed=5)
    expected, actual = model(inputs), run(report.path, inputs)
    for name in ("pooled", "listed", "mix"):
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-5, atol=1e-5)
    hidden = expected["features"]["hidden_states"]
    assert len(hidden) == 2
    for index, state in enumerate(hidden):
        found = actual[f"features_hidden_states_{index}"]
        np.testing.assert_allclose(found, state, rtol=1e-5, atol=1e-5)


@pytest.mark.exhaustive
def test_every_output_of_a_text_encoder(tmp_path: Path) -> None:
    report = to_saved_model(models.all_outputs(), tmp_path / "m")
    assert report.largest_difference <= 1e-5
    assert len(report.outputs) == 11 + len(["hidden"] * 3 + ["attention"] * 2 + ["pooled"])


def test_endpoints_report_and_an_untouched_model(tmp_path: Path) -> None:
    model = models.classifier(trainable_from=1)
    model.compile("sgd", "mse", jit_compile=True)
    before = [array.copy() for array in model.get_weights()]
    trainable = [variable.path for variable in model.trainable_variables]
    report = to_saved_model(model, tmp_path / "models" / "1", inputs=models.batch())
    loaded = tf.saved_model.load(str(report.path))
    assert set(loaded.signatures) == {"serve_ids", "serving_default"}
    inputs = models.batch(rows=1, length=5, seed=1)
    expected = np.asarray(model(inputs))
    np.testing.assert_allclose(loaded.serve_ids(inputs)["scores"], expected, atol=1e-6)
    np.testing.assert_allclose(run(report.path, inputs)["scores"], expected, atol=1e-6)
    assert model.compiled
    assert [variable.path for variable in model.trainable_variables] == trainable
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    # Frozen and trained variables are both there, for who loads the artefact to train it on.
    assert len(loaded.variables) == len(model.variables)
    assert len(loaded.trainable_variables) == len(trainable)
    text = str(report)
    assert text.startswith("SavedModel")
    assert "serve_ids" in text
    assert "token_ids: int32 (batch, length)" in text
    assert "scores: float32 (batch, 3)" in text
    assert report.size_bytes == sum(
        file.stat().st_size for file in report.path.rglob("*") if file.is_file()
    )


def test_keras_loads_the_artefact_as_a_layer(tmp_path: Path) -> None:
    model = models.dense()
    to_saved_model(model, tmp_path / "m", endpoint="numbers_in")
    layer = keras.layers.TFSMLayer(str(tmp_path / "m"), call_endpoint="numbers_in")
    inputs = np.ones((2, 4), "float32")
    np.testing.assert_allclose(layer({"numbers": inputs})["result"], model(inputs), atol=1e-6)


def test_a_frozen_backbone_with_free_image_sizes(tmp_path: Path) -> None:
    model = models.backbone(size=None)
    report = to_saved_model(model, tmp_path / "m")
    assert report.inputs[0].shape == ("batch", "height", "width", 3)
    assert "endpoint 'serve'" in report.detail
    images = np.random.default_rng(1).standard_normal((1, 40, 30, 3)).astype("float32")
    actual = run(report.path, {"images": images}, "serve")["logits"]
    np.testing.assert_allclose(actual, model(images), rtol=1e-5, atol=1e-5)


def test_half_precision_is_kept_and_has_its_own_tolerance(tmp_path: Path) -> None:
    inputs = keras.Input((4,), name="numbers")
    outputs = keras.layers.Dense(3, dtype="mixed_bfloat16", name="result")(inputs)
    report = to_saved_model(keras.Model(inputs, outputs), tmp_path / "m")
    assert report.tolerance == 5e-2
    assert report.outputs[0].dtype == "bfloat16"


def test_tables_of_preprocessing_layers_are_in_the_artefact(tmp_path: Path) -> None:
    numbers = keras.Input((2,), dtype="int64", name="numbers")
    lookup = keras.layers.IntegerLookup(vocabulary=[10, 20, 30], name="lookup")
    model = keras.Model(numbers, lookup(numbers))
    inputs = np.array([[10, 30], [7, 20]])
    report = to_saved_model(model, tmp_path / "m", inputs=inputs)
    assert run(report.path, {"numbers": inputs})["lookup"].tolist() == [[1, 3], [0, 2]]


# --- compiled parts --------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
class Compiled(keras.layers.Layer):
    """Runs in a function of its own, under XLA."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = tf.function(lambda x: tf.nn.gelu(x) * 2.0, jit_compile=True)

    def call(self, inputs: Any) -> Any:
        return self.function(inputs)


def compiled_model() -> keras.Model:
    inputs = keras.Input((4,), name="numbers")
    return keras.Model(inputs, Compiled(name="result")(keras.layers.Dense(3)(inputs)))


def functions(path: Path) -> Iterator[Any]:
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString((path / "saved_model.pb").read_bytes())
    for graph in message.meta_graphs:
        yield from graph.graph_def.library.function


def test_compiled_parts_are_exported_as_plain_operations(tmp_path: Path) -> None:
    model = compiled_model()
    report = to_saved_model(model, tmp_path / "m")
    found = list(functions(report.path))
    assert any("Erfc" in {node.op for node in function.node_def} for function in found)
    assert not [function for function in found if function.attr["_XlaMustCompile"].b]
    assert not tf.config.functions_run_eagerly()
    inputs = np.ones((2, 4), "float32")
    np.testing.assert_allclose(
        run(report.path, {"numbers": inputs})["result"], model(inputs), atol=1e-6
    )


# --- failures --------------------------------------------------------------------------------


def test_a_wrong_artefact_is_not_kept(tmp_path: Path) -> None:
    to_saved_model(models.dense(), tmp_path / "old")
    before = {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()}
    for target in (tmp_path / "old", tmp_path / "new" / "1"):
        with pytest.raises(
            ExportError,
            match=r"'result' of endpoint 'serve' of SavedModel .*largest difference 0\.25",
        ):
            to_saved_model(models.wrong_when_exported(), target, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert {path: path.read_bytes() for path in before} == before
    report = to_saved_model(models.wrong_when_exported(), tmp_path / "new", tolerance=0.3)
    assert report.largest_difference == pytest.approx(0.25)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    class Own(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs

    for other in (models.bert(), Own(), keras.Sequential([keras.layers.Dense(2)]), "model"):
        with pytest.raises(ExportError, match="must be a functional"):
            to_saved_model(other, tmp_path / "m")


@pytest.mark.parametrize("endpoint", ["serving_default", "variables", "two words", ""])
def test_endpoint_names(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(ExportError, match="endpoint"):
        to_saved_model(models.dense(), tmp_path / "m", endpoint=endpoint)


@pytest.mark.parametrize("tolerance", [-1e-3, float("nan"), float("inf")])
def test_tolerances(tmp_path: Path, tolerance: float) -> None:
    with pytest.raises(ExportError, match="tolerance"):
        to_saved_model(models.dense(), tmp_path / "m", tolerance=tolerance)


@pytest.mark.exhaustive
@pytest.mark.parametrize("trainable_from", [0, 1, -1, "layer_1", "pooler", None])
@pytest.mark.parametrize("hidden_layers", [-1, [0, 1], "all", "mix"])
def test_every_depth(tmp_path: Path, trainable_from: Any, hidden_layers: Any) -> None:
    inputs = models.ids()
    encoder = models.bert(2, trainable_from=trainable_from, hidden_layers=hidden_layers)
    report = to_saved_model(keras.Model(inputs, encoder(inputs)), tmp_path / "m")
    assert report.largest_difference <= 1e-5
