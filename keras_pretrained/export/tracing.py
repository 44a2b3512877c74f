"""A model as one TensorFlow function without separately compiled parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from keras_pretrained.export.interface import Interface, Port
from keras_pretrained.layers.blocks.row_cache import without_caches

WEIGHT_PREFIX = "keras_weight_"
# What `tf.py_function` and `tf.numpy_function` become.
_PYTHON_CALLS = {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


def tensor_specs(ports: Sequence[Port]) -> dict[str, Any]:
    """The ports as TensorFlow tensor specifications by name."""
    import tensorflow as tf

    return {port.name: tf.TensorSpec(port.shape, port.dtype, name=port.name) for port in ports}


def traced(interface: Interface) -> Any:
    """The model as a traced `tf.function` from a dictionary of tensors to one of outputs.

    Layers may hold functions with `jit_compile=True`. In an artefact those ask for XLA where it
    is served, and ONNX has no word for them, so such parts are traced into the graph around
    them.
    """
    return _traced(interface.call, [tensor_specs(interface.inputs)])


def traced_without_weights(interface: Interface) -> tuple[Any, list[Any]]:
    """The same with a list of weights before the inputs; also what it takes, as specifications.

    The weights are named `WEIGHT_PREFIX` and their place in `interface.variables()`.
    """
    import tensorflow as tf

    weights = [
        tf.TensorSpec(variable.shape, variable.dtype, name=f"{WEIGHT_PREFIX}{place}")
        for place, variable in enumerate(interface.variables())
    ]

    def call(weights: list[Any], inputs: dict[str, Any]) -> dict[str, Any]:
        return interface.call(inputs, weights)

    signature = [weights, tensor_specs(interface.inputs)]
    return _traced(call, signature), signature


def _traced(call: Callable[..., dict[str, Any]], signature: list[Any]) -> Any:
    function = _trace(call, signature)
    if _has_compiled_parts(function):
        with _inlined():
            function = _trace(call, signature)
    return function


def _trace(call: Callable[..., dict[str, Any]], signature: list[Any]) -> Any:
    import tensorflow as tf

    def run(*arguments: Any) -> dict[str, Any]:
        # A tensor that is two outputs, or an input and an output, needs a name for each.
        outputs = call(*arguments)
        return {name: tf.identity(value, name=name) for name, value in outputs.items()}

    function = tf.function(run, input_signature=signature, autograph=False)
    with without_caches():
        function.get_concrete_function()
    return function


def python_calls(function: Any) -> list[str]:
    """The operations of a traced function that call back into this process."""
    graph = function.graph.as_graph_def()
    parts = [graph.node, *(part.node_def for part in graph.library.function)]
    return sorted({node.op for part in parts for node in part} & _PYTHON_CALLS)


def _has_compiled_parts(function: Any) -> bool:
    graph = function.get_concrete_function().graph.as_graph_def()
    inner = [part for part in graph.library.function if part.attr["_XlaMustCompile"].b]
    return bool(inner) or any(node.attr["_XlaMustCompile"].b for node in graph.node)


@contextmanager
def _inlined() -> Iterator[None]:
    """Makes a call of a `tf.function` run its Python code, also while another one is traced."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
