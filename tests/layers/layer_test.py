"""The one test that every pretrained layer goes through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np


def to_numpy(structure: Any) -> Any:
    return keras.tree.map_structure(lambda t: np.asarray(keras.ops.convert_to_numpy(t)), structure)


def run_layer_test(
    make: Callable[..., Any],
    inputs: Any,
    output_shape: tuple[int | None, ...],
    folder: Path,
    *,
    tolerance: float = 1e-5,
) -> None:
    """Build, call, shapes, mask, dtype policies, config, `.keras`, XLA and its recompilations.

    Args:
        make: makes the layer from keyword arguments of `keras.layers.Layer`.
        inputs: arrays of one batch; a second batch of another length must work too.
        output_shape: of the layer's output for inputs of free batch and length.
        folder: where files may be written.
    """
    layer = make()
    assert layer.built
    expected = to_numpy(layer(inputs))

    symbolic = layer.symbolic_inputs()
    output = layer(symbolic)
    assert output.shape == output_shape
    assert output.dtype == layer.compute_dtype
    model = keras.Model(symbolic, output)
    model.compile(jit_compile=False)
    np.testing.assert_allclose(model.predict(inputs, verbose=0), expected, rtol=0, atol=tolerance)

    _check_policies(make, inputs, expected)
    _check_config(layer, inputs, output_shape)
    _check_reload(model, inputs, folder)
    _check_compiled(model, inputs, expected, tolerance)


def _check_policies(make: Any, inputs: Any, expected: Any) -> None:
    policies = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16", "bfloat16": "bfloat16"}
    for policy, expected_dtype in policies.items():
        layer = make(dtype=policy)
        output = layer(inputs)
        dtype = keras.backend.standardize_dtype(output.dtype)
        assert dtype == expected_dtype, policy
        values = to_numpy(keras.ops.cast(output, "float32"))
        assert np.isfinite(values).all(), policy
        assert values.shape == expected.shape
        variables = {keras.backend.standardize_dtype(v.dtype) for v in layer.trainable_weights}
        assert variables <= {layer.variable_dtype}, policy


def _check_config(layer: Any, inputs: Any, output_shape: Any) -> None:
    config = layer.get_config()
    assert not [value for value in _strings(config) if "/" in value or "\\" in value]
    copy = type(layer).from_config(config)
    assert copy.get_config() == config
    assert [w.shape for w in copy.weights] == [w.shape for w in layer.weights]
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(to_numpy(copy(inputs)), to_numpy(layer(inputs)))


def _check_reload(model: Any, inputs: Any, folder: Path) -> None:
    path = folder / "layer.keras"
    model.save(path)
    reloaded = keras.models.load_model(path, compile=False)
    reloaded.compile(jit_compile=False)
    np.testing.assert_array_equal(
        reloaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0)
    )


def _check_compiled(model: Any, inputs: Any, expected: Any, tolerance: float) -> None:
    """XLA gives the same numbers, and a seen shape is not compiled again."""
    traces = 0

    class Counter(keras.layers.Layer):
        def compute_mask(self, x: Any, previous_mask: Any) -> Any:
            return None

        def call(self, x: Any) -> Any:
            nonlocal traces
            traces += 1
            return x

    counted = keras.Model(model.input, Counter()(model.output))
    counted.compile(jit_compile=True)
    traces = 0
    for _ in range(3):
        found = counted.predict_on_batch(inputs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    assert traces <= 2, f"traced {traces} times for one shape"


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []
