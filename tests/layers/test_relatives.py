"""The contract of a text layer, for BERT's relatives: it does not depend on the family."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import open_checkpoint
from keras_pretrained.weights import WeightsError
from tests.layers.layer_test import run_layer_test, to_numpy
from tests.layers.relatives import RELATIVES, TEXTS, Relative, model_of
from tests.layers.toys import WIDTH

relatives = pytest.mark.parametrize("relative", RELATIVES.values(), ids=RELATIVES)
BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason=f"{BACKEND} has no strings")


@relatives
@pytest.mark.parametrize(
    ("options", "width", "pooled"),
    [
        ({}, WIDTH, False),
        ({"pooling": "mean-max", "hidden_layers": [-1, 0]}, 4 * WIDTH, True),
    ],
    ids=str,
)
def test_layer(
    relative: Relative, options: dict[str, Any], width: int, pooled: bool, tmp_path: Path
) -> None:
    shape = (None, width) if pooled else (None, None, width)
    run_layer_test(lambda **kw: relative.make(**options, **kw), relative.inputs(), shape, tmp_path)


@relatives
def test_inputs(relative: Relative) -> None:
    encoder, inputs = relative.make(), relative.inputs()
    assert set(encoder.input_names) == set(inputs)
    expected = to_numpy(encoder(inputs))
    np.testing.assert_array_equal(to_numpy(encoder(inputs["token_ids"])), expected)
    with pytest.raises(ValueError, match="dictionary of token_ids, "):
        encoder({**inputs, "other_ids": inputs["token_ids"]})
    if not relative.has_segments:
        with pytest.raises(ValueError, match="dictionary of token_ids, padding_mask"):
            encoder({**inputs, "segment_ids": inputs["token_ids"]})
    with pytest.raises(ValueError, match=r"at most 12 tokens\. Received: 13"):
        encoder(np.full((1, 13), 5, "int32"))
    with pytest.raises(ValueError, match="position limit 12"):
        relative.make(max_length=13)
    assert to_numpy(encoder(np.full((1, 12), 5, "int32"))).shape == (1, 12, WIDTH)


@relatives
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.skipif(BACKEND != "tensorflow", reason="other backends know every length")
def test_a_longer_input_is_an_error_where_lengths_are_free(
    relative: Relative, jit_compile: bool
) -> None:
    import tensorflow as tf

    encoder = relative.make()
    free = tf.TensorSpec((None, None), tf.int32)
    function = tf.function(encoder, input_signature=[free], jit_compile=jit_compile)
    assert function(tf.fill((2, 12), 5)).shape == (2, 12, WIDTH)
    with pytest.raises(Exception, match=r"12.*13|13.*12"):
        function(tf.fill((2, 13), 5))


@relatives
def test_padding_does_not_change_a_text(relative: Relative) -> None:
    """On the right for every family; on the left where positions are counted over real tokens."""
    inputs = relative.inputs()
    sides = {"right": (1, slice(0, 3))}
    if relative.pad_id == 1:
        sides["left"] = (2, slice(2, 5))
    for pooling in ("mean", "max", "mean-max"):
        encoder = relative.make(pooling=pooling)
        found = to_numpy(encoder(inputs))
        for row, real in sides.values():
            alone = to_numpy(encoder(inputs["token_ids"][row : row + 1, real]))
            np.testing.assert_allclose(found[row : row + 1], alone, atol=2e-6, err_msg=pooling)


@relatives
def test_a_row_of_padding_is_finite(relative: Relative) -> None:
    ids = np.full((2, 4), relative.pad_id, "int32")
    ids[0] = 5
    for pooling in (None, "cls", "mean", "max", "mean-max", "last"):
        assert np.isfinite(to_numpy(relative.make(pooling=pooling)(ids))).all(), pooling


@relatives
def test_features(relative: Relative) -> None:
    encoder, inputs = relative.make(), relative.inputs()
    found = to_numpy(encoder.features(inputs))
    assert [state.shape for state in found["hidden_states"]] == [(3, 5, WIDTH)] * 4
    heads = {"pooled"} if relative.has_pooler else set()
    assert set(found) == {"hidden_states", "attentions", *heads}
    attention = found["attentions"][-1]
    np.testing.assert_allclose(attention.sum(-1), 1, atol=1e-5)
    assert attention[1, :, :, -2:].max() == attention[2, :, :, :2].max() == 0
    np.testing.assert_array_equal(found["hidden_states"][-1], to_numpy(encoder(inputs)))


@relatives
def test_there_is_no_pooler(relative: Relative) -> None:
    if relative.has_pooler:
        assert to_numpy(relative.load(pooling="pooler")(relative.inputs())).shape == (3, 16)
        return
    for make in (relative.make, relative.load):
        with pytest.raises(ValueError, match="needs the original pooler"):
            make(pooling="pooler")


@relatives
def test_sources_that_do_not_fit(relative: Relative, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="expected shape"):
        relative.load(architecture={"intermediate_size": 7})
    if relative.blocks == 3:
        with pytest.raises(WeightsError, match="layer_3/attention/query/kernel: expected"):
            relative.load(architecture={"num_layers": 4})
        with pytest.raises(WeightsError, match=r"nothing uses[\s\S]*layer.2"):
            relative.load(architecture={"num_layers": 2})
    with pytest.raises(ValueError, match="bert-base"):
        relative.layer("bert-base")
    config = (relative.checkpoint / "config.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(config.replace("model_type", "x"), encoding="utf-8")
    weights = relative.checkpoint / "model.safetensors"
    (tmp_path / "model.safetensors").write_bytes(weights.read_bytes())
    assert relative.layer(tmp_path).architecture == relative.load().architecture
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(ValueError, match="model_type 'bert', missing keys: vocab_size"):
        relative.layer(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(WeightsError, match="no configuration file beside it"):
        relative.layer(tmp_path)


@relatives
def test_weights_and_folder_are_written_back(relative: Relative, tmp_path: Path) -> None:
    encoder = relative.load(max_length=9)
    original = open_checkpoint(relative.checkpoint)
    written = open_checkpoint(encoder.save_weights_as(tmp_path / "weights.safetensors"))
    used = {name for names in encoder.load_report.loaded.values() for name in names}
    assert set(written) == used
    for name in used:
        assert written[name].read().tobytes() == original[name].read().tobytes(), name
        assert (written[name].shape, written[name].dtype) == (
            original[name].shape,
            original[name].dtype,
        )
    folder = encoder.save_weights_as(tmp_path / "folder")
    again = relative.layer(folder, max_length=9)
    assert again.architecture == encoder.architecture
    inputs = relative.inputs()
    np.testing.assert_array_equal(to_numpy(again(inputs)), to_numpy(encoder(inputs)))
    for name, ids in encoder.tokenizer(TEXTS).items():
        np.testing.assert_array_equal(again.tokenizer(TEXTS)[name], ids)


@relatives
def test_the_tokenizer_makes_what_the_layer_takes(relative: Relative) -> None:
    encoder = relative.load(max_length=9)
    ids = encoder.tokenizer(TEXTS)
    assert set(ids) == set(encoder.input_names)
    assert ids["token_ids"].shape == (4, 9)
    assert (ids["token_ids"][ids["padding_mask"] == 0] == relative.pad_id).all()
    assert to_numpy(encoder(ids)).shape == (4, 9, 16)
    pairs = encoder.tokenizer((TEXTS, TEXTS[::-1]))
    assert to_numpy(encoder(pairs)).shape == (4, 9, 16)


@relatives
@on_tensorflow
def test_strings(relative: Relative, tmp_path: Path) -> None:
    """In a model that is trained, run and saved."""
    encoder = relative.load(max_length=9, trainable_from=relative.last_block, pooling="mean")
    expected = to_numpy(encoder(encoder.tokenizer(TEXTS, pad_to="buckets")))
    np.testing.assert_array_equal(to_numpy(encoder(TEXTS)), expected)
    symbolic = keras.Input((), dtype="string")
    model = keras.Model(symbolic, keras.layers.Dense(2)(encoder(symbolic)))
    model.compile("adamw", "mse", jit_compile=False)
    below, last = ([encoder.embeddings, *encoder.blocks][index] for index in (-2, -1))
    frozen, moved = below.weights[0], last.weights[0]
    before = to_numpy([frozen, moved])
    model.fit(np.array(TEXTS, object), np.ones((4, 2)), verbose=0)
    np.testing.assert_array_equal(to_numpy(frozen), before[0])
    assert np.abs(to_numpy(moved) - before[1]).max() > 0
    texts = np.array(TEXTS, object)
    found = model.predict(texts, verbose=0)
    model.save(tmp_path / "m.keras")
    reloaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(reloaded.predict(texts, verbose=0), found)


RELOAD = """
import socket
from pathlib import Path
def refuse(*args, **kwargs):
    raise OSError("no network in this test")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
