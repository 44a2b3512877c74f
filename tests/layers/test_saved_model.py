"""`SavedModelLayer`: the numbers of the original, at rest and in training."""

from __future__ import annotations

import shutil
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import SavedModelLayer
from keras_pretrained.layers.saved_model import ModuleError
from tests.layers.saved_models import (
    EPSILON,
    FOLDER,
    RATE,
    expected,
    fresh_process,
    model_of,
    texts,
)

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's graphs run on TensorFlow", allow_module_level=True)

import tensorflow as tf

EXPECTED = expected()


def trained(layer: Any, inputs: Any, targets: Any, **options: Any) -> list[float]:
    """Three steps of the optimizer that made the golden data; the losses."""
    model = model_of(layer)
    model.compile(keras.optimizers.Adam(RATE, epsilon=EPSILON), "mse", **options)
    return [float(model.train_on_batch(inputs, targets)) for _ in range(3)]


def weights(layer: Any) -> dict[str, np.ndarray]:
    return {each.name.replace(".", "/"): each.numpy() for each in layer.weights}


# --- the numbers of the original --------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.parametrize("output", ["default", "averaged"])
def test_hub_module_of_tf1_gives_what_tf1_gave(output, parity):
    layer = SavedModelLayer(FOLDER / "tf1_text", output=output)
    parity("saved-model/tf1-hub").close(output, layer(texts()), EXPECTED[f"tf1_text_{output}"])


def test_other_signature():
    layer = SavedModelLayer(FOLDER / "tf1_text", signature="length")
    lengths = layer(["the cat", "", "three word text"])
    assert lengths.dtype == "int32"
    np.testing.assert_array_equal(lengths, [7, 0, 15])
    np.testing.assert_array_equal(layer(texts()), EXPECTED["tf1_text_length"])


@pytest.mark.parity
def test_hub_module_of_tf1_trains_as_tf1_trained_it(parity):
    layer = SavedModelLayer(FOLDER / "tf1_text", output="default", trainable=True)
    losses = trained(layer, texts(), EXPECTED["targets"])
    parity("saved-model/tf1-hub").close("losses", losses, EXPECTED["tf1_text_losses"])
    found = weights(layer)
    assert len(found) == 6
    for name, value in found.items():
        before = EXPECTED[f"tf1_text_trained/{name}"]
        parity("saved-model/tf1-hub").close("trained variables", value, before)
    # Its statistics followed the batches, which in TF1 was up to the caller.
    assert np.abs(found["batch_normalization/moving_mean"]).max() > 0.01


@pytest.mark.parity
def test_variables_of_tf1_that_are_references_train_too(parity):
    layer = SavedModelLayer(FOLDER / "tf1_references", trainable=True, output="logits")
    every = layer.features(EXPECTED["numbers"])
    for name in ("logits", "probabilities"):
        original = EXPECTED[f"tf1_references_{name}"]
        parity("saved-model/tf1").close(name, every[name], original)
    trained(layer, EXPECTED["numbers"], EXPECTED["number_targets"], jit_compile=False)
    assert [each.name for each in layer.non_trainable_weights] == ["scale"]
    for name, value in weights(layer).items():
        after = EXPECTED[f"tf1_references_trained/{name}"]
        parity("saved-model/tf1").close("trained variables", value, after)


@pytest.mark.parity
def test_saved_model_of_tf2(parity):
    layer = SavedModelLayer(FOLDER / "tf2_text", trainable=True)
    parity("saved-model/tf2").close("output", layer(texts()), EXPECTED["tf2_text"])
    trained(layer, texts(), EXPECTED["tf2_targets"])
    found = weights(layer)
    parity("saved-model/tf2").close(
        "trained variables", found["embeddings"], EXPECTED["tf2_text_trained"]
    )
    # `training` reached the function: it counts the steps.
    assert found["counter"] == 3


@pytest.mark.parity
def test_saved_model_of_keras_2(parity):
    layer = SavedModelLayer(FOLDER / "keras2", trainable=True)
    inputs = {name: EXPECTED[f"keras2_{name}"] for name in ("left", "right")}
    found = layer(inputs)
    for name in ("hidden", "logits"):
        parity("saved-model/keras2").close(name, found[name], EXPECTED[f"keras2_{name}"])
    hidden = layer(inputs, training=True)["hidden"]
    original = EXPECTED["keras2_hidden_training"]
    parity("saved-model/keras2").close("hidden, training", hidden, original)
    # Keras 2 lists which are meant to train: not the statistics.
    assert len(layer.trainable_weights) == 6
    assert len(layer.non_trainable_weights) == 2


