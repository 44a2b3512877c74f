"""TensorFlow SavedModels, from the TensorFlow and the JAX backend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_pretrained.export.axes import Axes, input_axes
from keras_pretrained.export.check import Check, Run
from keras_pretrained.export.interface import Interface
from keras_pretrained.export.report import ExportError, ExportReport
from keras_pretrained.export.samples import Limits
from keras_pretrained.export.staging import staged
from keras_pretrained.export.texts import Wiring, wiring
from keras_pretrained.export.tracing import python_calls, tensor_specs, traced

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

    `tf.saved_model.load(path)` gives an object with the endpoints as methods that take a
    dictionary of inputs by name and return one of outputs; the same functions are its signatures
    of that name, and what the model itself takes is also `"serving_default"`. Batch and length
    are free where the model's are. TensorFlow Serving expects a version number as the last
    folder, such as `models/name/1`.

    | the model takes | endpoints |
    |---|---|
    | strings | `serve` on strings, `serve_ids` on the ids that its tokenizer makes of them |
    | ids of a text encoder with a vocabulary | `serve_ids`, and `serve` on strings `texts` |
    | other integers | `serve_ids` |
    | anything else | `serve` |

    A tokenizer that runs in Python (byte-level BPE, fast.ai's) cannot be part of an artefact:
    with one there is `serve_ids` alone, and the report says so. An artefact with a tokenizer needs
    `import tensorflow_text` before it is loaded; TensorFlow Serving has it built in.
    `endpoint="serve_ids"` leaves the tokenizer out.

    Args:
        model: a functional or sequential model. Works on the TensorFlow and the JAX backend; the
            artefact needs TensorFlow alone.
        path: the folder to write.
        inputs: one batch as the model takes it, to compare on. By default two made-up batches of
            different size with valid ids, both segments and padding, or texts.
        tolerance: allowed difference of each number, absolute plus relative; by default 1e-4,
            or what the model's dtype can hold.
        overwrite: whether a SavedModel at `path` may be replaced.
        endpoint: one of the model's endpoints, to leave the others out; or another name for what
            the model itself takes.

    Returns:
        Signature, size and largest difference; `print` shows them.

    Raises:
        ExportError: the export failed, the model calls back into Python (`tf.py_function`), or
            the artefact differs from the model. Nothing is left behind then.
    """
    wired = wiring(model)
    interfaces = _endpoints(wired, endpoint)
    with staged(path, KIND, overwrite, is_saved_model) as (target, artefact):
        checks = _checks(wired, interfaces, inputs, tolerance)
        try:
            _write(wired, checks, str(artefact))
        except ExportError:
            raise
        except Exception as error:
            raise ExportError(f"{KIND} {target} could not be made: {error}") from error
        difference = _verify(checks, artefact, target)
        default = next(iter(checks))
        names = " and ".join(repr(name) for name in checks)
        plural = "s" if len(checks) > 1 else ""
        detail = f"endpoint{plural} {names}; {_DEFAULT!r} is {default!r}"
        if wired.texts in interfaces.values():
            detail += "; import tensorflow_text before loading"
        elif wired.python_fronts:
            detail += f"; takes ids: {_why_no_texts(wired)}"
        return checks[default].report(target, artefact, KIND, detail, difference)