import numpy as np
import keras
import keras_pretrained.layers
for path in Path(".").glob("*.keras"):
    model = keras.models.load_model(path)
    model.compile(jit_compile=False)
    encoder = next(layer for layer in model.layers if hasattr(layer, "tokenizer"))
    again = encoder.tokenizer(["a b c", "d e"])
    found = model.predict(dict(np.load(path.with_suffix(".inputs.npz"))), verbose=0)
    np.savez(path.with_suffix(".outputs.npz"), y=found, **again)
"""


def test_saved_models_need_nothing_but_themselves(tmp_path: Path) -> None:
    models = {}
    for name, relative in RELATIVES.items():
        encoder = relative.load(trainable_from=relative.last_block, pooling="mean", max_length=8)
        models[name] = model = model_of(encoder)
        model.compile(jit_compile=False)
        model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.inputs.npz", **relative.inputs())
    home = str(tmp_path / "home")
    environment = {**os.environ, "HOME": home, "KERAS_PRETRAINED_HOME": home}
    subprocess.run([sys.executable, "-c", RELOAD], cwd=tmp_path, env=environment, check=True)
    for name, model in models.items():
        outputs = np.load(tmp_path / f"{name}.outputs.npz")
        expected = model.predict(RELATIVES[name].inputs(), verbose=0)
        np.testing.assert_array_equal(outputs["y"], expected)
        encoder = next(layer for layer in model.layers if hasattr(layer, "tokenizer"))
        for key, values in encoder.tokenizer(["a b c", "d e"]).items():
            np.testing.assert_array_equal(outputs[key], values)


@relatives
@on_tensorflow
def test_exports(relative: Relative, tmp_path: Path) -> None:
    import onnxruntime
    import tensorflow as tf

    from keras_pretrained.export import to_onnx, to_saved_model

    encoder = relative.load(pooling="mean", max_length=12)
    model = model_of(encoder)
    report = to_saved_model(model, tmp_path / "saved")
    assert report.largest_difference <= 1e-5
    signatures = tf.saved_model.load(str(report.path)).signatures
    # Texts are served where the tokenizer is made of TensorFlow's operations.
    assert ("serve" in signatures) == (not encoder.tokenizer.runs_in_python)
    inputs = relative.inputs(7)
    served = signatures["serve_ids"](**{k: tf.constant(v) for k, v in inputs.items()})
    expected = to_numpy(encoder(inputs))
    np.testing.assert_allclose(next(iter(served.values())), expected, atol=1e-5)
    path = to_onnx(model, tmp_path / "m.onnx").path
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, inputs)[0], expected, atol=1e-5)


@relatives
@pytest.mark.skipif(BACKEND != "jax", reason="lowering for TPU is JAX's")
def test_the_layer_compiles_for_tpu(relative: Relative) -> None:
    import jax

    encoder = relative.make(pooling="mean")
    fixed = [v.value for v in encoder.non_trainable_variables]

    def loss(values: Any, inputs: Any) -> Any:
        output, _ = encoder.stateless_call(values, fixed, inputs, training=False)
        return (output**2).mean()

    values = [v.value for v in encoder.trainable_variables]
    platforms = ["tpu", "cuda", "cpu"]
    for function in (loss, jax.grad(loss)):
        exported = jax.export.export(jax.jit(function), platforms=platforms)(
            values, relative.inputs()
        )
        assert set(exported.platforms) == set(platforms)