def test_xla_computes_the_same():
    layer = SavedModelLayer(FOLDER / "keras2", output="hidden")
    assert layer.supports_jit
    inputs = {name: EXPECTED[f"keras2_{name}"] for name in ("left", "right")}
    compiled = tf.function(layer, jit_compile=True)(inputs)
    np.testing.assert_allclose(compiled, EXPECTED["keras2_hidden"], atol=1e-6)


def test_no_xla_for_texts():
    layer = SavedModelLayer(FOLDER / "tf2_text")
    model = model_of(layer, 1)
    model.compile("sgd", "mse")
    assert not layer.supports_jit
    assert not model.jit_compile


def test_module_made_by_keras_3(tmp_path):
    inputs = [keras.Input((4,), name="left"), keras.Input((4,), name="right")]
    hidden = keras.layers.Dense(3)(keras.layers.Concatenate()(inputs))
    original = keras.Model(inputs, keras.layers.BatchNormalization()(hidden))
    original.export(tmp_path / "module", verbose=False)
    values = {name: EXPECTED[f"keras2_{name}"] for name in ("left", "right")}
    for signature in (None, "serve", "serving_default"):
        layer = SavedModelLayer(tmp_path / "module", signature=signature, trainable=True)
        np.testing.assert_allclose(layer(values), original([*values.values()]), atol=1e-6)
        assert len(layer.trainable_weights) == 4
        assert len(layer.non_trainable_weights) == 2


# --- training and freezing --------------------------------------------------------------------


@pytest.mark.parametrize("module", ["tf1_text", "tf2_text"])
def test_frozen_is_bit_identical_and_in_inference_mode(module):
    layer = SavedModelLayer(FOLDER / module, output="default" if "tf1" in module else None)
    before = layer.get_weights()
    model = model_of(layer, 1)
    model.compile("adam", "mse")
    model.fit(texts(), np.ones((4, 1)), epochs=2, verbose=0)
    for one, other in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not layer.trainable_weights
    np.testing.assert_array_equal(layer(texts(), training=True), layer(texts(), training=False))


def test_trainable_may_change_and_asks_for_compile():
    layer = SavedModelLayer(FOLDER / "tf2_text")
    model = model_of(layer, 1)
    model.compile("sgd", "mse")
    model.train_on_batch(texts(), np.ones((4, 1)))
    before = layer.get_weights()[0]
    layer.trainable = True
    with pytest.raises(ValueError, match="compile"):
        model.train_on_batch(texts(), np.ones((4, 1)))
    model.compile("sgd", "mse")
    model.train_on_batch(texts(), np.ones((4, 1)))
    assert np.abs(layer.get_weights()[0] - before).max() > 1e-4
    layer.trainable = False
    model.compile("sgd", "mse")
    after = layer.get_weights()[0]
    model.train_on_batch(texts(), np.ones((4, 1)))
    np.testing.assert_array_equal(layer.get_weights()[0], after)


def test_regularisation_counts_only_when_training():
    layer = SavedModelLayer(FOLDER / "tf2_text", trainable=True)
    layer(texts(), training=True)
    embeddings = layer.get_weights()[0]
    np.testing.assert_allclose(layer.losses, [0.02 * (embeddings**2).sum()], rtol=1e-6)
    layer.trainable = False
    layer(texts(), training=True)
    assert not layer.losses


def test_fixed_graph_says_why_it_cannot_be_trained(tmp_path):
    module = tf.Module()
    module.__call__ = tf.function(
        lambda x: x * 2.0, input_signature=[tf.TensorSpec([None, 2], "float32")]
    )
    saved = tf.train.Checkpoint()
    saved.__call__ = module.__call__
    tf.saved_model.save(saved, str(tmp_path / "doubled"))
    layer = SavedModelLayer(tmp_path / "doubled")
    np.testing.assert_array_equal(layer(np.ones((1, 2), "float32")), [[2.0, 2.0]])
    assert not layer.can_train
    with pytest.raises(ModuleError, match=r"cannot be trained: it has no variables"):
        SavedModelLayer(tmp_path / "doubled", trainable=True)


# --- inputs, outputs, shapes ------------------------------------------------------------------