def is_saved_model(path: Path) -> bool:
    return path.is_dir() and any(
        (path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")
    )


def _endpoints(wired: Wiring, chosen: str | None) -> dict[str, Interface]:
    """Endpoint name -> what it takes; what the model itself takes stands first."""
    network = wired.network
    on_ids = any(port.dtype in ("int32", "int64") for port in network.inputs)
    found = {"serve_ids" if on_ids and not network.strings else "serve": network}
    if wired.texts is not None and wired.texts is not network and not wired.python_fronts:
        found["serve"] = wired.texts
    on_texts = wired.takes_texts and "serve" in found
    first = "serve" if on_texts or "serve_ids" not in found else "serve_ids"
    ordered = {first: found.pop(first), **found}
    if chosen is None:
        return ordered
    if not chosen.isidentifier() or chosen in _RESERVED:
        raise ExportError(
            f"`endpoint` must be a Python name other than {', '.join(sorted(_RESERVED))}. "
            f"Received: {chosen!r}"
        )
    if wired.model.strings and chosen in {"serve", "serve_ids"} - ordered.keys():
        why = _why_no_texts(wired) if wired.python_fronts else "its strings go through other layers"
        raise ExportError(
            f"Model {wired.model.model.name!r} on strings has no endpoint {chosen!r}: {why}. "
            f"Expected {first!r}, another name for it, or None."
        )
    return {chosen: ordered.get(chosen, ordered[first])}


def _why_no_texts(wired: Wiring) -> str:
    names = ", ".join(repr(front.encoder.name) for front in wired.python_fronts)
    return f"the tokenizer of {names} runs in Python"


def _checks(
    wired: Wiring, interfaces: Mapping[str, Interface], inputs: Any, tolerance: float | None
) -> dict[str, Check]:
    """The given inputs for the endpoint that takes them, what they become for the other."""
    checks = {}
    for name, interface in interfaces.items():
        given = inputs if interface is wired.model else None
        if inputs is not None and wired.takes_texts and interface is wired.network:
            given = wired.to_ids(wired.model.named_inputs(inputs))
        checks[name] = Check.prepare(interface, given, tolerance)
    return checks


def _write(wired: Wiring, checks: Mapping[str, Check], folder: str) -> None:
    """Saves the functions with their variables and tables, and nothing else of the model.

    `keras.export.ExportArchive` traces the model three times; on JAX it gives every axis a name
    of its own, so that inputs that share a length are refused, and writes all frozen weights
    back at every call.
    """
    import tensorflow as tf

    make = _jax_function if keras.backend.backend() == "jax" else _tensorflow_function
    network = wired.network
    tied = any(check.tied for check in checks.values())
    function, variables = make(network, tied)
    root = tf.train.Checkpoint()
    root.variables = variables
    root.trainable_variables = variables[: len(wired.model.model.trainable_variables)]
    root.tables = _tables(network)
    signatures = {}
    for name, check in checks.items():
        made = function
        if check.interface is not network:
            made = _on_texts(wired, check.interface, function)
        # A tf.function would be traced again while it is saved, a concrete one is saved as it is.
        signatures[name] = made.get_concrete_function()
        calls = python_calls(signatures[name])
        if calls:
            raise ExportError(
                f"Endpoint {name!r} calls back into Python ({', '.join(calls)}: a function of "
                "`tf.py_function`, or a tokenizer that runs in Python), which no other process "
                "could do. Use TensorFlow's or Keras' own operations, or run it before the model."
            )
        setattr(root, name, signatures[name])
    default = next(iter(signatures.values()))
    tf.saved_model.save(root, folder, signatures={**signatures, _DEFAULT: default})


def write_network(network: Interface, folder: str) -> None:
    """A SavedModel with nothing but the signature that a converter needs."""
    import tensorflow as tf

    function, variables = _tensorflow_function(network, tied=False)
    root = tf.train.Checkpoint()
    root.variables, root.tables = variables, _tables(network)
    tf.saved_model.save(root, folder, signatures={_DEFAULT: function.get_concrete_function()})


def _on_texts(wired: Wiring, texts: Interface, network: Any) -> Any:
    """The tokenizer before the network's own function."""
    import tensorflow as tf

    def serve(inputs: dict[str, Any]) -> Any:
        return wired.run(network, inputs)

    return tf.function(serve, input_signature=[tensor_specs(texts.inputs)], autograph=False)


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
        for value in (*vars(layer).values(), *getattr(layer, "saved_resources", ()))
        if isinstance(value, TrackableResource)
    ]


def _length_limits(interface: Interface, axes: Mapping[str, Axes]) -> list[str]:
    """What JAX must know of a free length: it does not exceed the position table."""
    positions = Limits.of(interface).positions
    if positions is None:
        return []
    names = {axis for shape in axes.values() for axis in shape[1:2] if isinstance(axis, str)}
    return [f"{name} <= {positions}" for name in sorted(names) if name.endswith("length")]


def _verify(checks: Mapping[str, Check], folder: Path, target: Path) -> float:
    """Loads the artefact as a server does and runs its signatures."""
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
        signatures = {name: loaded.signatures[name] for name in (*checks, _DEFAULT)}
        methods = {name: getattr(loaded, name) for name in checks}
    except Exception as error:
        raise ExportError(f"{KIND} {target} does not load: {error}") from error
    largest = 0.0
    for name, check in checks.items():
        if methods[name].structured_outputs.keys() != signatures[name].structured_outputs.keys():
            raise ExportError(f"Endpoint {name!r} of {KIND} {target} has other outputs.")
        run = _runner(signatures[name])
        largest = max(largest, check.run(f"endpoint {name!r} of {KIND} {target}", run))
    return largest


def _runner(signature: Any) -> Run:
    import tensorflow as tf

    def run(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = signature(**{name: tf.constant(value) for name, value in values.items()})
        return {name: value.numpy() for name, value in found.items()}

    return run
