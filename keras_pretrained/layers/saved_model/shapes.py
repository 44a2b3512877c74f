"""Static shapes of outputs: what the graph says, what the user says, or what two runs show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from keras_pretrained.layers.saved_model.endpoint import Endpoint
from keras_pretrained.layers.saved_model.files import ModuleError
from keras_pretrained.layers.saved_model.ports import (
    Port,
    Tree,
    flat,
    mapped,
    rebuilt,
    selected,
)


def shaped_outputs(endpoint: Endpoint, output: str | None, given: Any, module: str) -> Tree:
    """The endpoint's outputs with shapes for those of which the graph tells nothing.

    Args:
        output: the name of the one that is wanted, or None.
        given: `output_shape` of the layer.
    """
    tree, chosen = endpoint.outputs, selected(endpoint.outputs, output, module)
    shaped = given_shapes(chosen, given, module)
    if chosen is tree:
        tree = shaped
    elif given is not None:
        tree = {name: shaped if part is chosen else part for name, part in tree.items()}
    ports = flat(tree)
    if all(port.shape is not None for port in ports):
        return tree
    shapes = _shapes_of_runs(endpoint, ports, module)
    known = [
        port if port.shape is not None else replace(port, shape=shape)
        for port, shape in zip(ports, shapes, strict=True)
    ]
    return rebuilt(tree, known)


def _shapes_of_runs(endpoint: Endpoint, ports: list[Port], module: str) -> list[tuple]:
    """The shapes of all outputs from two small batches with free axes of different sizes.

    An axis that has the same size in both is fixed.
    """
    try:
        first, second = (flat(_run(endpoint, size)) for size in (2, 3))
        return [_common(one.shape, other.shape) for one, other in zip(first, second, strict=True)]
    except (tf.errors.OpError, ValueError) as error:
        unknown = ", ".join(port.name for port in ports if port.shape is None)
        raise ModuleError(
            f"{module!r} does not tell the shape of its output {unknown}, and a run on a small "
            f"batch failed. Pass `output_shape=`, without the batch axis. ({error})"
        ) from error


def given_shapes(tree: Tree, shapes: Any, module: str) -> Tree:
    """The ports with the shapes that the user gives, without the batch axis.

    Args:
        tree: a port, or a dictionary of ports.
        shapes: one shape, or a dictionary of shapes by the names of the outputs.

    Raises:
        ModuleError: they are of another structure, or contradict what is known.
    """
    if shapes is None:
        return tree
    if isinstance(shapes, Mapping):
        if not isinstance(tree, dict) or set(shapes) - set(tree):
            raise _wrong_shape(tree, shapes, module)
        return {name: given_shapes(part, shapes.get(name), module) for name, part in tree.items()}
    if not isinstance(tree, Port):
        raise _wrong_shape(tree, shapes, module)
    try:
        given = tf.TensorShape([None, *shapes])
        merged = given.merge_with(tf.TensorShape(tree.shape))
    except (TypeError, ValueError):
        raise _wrong_shape(tree, shapes, module) from None
    return replace(tree, shape=tuple(merged.as_list()))


def _wrong_shape(tree: Tree, shapes: Any, module: str) -> ModuleError:
    there = mapped(str, tree)
    return ModuleError(
        f"`output_shape` does not fit the output of {module!r}: {there}. Expected a shape without "
        f"the batch axis, or a dictionary of them by name. Received: {shapes!r}"
    )


def _run(endpoint: Endpoint, size: int) -> Tree:
    tensors = [_example(port, size) for port in flat(endpoint.inputs)]
    return endpoint.run(tensors, training=False, trains=False)


def _example(port: Port, size: int) -> Any:
    shape = [size if axis is None else axis for axis in port.shape or (None,)]
    if port.dtype == "string":
        return tf.fill(shape, " ".join(["a"] * size))
    return tf.zeros(shape, port.dtype)


def _common(one: Any, other: Any) -> tuple[int | None, ...]:
    first: Sequence[int] = one.as_list()
    second: Sequence[int] = other.as_list()
    if len(first) != len(second):
        raise ValueError(f"the number of axes changes: {tuple(first)} and {tuple(second)}")
    return tuple(a if a == b else None for a, b in zip(first, second, strict=True))