def test_static_shapes_and_types():
    layer = SavedModelLayer(FOLDER / "tf1_text")
    found = layer(keras.Input((), dtype="string"))
    assert {name: tuple(each.shape) for name, each in found.items()} == {
        "averaged": (None, 4),
        "default": (None, 3),
    }
    half = SavedModelLayer(FOLDER / "keras2", output="hidden", dtype="mixed_float16")
    inputs = {name: EXPECTED[f"keras2_{name}"] for name in ("left", "right")}
    assert half(half.symbolic_inputs()).dtype == half(inputs).dtype == "float16"
    # The module itself computes as its author meant it to.
    np.testing.assert_allclose(half(inputs), EXPECTED["keras2_hidden"], rtol=1e-3, atol=1e-3)


def test_texts_in_every_form():
    layer = SavedModelLayer(FOLDER / "tf2_text")
    words = [str(each) for each in EXPECTED["texts"]]
    as_column = tf.constant(words)[:, None]
    for given in (words, np.array(words), np.array(words, object), as_column, [as_column]):
        np.testing.assert_array_equal(layer(given), EXPECTED["tf2_text"])
    model = keras.Sequential([keras.Input((1,), dtype="string"), layer])
    np.testing.assert_allclose(model.predict(as_column, verbose=0), EXPECTED["tf2_text"], atol=1e-6)


def test_numbers_are_cast():
    layer = SavedModelLayer(FOLDER / "tf1_references", output="logits")
    whole = np.arange(8).reshape(2, 4)
    np.testing.assert_array_equal(layer(whole), layer(whole.astype("float32")))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"left": (2, 4)}, "a dictionary of left: float32 .* Received: a dictionary of left"),
        ({"left": (2, 4), "rihgt": (2, 4)}, "Received: a dictionary of left, rihgt"),
        ({"left": (2, 4), "right": (2, 5)}, r"right: float32 of shape \(None, 4\).*\(2, 5\)"),
        ({"left": (2, 4), "right": (4,)}, r"Received: float32 of shape \(4,\)"),
    ],
)
def test_wrong_inputs(given, message):
    layer = SavedModelLayer(FOLDER / "keras2")
    with pytest.raises(ValueError, match=message):
        layer({name: np.zeros(shape, "float32") for name, shape in given.items()})
    with pytest.raises(ValueError, match=message):
        layer({name: keras.Input(batch_shape=shape) for name, shape in given.items()})


def test_numbers_in_place_of_texts():
    layer = SavedModelLayer(FOLDER / "tf2_text")
    with pytest.raises(ModuleError, match=r"string of shape \(None,\). Received: float32"):
        layer(keras.Input((), dtype="float32"))


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        ("tf1_text", {"signature": "defualt"}, "signatures: default, length. Choose one"),
        ("tf1_text", {"output": "defualt"}, "outputs: averaged, default. Received: output='def"),
        ("tf2_text", {"output": "x"}, "one without a name"),
        ("tf1_text", {"tags": ["tpu"]}, r"tags \[\], \['train'\].*Received: tags=\['tpu'\]"),
        ("tf1_text", {"arguments": {"a": 1}}, "take tensors only"),
        ("tf2_text", {"arguments": {"a": 1}}, r"arguments sentences, training.*\['a'\]"),
        ("tf2_text", {"embed": False}, "a folder has none"),
        ("tf2_text", {"output_shape": (5,)}, r"\(None, 4\).*Received: \(5,\)"),
        ("tf2_text", {"output_shape": {"x": (4,)}}, "does not fit"),
    ],
)
def test_wrong_arguments(module, options, message):
    with pytest.raises(ModuleError, match=message):
        SavedModelLayer(FOLDER / module, **options)


def test_no_saved_model(tmp_path):
    (tmp_path / "weights.h5").touch()
    with pytest.raises(ModuleError, match=r"no SavedModel.*Found in .*: weights.h5"):
        SavedModelLayer(tmp_path)
    with pytest.raises(ModuleError, match=r"no SavedModel.*nothing"):
        SavedModelLayer(tmp_path / "absent")
    (tmp_path / "saved_model.pbtxt").touch()
    with pytest.raises(ModuleError, match="save it again in binary"):
        SavedModelLayer(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 40)
    with pytest.raises(ModuleError, match=r"saved_model.pb is damaged"):
        SavedModelLayer(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModuleError, match=r"holds no graph"):
        SavedModelLayer(tmp_path)


