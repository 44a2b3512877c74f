"""From a traced model to an ONNX graph with readable names."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from keras_pretrained.export.axes import Axes
from keras_pretrained.export.interface import Interface, Port
from keras_pretrained.export.report import ExportError
from keras_pretrained.export.tracing import (
    WEIGHT_PREFIX,
    tensor_specs,
    traced,
    traced_without_weights,
)
from keras_pretrained.layers.blocks.distinct import fixed_shapes


def convert(interface: Interface, opset: int) -> Any:
    """The model as an `onnx.ModelProto`.

    The converter copies the graph dozens of times. The weights are therefore inputs while it
    works and are put in afterwards, under their Keras paths. A few operations are only
    converted with constant weights; for these the weights are part of the graph from the start.
    """
    with fixed_shapes():
        try:
            proto = _converted(*traced_without_weights(interface), opset)
        except Exception:
            proto = _converted(traced(interface), [tensor_specs(interface.inputs)], opset)
    _put_weights(proto.graph, interface)
    return proto


def _converted(function: Any, signature: list[Any], opset: int) -> Any:
    import onnx
    import tf2onnx

    with _quiet("tf2onnx"):
        proto, _ = tf2onnx.convert.from_function(
            function,
            input_signature=signature,
            opset=opset,
            custom_op_handlers={"Erfc": (_complementary_error_function, [])},
        )
    _refuse_unknown_operations(proto)
    # Constants that a layer made when it was built come out as inputs that nobody could feed.
    read = {name for node in _nodes(proto.graph) for name in node.input}
    for value, placeholder in function.get_concrete_function().graph.captures:
        if placeholder.name in read:
            array = np.asarray(value.numpy())
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array, placeholder.name))
    return proto


def _put_weights(graph: Any, interface: Interface) -> None:
    """Adds the weights that the graph reads as its initializers."""
    import onnx

    variables = interface.variables()
    names: dict[str, str] = {}
    taken = {name for node in _nodes(graph) for name in (*node.input, *node.output)}
    for node in _nodes(graph):
        for place, name in enumerate(node.input):
            if not name.startswith(WEIGHT_PREFIX):
                continue
            if name not in names:
                variable = variables[int(name.removeprefix(WEIGHT_PREFIX))]
                path = variable.path if variable.path not in taken else name
                taken.add(path)
                names[name] = path
                value = np.asarray(keras.ops.convert_to_numpy(variable))
                graph.initializer.append(onnx.numpy_helper.from_array(value, name=path))
            node.input[place] = names[name]


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Holds back the log of what is checked, and raised, afterwards."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _complementary_error_function(graph: Any, node: Any, name: str, args: list[Any]) -> None:
    """`erfc(x)` as `1 + erf(-x)`: the operation of the exact GELU, which ONNX does not have.

    TensorFlow's GELU passes `x = -y * c` with `c = 1 / sqrt(2)`. As `erf(y / sqrt(2))` ONNX
    Runtime sees a GELU in it and runs it as one operation.
    """
    from tf2onnx.utils import make_name

    def constant(value: float) -> str:
        array = np.asarray(value, dtype=np.float32)
        return str(graph.make_const(make_name("erfc"), array).output[0])

    producer = node.inputs[0]
    negated = None
    if producer.type == "Mul":
        for factor, other in (producer.inputs, producer.inputs[::-1]):
            if factor.type == "Neg" and other.is_const():
                scale = other.get_tensor_value(as_list=False)
                if np.size(scale) == 1:
                    divisor = constant(1.0 / float(np.reshape(scale, ())))
                    negated = graph.make_node("Div", [factor.input[0], divisor])
    if negated is None:
        negated = graph.make_node("Neg", [node.input[0]])
    output = node.output[0]
    shape, dtype = graph.get_shape(output), graph.get_dtype(output)
    graph.remove_node(node.name)
    erf = graph.make_node("Erf", [negated.output[0]])
    graph.make_node(
        "Add",
        [erf.output[0], constant(1.0)],
        outputs=[output],
        shapes=[shape],
        dtypes=[dtype],
        name=node.name,
    )


def _refuse_unknown_operations(proto: Any) -> None:
    import onnx

    versions = {entry.domain: entry.version for entry in proto.opset_import}
    unknown = set()
    for node in _nodes(proto.graph):
        if not onnx.defs.has(node.op_type, versions.get(node.domain, 1), node.domain):
            unknown.add(f"{node.op_type} (at {node.name})")
    if unknown:
        raise ExportError(
            "These TensorFlow operations have no ONNX counterpart in tf2onnx: "
            f"{', '.join(sorted(unknown))}. Replace the layer that uses them, or export a "
            "SavedModel."
        )


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(inner)


def name_axes(
    proto: Any,
    interface: Interface,
    inputs: Mapping[str, Axes],
    outputs: Mapping[str, Axes],
) -> None:
    """Gives the graph exactly the model's inputs and outputs, with named axes."""
    # The converter drops inputs that nothing depends on; a caller feeds them all the same.
    graph = proto.graph
    graph.name = interface.model.name
    wanted = _value_infos(interface.inputs, inputs)
    del graph.input[:]
    graph.input.extend(wanted)
    found = {value.name for value in graph.output}
    expected = [port.name for port in interface.outputs]
    if found != set(expected):
        raise ExportError(
            f"The converter named the outputs {', '.join(sorted(found))}. "
            f"Expected: {', '.join(expected)}"
        )
    del graph.output[:]
    graph.output.extend(_value_infos(interface.outputs, outputs))
    # Shapes inside the graph carry made-up names, and every runtime infers its own.
    del graph.value_info[:]


def _value_infos(ports: Sequence[Port], axes: Mapping[str, Axes]) -> list[Any]:
    import onnx

    return [
        onnx.helper.make_tensor_value_info(
            port.name,
            onnx.helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype)),
            list(axes[port.name]),
        )
        for port in ports
    ]
