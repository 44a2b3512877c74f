"""TensorFlow SavedModels, from the TensorFlow and the JAX backend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_pretrained.export.axes import Axes, input_axes
from keras_pretrained.export.check import Check
from keras_pretrained.export.interface import Interface
from keras_pretrained.export.report import ExportError, ExportReport
from keras_pretrained.export.samples import Limits
from keras_pretrained.export.staging import staged
from keras_pretrained.export.tracing import tensor_specs, traced

KIND = "SavedModel"
_DEFAULT = "serving_default"
_RESERVED = {_DEFAULT, "signatures", "variables", "trainable_variables", "tables", "save_counter"}


def to_saved_model(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    inputs: Any = None,
    tolerance: float | None = None,
    overwrite: bool = False,
    endpoint: str | None = None,
) -> ExportReport:
    """Writes a SavedModel that plain TensorFlow and TensorFlow Serving run.

    `tf.saved_model.load(path)` gives an object with the endpoint as a method that takes a
    dictionary of inputs by name and returns one of outputs; the same function is its signature
    of that name and `"serving_default"`. Batch and length are free where the model's are.
    TensorFlow Serving expects a version number as the last folder, such as `models/name/1`.

    Args:
        model: a functional or sequential model on token ids, images or other numbers. Works on
            the TensorFlow and the JAX backend; the artefact needs TensorFlow alone.
        path: the folder to write.
        inputs: one batch as the model takes it, to compare on. By default two made-up batches of
            different size with valid ids, both segments and padding.
        tolerance: allowed difference of each number, absolute plus relative; by default 1e-4,
            or what the model's dtype can hold.
        overwrite: whether a SavedModel at `path` may be replaced.
        endpoint: name of the endpoint; by default `"serve_ids"` for a model on ids and `"serve"`
            for any other.

    Returns:
        Signature, size and largest difference; `print` shows them.

    Raises:
        ExportError: the export failed, or the artefact differs from the model. Nothing is left
            behind then.
    """
    interface = Interface(model)
    endpoint = _endpoint(interface) if endpoint is None else endpoint
    if not endpoint.isidentifier() or endpoint in _RESERVED:
        raise ExportError(
            f"`endpoint` must be a Python name other than {', '.join(sorted(_RESERVED))}. "
            f"Received: {endpoint!r}"
        )
    with staged(path, KIND, overwrite, is_saved_model) as (target, artefact):
        check = Check.prepare(interface, inputs, tolerance)
        try:
            _write(check, str(artefact), endpoint)
        except Exception as error:
            raise ExportError(f"{KIND} {target} could not be made: {error}") from error
        difference = _verify(check, artefact, target, endpoint)
        detail = f"endpoint {endpoint!r}, also {_DEFAULT!r}"
        return check.report(target, artefact, KIND, detail, difference)


def is_saved_model(path: Path) -> bool:
    return path.is_dir() and any(
        (path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")
    )


def _endpoint(interface: Interface) -> str:
    on_ids = any(port.dtype in ("int32", "int64") for port in interface.inputs)
    return "serve_ids" if on_ids else "serve"


def _write(check: Check, folder: str, endpoint: str) -> None:
    """Saves the function with its variables and tables, and nothing else of the model.

    `keras.export.ExportArchive` traces the model three times; on JAX it gives every axis a name
    of its own, so that inputs that share a length are refused, and writes all frozen weights
    back at every call.
    """
    import tensorflow as tf

    make = _jax_function if keras.backend.backend() == "jax" else _tensorflow_function
    function, variables = make(check.interface, check.tied)
    root = tf.train.Checkpoint()
    root.variables = variables
    root.trainable_variables = variables[: len(check.interface.model.trainable_variables)]
    root.tables = _tables(check.interface)
    # A tf.function would be traced again while it is saved, a concrete one is saved as it is.
    concrete = function.get_concrete_function()
    setattr(root, endpoint, concrete)
    tf.saved_model.save(root, folder, signatures={endpoint: concrete, _DEFAULT: concrete})


def _tensorflow_function(interface: Interface, tied: bool) -> tuple[Any, list[Any]]:
    return traced(interface), [variable.value for variable in interface.variables()]


def _jax_function(interface: Interface, tied: bool) -> tuple[Any, list[Any]]:
    """The model as StableHLO over TensorFlow variables, for CPU and CUDA."""
    import tensorflow as tf
    from jax.experimental import jax2tf

    axes = input_axes(interface.inputs, shared=tied)
    shapes = {name: f"({', '.join(map(str, shape))})" for name, shape in axes.items()}
    converted = jax2tf.convert(
        interface.call,
        polymorphic_shapes=[shapes, None],
        polymorphic_constraints=_length_limits(interface, axes),
        with_gradient=False,
        native_serialization_platforms=("cpu", "cuda"),
    )
    variables = [_variable(variable) for variable in interface.variables()]

    def by_name(inputs: dict[str, Any]) -> Any:
        return converted(inputs, list(variables))

    function = tf.function(by_name, [tensor_specs(interface.inputs)], autograph=False)
    return function, variables


def _variable(variable: Any) -> Any:
    import tensorflow as tf

    return tf.Variable(np.asarray(variable.value), trainable=variable.trainable, name=variable.path)


def _tables(interface: Interface) -> list[Any]:
    """Lookup tables of preprocessing layers, which the artefact must hold by itself."""
    from tensorflow.saved_model.experimental import TrackableResource

    return [
        value
        for layer in interface.layers()
        for value in vars(layer).values()
        if isinstance(value, TrackableResource)
    ]


def _length_limits(interface: Interface, axes: Mapping[str, Axes]) -> list[str]:
    """What JAX must know of a free length: it does not exceed the position table."""
    positions = Limits.of(interface).positions
    if positions is None:
        return []
    names = {axis for shape in axes.values() for axis in shape[1:2] if isinstance(axis, str)}
    return [f"{name} <= {positions}" for name in sorted(names) if name.endswith("length")]


def _verify(check: Check, folder: Path, target: Path, endpoint: str) -> float:
    """Loads the artefact as a server does and runs its signature."""
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
        signature, method = loaded.signatures[_DEFAULT], getattr(loaded, endpoint)
    except Exception as error:
        raise ExportError(f"{KIND} {target} does not load: {error}") from error

    def tensors(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {name: tf.constant(value) for name, value in values.items()}

    def numpy(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {name: value.numpy() for name, value in values.items()}

    if method.structured_outputs.keys() != signature.structured_outputs.keys():
        raise ExportError(f"Endpoint {endpoint!r} of {KIND} {target} has other outputs.")
    return check.run(f"{KIND} {target}", lambda values: numpy(signature(**tensors(values))))
