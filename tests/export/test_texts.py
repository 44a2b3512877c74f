"""Models on texts as artefacts, and artefacts of models on ids that take texts too."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from keras_pretrained.export import ExportError, to_litert, to_onnx, to_saved_model
from keras_pretrained.export.texts import wiring
from tests.export import models

TEXTS = ["a b c", "", "kid d 你好 zzz", "a " * 40]
IDS = ("token_ids", "segment_ids", "padding_mask")


def objects(texts: list[str] = TEXTS) -> np.ndarray:
    return np.array(texts, dtype=object)


def run(path: Path, endpoint: str, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
    loaded = tf.saved_model.load(str(path))
    found = getattr(loaded, endpoint)({name: tf.constant(v) for name, v in inputs.items()})
    return {name: value.numpy() for name, value in found.items()}


def test_a_model_on_texts_has_both_endpoints(tmp_path: Path) -> None:
    model = models.text_classifier(trainable_from=None)
    report = to_saved_model(model, tmp_path / "m")
    assert "endpoints 'serve' and 'serve_ids'; 'serving_default' is 'serve'" in report.detail
    assert [str(tensor) for tensor in report.inputs] == ["review: string (batch,)"]
    expected = np.asarray(model(objects()))
    found = run(report.path, "serve", {"review": TEXTS})["scores"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    ids = model.layers[1].tokenizer(TEXTS)
    found = run(report.path, "serve_ids", ids)["scores"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    loaded = tf.saved_model.load(str(report.path))
    assert set(loaded.signatures) == {"serve", "serve_ids", "serving_default"}
    # One copy of the weights serves both.
    assert len(loaded.variables) == len(model.variables)


def test_a_model_on_ids_takes_texts_too(tmp_path: Path) -> None:
    model = models.reading_classifier()
    encoder = model.layers[-2]
    report = to_saved_model(model, tmp_path / "m", inputs=models.batch())
    assert "'serving_default' is 'serve_ids'" in report.detail
    expected = np.asarray(model(encoder.tokenizer(TEXTS)))
    found = run(report.path, "serve", {"texts": TEXTS})["scores"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    only_ids = to_saved_model(model, tmp_path / "ids", endpoint="serve_ids")
    assert set(tf.saved_model.load(str(only_ids.path)).signatures) == {
        "serve_ids",
        "serving_default",
    }


def test_a_fixed_length_is_kept(tmp_path: Path) -> None:
    inputs = keras.Input((8,), dtype="int32", name="token_ids")
    encoder = models.reader()
    model = keras.Model(inputs, keras.layers.Dense(3, name="scores")(encoder(inputs)))
    report = to_saved_model(model, tmp_path / "m")
    expected = np.asarray(model(encoder.tokenizer(TEXTS, pad_to=8)["token_ids"]))
    found = run(report.path, "serve", {"texts": TEXTS})["scores"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def two_inputs() -> dict[str, Any]:
    stars = np.array([[1.0], [2.0], [3.0], [4.0]], "float32")
    return {"title": objects(), "body": objects(TEXTS[::-1]), "stars": stars}


def test_pairs_nested_models_and_other_inputs(tmp_path: Path) -> None:
    model = models.two_encoders()
    inputs = two_inputs()
    report = to_saved_model(model, tmp_path / "m", inputs=inputs)
    expected = np.asarray(model(inputs)["scores"])
    found = run(report.path, "serve", inputs)["scores"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    network = wiring(model).network
    names = {port.name for port in network.inputs}
    assert names == {"stars", *IDS, *(f"body_{name}" for name in IDS)}
    report = to_onnx(model, tmp_path / "m.onnx", inputs=inputs)
    assert report.largest_difference < 1e-5


def test_onnx_takes_the_ids_of_a_model_on_texts(tmp_path: Path) -> None:
    model = models.text_classifier()
    report = to_onnx(model, tmp_path / "m.onnx", inputs=objects())
    shapes = {tensor.name: tensor.shape for tensor in report.inputs}
    assert shapes == dict.fromkeys(IDS, ("batch", "length"))
    session = onnxruntime.InferenceSession(report.path, providers=["CPUExecutionProvider"])
    ids = model.layers[1].tokenizer(TEXTS)
    found = session.run(["scores"], ids)[0]
    np.testing.assert_allclose(found, np.asarray(model(objects())), rtol=0, atol=1e-5)
    assert model.inputs[0].dtype == "string"


needs_litert = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_litert") is None, reason="absent: ai-edge-litert"
)


@needs_litert
@pytest.mark.parametrize("kind", ["texts", "ids", "images"])
def test_litert(kind: str, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    made = {
        "texts": models.text_classifier,
        "ids": models.classifier,
        "images": models.backbone,
    }
    model = made[kind]()
    report = to_litert(model, tmp_path / "m.tflite")
    assert report.format == "LiteRT"
    assert report.largest_difference < 1e-5
    signature = Interpreter(model_path=str(report.path)).get_signature_runner()
    inputs: Any = models.batch(rows=1, length=5, seed=4)
    expected: Any = inputs
    name = "scores"
    if kind == "texts":
        inputs, expected = model.layers[1].tokenizer(TEXTS), objects()
    elif kind == "images":
        expected = np.random.default_rng(0).standard_normal((2, 12, 12, 3)).astype("float32")
        inputs, name = {"images": expected}, "logits"
    found = signature(**inputs)[name]
    np.testing.assert_allclose(found, np.asarray(model(expected)), rtol=0, atol=1e-5)


@needs_litert
def test_litert_names_what_it_cannot_do(tmp_path: Path, capfd: Any) -> None:
    inputs = keras.Input((3, 3), name="x")
    model = keras.Model(inputs, keras.ops.slogdet(inputs)[1])
    with pytest.raises(ExportError, match=r"no counterpart .* LogMatrixDeterminant"):
        to_litert(model, tmp_path / "m.tflite")
    with pytest.raises(ExportError, match=r"largest difference 0\.25"):
        to_litert(models.wrong_when_exported(), tmp_path / "m.tflite")
    with pytest.raises(ExportError, match="float32"):
        to_litert(models.classifier(dtype="mixed_bfloat16"), tmp_path / "m.tflite")
    assert not list(tmp_path.iterdir())


def test_strings_that_no_text_layer_takes(tmp_path: Path) -> None:
    """TensorFlow serves them as they are; formats without strings refuse them."""
    texts = keras.Input((1,), dtype="string", name="words")
    lookup = keras.layers.StringLookup(vocabulary=["a", "The"], name="lookup")
    model = keras.Model(texts, lookup(texts))
    report = to_saved_model(model, tmp_path / "m")
    assert report.detail.startswith("endpoint 'serve';")
    found = run(report.path, "serve", {"words": [["a"], ["b"]]})["lookup"]
    assert found.tolist() == [[1], [0]]
    with pytest.raises(ExportError, match=r"takes strings \(words\).*ids"):
        to_onnx(model, tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@keras.saving.register_keras_serializable(package="tests")
class Lower(keras.layers.Layer):
    supports_jit = False

    def call(self, texts: Any) -> Any:
        return tf.strings.lower(texts)

    def compute_output_spec(self, texts: Any) -> Any:
        return keras.KerasTensor(texts.shape, dtype="string")


def test_texts_behind_other_layers_are_traced_as_they_are(tmp_path: Path) -> None:
    inputs = models.texts()
    model = keras.Model(inputs, models.reader(name="encoder")(Lower()(inputs)))
    report = to_saved_model(model, tmp_path / "m")
    assert report.detail.startswith("endpoint 'serve';")
    found = run(report.path, "serve", {"review": ["A B"]})["encoder"]
    np.testing.assert_allclose(found, np.asarray(model(objects(["A B"]))), rtol=0, atol=1e-6)
    with pytest.raises(ExportError, match="takes strings"):
        to_onnx(model, tmp_path / "m.onnx")
    with pytest.raises(ExportError, match=r"no endpoint 'serve_ids': its strings go through"):
        to_saved_model(model, tmp_path / "ids", endpoint="serve_ids")


def test_a_tokenizer_that_runs_in_python_stays_outside(tmp_path: Path) -> None:
    """Its texts become ids before the model: the artefact is compared on texts, and takes ids."""
    inputs = models.texts()
    encoder = models.python_reader(name="encoder")
    model = keras.Model(inputs, keras.layers.Dense(3, name="scores")(encoder(inputs)))
    report = to_saved_model(model, tmp_path / "m", inputs=objects())
    assert report.detail == (
        "endpoint 'serve_ids'; 'serving_default' is 'serve_ids'; takes ids: the tokenizer of "
        "'encoder' runs in Python"
    )
    ids, expected = encoder.tokenizer(TEXTS), np.asarray(model(objects()))
    found = run(report.path, "serve_ids", ids)["scores"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    with pytest.raises(ExportError, match=r"no endpoint 'serve': the tokenizer of 'encoder' runs"):
        to_saved_model(model, tmp_path / "texts", endpoint="serve")
    to_onnx(model, tmp_path / "m.onnx", inputs=objects())
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, ids)[0], expected, rtol=0, atol=1e-5)
    behind = keras.Model(inputs, encoder(Lower()(inputs)))
    with pytest.raises(ExportError, match=r"calls back into Python .*tokenizer"):
        to_saved_model(behind, tmp_path / "behind")


def test_functions_of_python_are_not_exported(tmp_path: Path) -> None:
    def twice(x: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(lambda y: 2 * y, [x], tf.float32), (None, 4))

    inputs = keras.Input((4,), name="numbers")
    model = keras.Model(inputs, keras.layers.Lambda(twice, output_shape=(4,))(inputs))
    with pytest.raises(ExportError, match=r"Endpoint 'serve' calls back into Python \(PyFunc"):
        to_saved_model(model, tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("inputs", [np.array([1, 2]), [["a"], ["b"]], np.array([], object)])
def test_wrong_texts_to_compare_on(inputs: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="review"):
        to_saved_model(models.text_classifier(), tmp_path / "m", inputs=np.array(inputs, object))
    assert not list(tmp_path.iterdir())
