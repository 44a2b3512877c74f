"""ONNX files repeat the model through ONNX Runtime."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

import keras_pretrained.export.onnx as onnx_export
from keras_pretrained.export import ExportError, ExportReport, onnx_graph, requirements, to_onnx
from tests.export import models
from tests.export.test_saved_model import compiled_model


def session(path: Path, options: Any = None) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def axes(values: Any) -> dict[str, list[Any]]:
    return {
        value.name: [
            dimension.dim_param or dimension.dim_value
            for dimension in value.type.tensor_type.shape.dim
        ]
        for value in values
    }


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, ExportReport]:
    model = models.classifier()
    return model, to_onnx(model, tmp_path_factory.mktemp("onnx") / "m.onnx")


def test_names_and_axes_in_the_file(pooled: tuple[keras.Model, ExportReport]) -> None:
    _, report = pooled
    graph = onnx.load(report.path).graph
    assert axes(graph.input) == {name: ["batch", "length"] for name in models.INPUTS}
    assert axes(graph.output) == {"scores": ["batch", 3]}
    assert "unk__" not in str([graph.input, graph.output, graph.value_info])
    assert onnx.load(report.path).opset_import[0].version == 17
    assert str(report).startswith("ONNX")
    assert "opset 17" in str(report)
    assert report.size_bytes == report.path.stat().st_size


def test_weights_have_their_keras_paths(pooled: tuple[keras.Model, ExportReport]) -> None:
    model, report = pooled
    stored = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(report.path).graph.initializer
    }
    paths = {variable.path: variable for variable in model.variables}
    unused = {path for path in paths if "/pooler/" in path or "seed" in path}
    assert paths.keys() - stored.keys() == unused
    for path in paths.keys() - unused:
        np.testing.assert_array_equal(stored[path], paths[path])
    assert not [name for name in stored if name.startswith("keras_weight")]


@pytest.mark.parametrize(("rows", "length"), [(1, 2), (5, 3), (2, models.POSITIONS)])
def test_any_batch_and_length(
    pooled: tuple[keras.Model, ExportReport], rows: int, length: int
) -> None:
    model, report = pooled
    inputs = models.batch(rows, length, seed=rows)
    (scores,) = session(report.path).run(["scores"], inputs)
    np.testing.assert_allclose(scores, model(inputs), rtol=1e-4, atol=1e-5)


def test_the_mask_decides_what_is_pooled(pooled: tuple[keras.Model, ExportReport]) -> None:
    _, report = pooled
    runtime = session(report.path)
    inputs = models.batch(rows=2, length=6)
    inputs["padding_mask"][:] = 1

    def scores(values: dict[str, np.ndarray]) -> np.ndarray:
        return runtime.run(["scores"], values)[0]

    longer = {name: np.pad(array, ((0, 0), (0, 5))) for name, array in inputs.items()}
    np.testing.assert_allclose(scores(longer), scores(inputs), atol=1e-5)
    longer["token_ids"][:, 6:] = 7
    np.testing.assert_allclose(scores(longer), scores(inputs), atol=1e-5)
    longer["padding_mask"][:, 6:] = 1
    assert np.abs(scores(longer) - scores(inputs)).max() > 1e-2


def test_the_runtime_sees_the_exact_gelu(
    pooled: tuple[keras.Model, ExportReport], tmp_path: Path
) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    session(pooled[1].path, options)
    operations = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert "Erf" not in operations
    assert any("Gelu" in name for name in operations)


@pytest.mark.exhaustive
def test_every_output_of_a_text_encoder(tmp_path: Path) -> None:
    report = to_onnx(models.all_outputs(), tmp_path / "m.onnx")
    shapes = {tensor.name: tensor.shape for tensor in report.outputs}
    assert shapes["features_attentions_1"] == ("batch", 2, "length", "length")
    assert shapes["listed"] == ("batch", "length", 2 * models.WIDTH)


def test_outputs_of_a_text_encoder(tmp_path: Path) -> None:
    report = to_onnx(models.some_outputs(), tmp_path / "m.onnx", inputs=models.batch())
    found = axes(onnx.load(report.path).graph.output)
    assert found["pooled"] == ["batch", 2 * models.WIDTH]
    assert found["mix"] == ["batch", "length", models.WIDTH]
    assert found["features_attentions_0"] == ["batch", 2, "length", "length"]
    assert found["features_pooled"] == ["batch", models.WIDTH]


def test_an_input_that_nothing_reads_stays_an_input(tmp_path: Path) -> None:
    inputs = models.ids()
    model = keras.Model(inputs, models.bert(hidden_layers=0)(inputs))
    report = to_onnx(model, tmp_path / "m.onnx")
    found = [value.name for value in session(report.path).get_inputs()]
    assert set(found) == set(models.INPUTS)


def test_a_frozen_backbone(tmp_path: Path) -> None:
    model = models.backbone(size=None)
    report = to_onnx(model, tmp_path / "m.onnx", opset=13)
    graph = onnx.load(report.path).graph
    assert axes(graph.input) == {"images": ["batch", "height", "width", 3]}
    images = np.random.default_rng(1).standard_normal((1, 40, 30, 3)).astype("float32")
    (logits,) = session(report.path).run(["logits"], {"images": images})
    np.testing.assert_allclose(logits, model(images), rtol=1e-4, atol=1e-5)


def test_compiled_parts_are_exported_as_plain_operations(tmp_path: Path) -> None:
    model = compiled_model()
    model.compile(jit_compile=True)
    report = to_onnx(model, tmp_path / "m.onnx")
    inputs = np.ones((2, 4), "float32")
    (result,) = session(report.path).run(["result"], {"numbers": inputs})
    np.testing.assert_allclose(result, model(inputs), atol=1e-6)


@keras.saving.register_keras_serializable(package="tests")
class Applied(keras.layers.Layer):
    """One TensorFlow function as a layer."""

    def __init__(self, function: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function

    def call(self, inputs: Any) -> Any:
        return self.function(inputs)


def applied(function: Any) -> keras.Model:
    inputs = keras.Input((4,), name="numbers")
    return keras.Model(inputs, Applied(function, name="result")(inputs))


def test_the_complementary_error_function_by_itself(tmp_path: Path) -> None:
    import tensorflow as tf

    report = to_onnx(applied(lambda x: tf.math.erfc(x) + tf.math.erfc(-x * 3.0)), tmp_path / "m")
    assert report.largest_difference <= 1e-6


def test_recurrent_networks(tmp_path: Path) -> None:
    inputs = keras.Input((None, 3), name="steps")
    cell = keras.layers.LSTMCell(4)
    recurrent = keras.layers.Bidirectional(keras.layers.RNN(cell, return_sequences=True))
    model = keras.Model(inputs, recurrent(inputs))
    report = to_onnx(model, tmp_path / "m.onnx")
    assert report.outputs[0].shape == ("batch", "length", 8)


def test_weights_inside_the_graph_when_the_converter_needs_them_there(
    tmp_path: Path, monkeypatch: Any
) -> None:
    def refuse(interface: Any) -> Any:
        raise ValueError("needs constant weights")

    model = models.backbone()
    monkeypatch.setattr(onnx_graph, "traced_without_weights", refuse)
    report = to_onnx(model, tmp_path / "m.onnx")
    images = np.random.default_rng(1).standard_normal((2, 12, 12, 3)).astype("float32")
    (logits,) = session(report.path).run(["logits"], {"images": images})
    np.testing.assert_allclose(logits, model(images), rtol=1e-4, atol=1e-5)


def test_constants_of_a_layer_are_in_the_file(tmp_path: Path) -> None:
    numbers = keras.Input((2,), name="numbers")
    outputs = keras.layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0])(numbers)
    report = to_onnx(keras.Model(numbers, outputs), tmp_path / "m.onnx")
    assert [value.name for value in session(report.path).get_inputs()] == ["numbers"]


@pytest.mark.parametrize("opset", [11, 15, 18])
def test_opsets(tmp_path: Path, opset: int) -> None:
    report = to_onnx(models.dense(), tmp_path / "m.onnx", opset=opset)
    assert onnx.load(report.path).opset_import[0].version == opset


@pytest.mark.exhaustive
@pytest.mark.parametrize("opset", [11, 12, 13, 14, 15, 16, 18])
def test_opsets_of_a_text_encoder(tmp_path: Path, opset: int) -> None:
    assert to_onnx(models.classifier(), tmp_path / "m.onnx", opset=opset).tolerance == 1e-4


@pytest.mark.exhaustive
@pytest.mark.parametrize("pooling", [None, "cls", "pooler", "mean", "max", "mean-max", "last"])
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu"])
def test_every_pooling_and_activation(tmp_path: Path, pooling: Any, activation: str) -> None:
    config = models.bert(2).get_config()["architecture"] | {"activation": activation}
    encoder = models.BertEncoder(architecture=config, pooling=pooling)
    inputs = models.ids()
    assert to_onnx(keras.Model(inputs, encoder(inputs)), tmp_path / "m").largest_difference < 1e-4


@pytest.mark.exhaustive
@pytest.mark.parametrize("trainable_from", [0, 1, -1, "layer_1", "pooler", None])
@pytest.mark.parametrize("hidden_layers", [-1, [0, 1], "all", "mix"])
def test_every_depth(tmp_path: Path, trainable_from: Any, hidden_layers: Any) -> None:
    inputs = models.ids()
    encoder = models.bert(2, trainable_from=trainable_from, hidden_layers=hidden_layers)
    report = to_onnx(keras.Model(inputs, encoder(inputs)), tmp_path / "m")
    assert report.largest_difference < 1e-4


# --- failures --------------------------------------------------------------------------------


def test_a_wrong_artefact_is_not_kept(tmp_path: Path) -> None:
    to_onnx(models.dense(), tmp_path / "old.onnx")
    before = (tmp_path / "old.onnx").read_bytes()
    for target in (tmp_path / "old.onnx", tmp_path / "new" / "m.onnx"):
        with pytest.raises(ExportError, match=r"'result' of ONNX file .*largest difference 0\.25"):
            to_onnx(models.wrong_when_exported(), target, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["old.onnx"]
    assert (tmp_path / "old.onnx").read_bytes() == before


def test_tolerance_zero_refuses_rounding(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="allowed 0"):
        to_onnx(models.backbone(), tmp_path / "m.onnx", tolerance=0)
    assert not list(tmp_path.iterdir())


def test_an_operation_without_counterpart_is_named(tmp_path: Path, caplog: Any) -> None:
    import tensorflow as tf

    with pytest.raises(ExportError, match=r"no ONNX counterpart.*Lgamma"):
        to_onnx(applied(tf.math.lgamma), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_an_invalid_file_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    def broken(*args: Any) -> Any:
        proto = convert(*args)
        proto.graph.node[0].input[0] = "nowhere"
        return proto

    convert = onnx_export.convert
    monkeypatch.setattr(onnx_export, "convert", broken)
    with pytest.raises(ExportError, match=r"m\.onnx is not valid"):
        to_onnx(models.dense(), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_other_dtype_policies_are_refused(tmp_path: Path) -> None:
    inputs = models.ids()
    model = keras.Model(inputs, models.bert(dtype="mixed_float16")(inputs))
    with pytest.raises(ExportError, match=r"float32. Received: .*\(mixed_float16\).*set_weights"):
        to_onnx(model, tmp_path / "m.onnx")


def test_the_way_out_of_another_dtype_policy_works(tmp_path: Path) -> None:
    half = keras.Sequential(
        [keras.Input((4,), name="x"), keras.layers.Dense(2, dtype="mixed_float16")]
    )
    full = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(2)])
    full.set_weights(half.get_weights())
    assert to_onnx(full, tmp_path / "m.onnx").outputs[0].dtype == "float32"


def test_a_model_beyond_the_size_of_an_onnx_file_is_refused(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(requirements, "_LARGEST", 20)
    with pytest.raises(ExportError, match="at most 2 GB"):
        to_onnx(models.dense(), tmp_path / "m.onnx")


def test_another_backend_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExportError, match="Received: the Keras backend jax"):
        to_onnx(models.dense(), tmp_path / "m.onnx")


def test_missing_packages_are_named_with_the_command(tmp_path: Path, monkeypatch: Any) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else find(name)
    )
    with pytest.raises(ImportError, match=r"tf2onnx.*pip install 'keras-pretrained\[onnx\]'"):
        to_onnx(models.dense(), tmp_path / "m.onnx")


@pytest.mark.parametrize("opset", [10, 19, "17"])
def test_wrong_opsets(tmp_path: Path, opset: Any) -> None:
    with pytest.raises(ExportError, match="between 11 and 18"):
        to_onnx(models.dense(), tmp_path / "m.onnx", opset=opset)
