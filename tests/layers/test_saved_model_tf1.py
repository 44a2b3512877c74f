"""`SavedModelLayer` on graphs of TF1 that are not as plain as TF-Hub's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import SavedModelLayer
from keras_pretrained.layers.saved_model import ModuleError
from tests.layers.saved_models import model_of

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's graphs run on TensorFlow", allow_module_level=True)

import tensorflow as tf
from tensorflow.python.ops import control_flow_util

v1 = tf.compat.v1
NUMBERS = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
KERNEL = np.random.default_rng(1).normal(size=(3, 3)).astype("float32")


def save(folder: Path, outputs: Callable[[Any], Any], references: bool = False) -> Any:
    """Writes a graph as TF1 did; what TF1 computes in it for `NUMBERS`."""
    with v1.Graph().as_default(), v1.variable_scope("", use_resource=not references):
        taken = v1.placeholder(tf.float32, [None, 3])
        given = outputs(taken)
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            v1.saved_model.simple_save(session, str(folder), {"x": taken}, {"y": given})
            return session.run(given, {taken: NUMBERS})


def kernel(**options: Any) -> Any:
    return v1.get_variable("kernel", [3, 3], initializer=v1.constant_initializer(KERNEL), **options)


def repeated(taken: Any) -> Any:
    weights = kernel()

    def step(count: Any, x: Any) -> Any:
        return count + 1, tf.tanh(tf.matmul(x, weights))

    return v1.while_loop(lambda count, _: count < 3, step, [tf.constant(0), taken])[1]


@pytest.fixture
def old_control_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorflow.python.ops import control_flow_util

    monkeypatch.setattr(control_flow_util, "ENABLE_CONTROL_FLOW_V2", False)


@pytest.mark.parametrize("references", [True, False])
def test_loops_that_are_functions_train(references: bool, tmp_path: Path) -> None:
    expected = save(tmp_path / "m", repeated, references)
    layer = SavedModelLayer(tmp_path / "m", trainable=True)
    np.testing.assert_allclose(layer(NUMBERS), expected, atol=1e-6)
    weights = tf.Variable(KERNEL)
    with tf.GradientTape() as tape:
        x = tf.constant(NUMBERS)
        for _ in range(3):
            x = tf.tanh(tf.matmul(x, weights))
        original = tf.reduce_sum(x)
    with tf.GradientTape() as ours:
        found = tf.reduce_sum(layer(NUMBERS, training=True))
    np.testing.assert_allclose(
        ours.gradient(found, layer.trainable_weights[0].value),
        tape.gradient(original, weights),
        atol=1e-6,
    )


@pytest.mark.parametrize("references", [True, False])
def test_old_loops_run_and_say_that_they_cannot_train(
    references: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_flow_util, "ENABLE_CONTROL_FLOW_V2", False)
    expected = save(tmp_path / "m", repeated, references)
    layer = SavedModelLayer(tmp_path / "m")
    np.testing.assert_allclose(layer(NUMBERS), expected, atol=1e-6)
    assert not layer.can_train
    assert "loops or branches of TF1" in layer.info
    with pytest.raises(ModuleError, match=r"cannot be trained: its graph has loops or branches"):
        SavedModelLayer(tmp_path / "m", trainable=True)
    model = model_of(layer, 2)
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(NUMBERS, np.ones((4, 2)), verbose=0)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(
        exported.serve(NUMBERS), model.predict(NUMBERS, verbose=0), atol=1e-6
    )


def test_loop_before_the_variables_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_flow_util, "ENABLE_CONTROL_FLOW_V2", False)

    def outputs(taken: Any) -> Any:
        ids = tf.cast(tf.round(taken[:, 0]), tf.int32)
        doubled = v1.while_loop(lambda n, x: n < 2, lambda n, x: (n + 1, x * 2), [0, ids])[1]
        return tf.matmul(tf.one_hot(doubled % 3, 3), kernel())

    expected = save(tmp_path / "m", outputs)
    layer = SavedModelLayer(tmp_path / "m", trainable=True)
    np.testing.assert_allclose(layer(NUMBERS), expected, atol=1e-5)
    model = model_of(layer)
    model.compile("sgd", "mse", jit_compile=False)
    model.train_on_batch(NUMBERS, NUMBERS)
    assert np.abs(layer.get_weights()[0] - KERNEL).max() > 1e-4


def test_xla_compiles_what_it_can(tmp_path: Path) -> None:
    expected = save(tmp_path / "m", lambda taken: tf.matmul(taken, kernel()))
    layer = SavedModelLayer(tmp_path / "m", trainable=True)
    assert layer.supports_jit
    compiled = tf.function(layer, jit_compile=True)(NUMBERS)
    np.testing.assert_allclose(compiled, expected, atol=1e-5)
    model = model_of(layer)
    model.compile("sgd", "mse", jit_compile=True)
    model.train_on_batch(NUMBERS, NUMBERS)
    assert np.abs(layer.get_weights()[0] - KERNEL).max() > 1e-4
    save(tmp_path / "loop", repeated)
    # XLA has no gradients of loops whose length it does not know.
    assert not SavedModelLayer(tmp_path / "loop").supports_jit


def test_graph_that_assigns_to_references_stays_as_it_is(tmp_path: Path) -> None:
    def outputs(taken: Any) -> Any:
        calls = v1.get_variable("calls", [], initializer=v1.constant_initializer(5.0))
        with tf.control_dependencies([v1.assign_add(calls, 1.0)]):
            return tf.matmul(taken, kernel())

    expected = save(tmp_path / "m", outputs, references=True)
    layer = SavedModelLayer(tmp_path / "m")
    np.testing.assert_allclose(layer(NUMBERS), expected, atol=1e-6)
    assert not layer.weights
    with pytest.raises(ModuleError, match=r"assigns to its variables itself.*enable_resource"):
        SavedModelLayer(tmp_path / "m", trainable=True)
    model = model_of(layer, 2)
    before = model.predict(NUMBERS, verbose=0)
    model.save(tmp_path / "model.keras")
    # Its variables are the module's own, so the file holds its checkpoint.
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(reloaded.predict(NUMBERS, verbose=0), before, atol=1e-6)


def test_variable_that_was_kept_in_parts(tmp_path: Path) -> None:
    def outputs(taken: Any) -> Any:
        parts = v1.get_variable(
            "kernel", [3, 3], tf.float32, partitioner=v1.fixed_size_partitioner(3)
        )
        return tf.matmul(taken, tf.concat(list(parts), 0))

    expected = save(tmp_path / "m", outputs)
    layer = SavedModelLayer(tmp_path / "m", trainable=True)
    np.testing.assert_allclose(layer(NUMBERS), expected, atol=1e-6)
    assert [each.name for each in layer.trainable_weights] == [f"kernel.part_{n}" for n in range(3)]
    assert not layer.record.state


def test_updates_of_other_signatures_are_left_alone(tmp_path: Path) -> None:
    """Each signature has statistics of its own; both graphs have both signatures."""

    def signatures(training: bool) -> dict[str, Any]:
        found = {}
        for name in ("first", "second"):
            taken = v1.placeholder(tf.float32, [None, 3])
            with v1.variable_scope(name, use_resource=True):
                scale = v1.get_variable("scale", [3])
                mean = v1.get_variable("mean", initializer=np.zeros(3, "float32"), trainable=False)
            given = (taken - mean) * scale
            if training:
                update = v1.assign_add(mean, tf.reduce_mean(taken, 0) / 2)
                v1.add_to_collection("update_ops", update if name == "first" else update.op)
            found[name] = v1.saved_model.predict_signature_def({"x": taken}, {"y": given})
        return found

    builder = v1.saved_model.Builder(str(tmp_path / "m"))
    with v1.Graph().as_default(), v1.Session() as session:
        found = signatures(False)
        session.run(v1.global_variables_initializer())
        builder.add_meta_graph_and_variables(session, [], found)
    with v1.Graph().as_default():
        builder.add_meta_graph(["train"], signatures(True))
        builder.save()
    for name in ("first", "second"):
        layer = SavedModelLayer(tmp_path / "m", signature=name, trainable=True)
        assert {each.name for each in layer.weights} == {f"{name}.scale", f"{name}.mean"}
        layer(NUMBERS, training=True)
        mean = layer.non_trainable_weights[0]
        np.testing.assert_allclose(mean, NUMBERS.mean(0) / 2, atol=1e-6)


def test_penalty_that_depends_on_inputs_cannot_train(tmp_path: Path) -> None:
    def outputs(taken: Any) -> Any:
        given = tf.matmul(taken, kernel())
        v1.add_to_collection("regularization_losses", tf.reduce_sum(given))
        return given

    expected = save(tmp_path / "m", outputs)
    layer = SavedModelLayer(tmp_path / "m")
    np.testing.assert_allclose(layer(NUMBERS), expected, atol=1e-6)
    with pytest.raises(ModuleError, match="regularisation losses depends on its inputs"):
        SavedModelLayer(tmp_path / "m", trainable=True)


def test_input_that_is_not_dense(tmp_path: Path) -> None:
    with v1.Graph().as_default():
        taken = v1.sparse_placeholder(tf.float32, [None, 3])
        given = tf.sparse.to_dense(taken) * 1.0
        with v1.Session() as session:
            v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": taken}, {"y": given})
    with pytest.raises(ModuleError, match=r"not dense \(x\)"):
        SavedModelLayer(tmp_path / "m")