@pytest.mark.parametrize("module", ["tf1_text", "tf1_references", "tf2_text"])
@pytest.mark.parametrize("name", ["variables.index", "variables.data-00000-of-00001"])
def test_truncated_variables(module, name, tmp_path):
    shutil.copytree(FOLDER / module, tmp_path / "m")
    path = tmp_path / "m" / "variables" / name
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ModuleError, match=r"cannot load .*/m': .*copy or fetch") as raised:
        SavedModelLayer(tmp_path / "m")
    assert "most recent call" not in str(raised.value)


def test_module_that_cannot_be_called(tmp_path):
    saved = tf.train.Checkpoint(weight=tf.Variable([1.0]))
    tf.saved_model.save(saved, str(tmp_path / "m"))
    with pytest.raises(ModuleError, match=r"no signature that can be called.*save it again.*=None"):
        SavedModelLayer(tmp_path / "m")
    with pytest.raises(ModuleError, match=r"no signature that can be called"):
        SavedModelLayer(tmp_path / "m", signature="serve")


def test_ragged_tensors_are_not_taken(tmp_path):
    ragged = tf.RaggedTensorSpec([None, None], tf.float32)
    folder = save(tmp_path / "m", lambda x: tf.reduce_sum(x, 1), ragged)
    with pytest.raises(ModuleError, match=r"RaggedTensorSpec.*RaggedTensor.to_tensor"):
        SavedModelLayer(folder)


def save(folder: Any, call: Any, *specifications: Any, **attributes: Any) -> Any:
    """A SavedModel of TF2 that is called like a function."""
    saved = tf.train.Checkpoint(**attributes)
    saved.__call__ = tf.function(call, input_signature=specifications)
    tf.saved_model.save(saved, str(folder))
    return folder


def test_shape_that_the_graph_does_not_tell(tmp_path):
    table = tf.Variable(tf.ones([5, 3]))

    def call(ids):
        hidden = tf.nn.embedding_lookup(table, ids)
        return tf.ensure_shape(tf.raw_ops.PlaceholderWithDefault(input=hidden, shape=None), None)

    folder = save(tmp_path / "m", call, tf.TensorSpec([None, None], "int32"), table=table)
    layer = SavedModelLayer(folder)
    # Two small batches of different length were looked at.
    assert layer(keras.Input((None,), dtype="int32")).shape == (None, None, 3)
    given = SavedModelLayer(folder, output_shape=(7, None))
    assert given(keras.Input((None,), dtype="int32")).shape == (None, 7, None)
    assert SavedModelLayer.from_config(given.get_config()).record == given.record


def test_ragged_outputs_are_refused(tmp_path):
    folder = save(tmp_path / "m", tf.strings.split, tf.TensorSpec([None], tf.string))
    with pytest.raises(ModuleError, match="RaggedTensor"):
        SavedModelLayer(folder)


def test_further_arguments(tmp_path):
    weight = tf.Variable([2.0])

    def call(inputs, scale=3.0, mode="plain", training=False):
        result = inputs * weight * scale
        if mode == "negative":
            result = -result
        return result + (100.0 if training else 0.0)

    saved = tf.train.Checkpoint(weight=weight)
    saved.__call__ = tf.function(call)
    for training in (False, True):
        for mode in ("plain", "negative"):
            saved.__call__.get_concrete_function(
                tf.TensorSpec([None, 1]), tf.TensorSpec([]), mode=mode, training=training
            )
    tf.saved_model.save(saved, str(tmp_path / "m"))
    ones = np.ones((1, 1), "float32")
    assert SavedModelLayer(tmp_path / "m")(ones) == 6
    changed = SavedModelLayer(
        tmp_path / "m", arguments={"mode": "negative", "scale": 5.0}, trainable=True
    )
    assert changed(ones) == -10
    assert changed(ones, training=True) == 90
    with pytest.raises(ModuleError, match=r"no call that fits arguments=\{'mode': 'other'\}"):
        SavedModelLayer(tmp_path / "m", arguments={"mode": "other"})


def test_info():
    info = SavedModelLayer(FOLDER / "tf1_text").info
    assert info.splitlines() == [
        "TF-Hub module of TF1 tf1_text",
        "takes default: string of shape (None,)",
        "gives averaged: float32 of shape (None, 4); default: float32 of shape (None, 3)",
        "6 variables, 4 of them trainable",
    ]


def test_other_backends_are_told(tmp_path):
    code = (
        "from keras_pretrained.layers import SavedModelLayer\n"
        f"SavedModelLayer({str(FOLDER / 'tf2_text')!r})"
    )
    error = fresh_process(code, tmp_path, KERAS_BACKEND="jax")
    assert "runs a graph of TensorFlow, which the Keras backend jax cannot run" in error
