"""A function of a loaded module, in the same form whatever format it came in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from keras_pretrained.layers.saved_model.files import ModuleError
from keras_pretrained.layers.saved_model.graph import operations_of
from keras_pretrained.layers.saved_model.operations import COMPILABLE
from keras_pretrained.layers.saved_model.ports import Port, Tree, rebuilt, squeezed_texts
from keras_pretrained.layers.saved_model.summed import summed_gradients

_KERAS_TYPES = frozenset(
    {
        *("float16", "bfloat16", "float32", "float64", "bool"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"),
    }
)


@dataclass(frozen=True, eq=False)
class ModuleVariable:
    """A variable that a layer takes over.

    Attributes:
        name: its author's.
        value: the `tf.Variable`.
        trainable: whether its author meant it to be trained.
    """

    name: str
    value: Any
    trainable: bool


class Endpoint(ABC):
    """What a layer calls.

    Attributes:
        kind: the module's format in words.
        inputs, outputs: what it takes and gives.
        variables: those that a call uses, each once.
        complete: whether these are all, so that the module needs no checkpoint of its own.
        takes_training: whether it has a form of its own for training.
        fixed: why nothing in it can be trained, or None.
        compiles: whether XLA can compile it.
        resources: tables and the like, which TensorFlow must find when it saves a function of it.
    """

    kind: str
    inputs: Tree
    outputs: Tree
    variables: Sequence[ModuleVariable]
    complete: bool
    takes_training: bool = False
    fixed: str | None = None
    compiles: bool = False
    resources: Sequence[Any] = ()

    @abstractmethod
    def _call(self, tensors: list[Any], training: bool) -> Any:
        """Its result for tensors of the right types, in the order of `inputs`."""

    def use(self, values: Sequence[Any]) -> None:
        """Lets the function work on other variables of the same shapes, in their order."""
        replaced = zip(self.variables, values, strict=True)
        shared = {id(each.value.handle): value for each, value in replaced}
        self._replace(shared)
        self.variables = [
            replace(each, value=value) for each, value in zip(self.variables, values, strict=True)
        ]

    @abstractmethod
    def _replace(self, shared: Mapping[int, Any]) -> None:
        """Replaces variables: id of a handle -> the variable to use."""

    def losses(self) -> Iterable[Callable[[], Any]]:
        """The regularisation losses that its author added."""
        return ()

    def run(self, tensors: list[Any], training: bool, trains: bool) -> Tree:
        """The outputs.

        Args:
            tensors: in the order of `inputs`, of the same types.
            training: whether dropout and the like are on.
            trains: whether a gradient will be taken.
        """

        def call(*given: Any) -> list[Any]:
            return leaves(self._call(list(given), training))

        if trains and any(variable.trainable for variable in self.variables):
            call = summed_gradients(call, dense=self.compiles)
        return rebuilt(self.outputs, call(*tensors))


def leaves(result: Any) -> list[Any]:
    """The tensors of a function's result, dictionaries in the order of their sorted keys."""
    return [leaf for leaf in tf.nest.flatten(result) if leaf is not None]


def tree_of(structure: Any, module: str, name: str = "output") -> Tree:
    """The ports of a structure of specifications.

    Raises:
        ModuleError: a tensor is ragged or sparse, which a Keras layer cannot take or give.
    """
    if isinstance(structure, dict):
        parts = {key: structure[key] for key in sorted(structure) if structure[key] is not None}
        return {key: tree_of(part, module, str(key)) for key, part in parts.items()}
    if isinstance(structure, list | tuple):
        kept = [part for part in structure if part is not None]
        names = [f"{name}_{index}" for index in range(len(kept))]
        return [tree_of(part, module, each) for part, each in zip(kept, names, strict=True)]
    if not hasattr(structure, "dtype") or isinstance(structure, tf.RaggedTensorSpec):
        raise ModuleError(
            f"{module!r} takes or gives a {type(structure).__name__} ({name}), which is no plain "
            "tensor. Wrap it in a module with dense ones: `tf.RaggedTensor.to_tensor`."
        )
    shape = None if structure.shape.rank is None else tuple(structure.shape.as_list())
    return Port(name, structure.dtype.name, shape)


def converted(port: Port, tensor: Any) -> Any:
    """A tensor as the module takes it: numbers of its type, texts without an axis of one."""
    value = tf.convert_to_tensor(tensor)
    if value.dtype.name != port.dtype:
        value = tf.cast(value, port.dtype)
    if value.shape.rank is not None and squeezed_texts(port, tuple(value.shape)):
        value = tf.squeeze(value, axis=1)
    return value


def used_variables(functions: Iterable[Any]) -> list[Any]:
    """The variables that concrete functions read, each once."""
    found: dict[int, Any] = {}
    for function in functions:
        by_handle = {id(variable.handle): variable for variable in function.graph.variables}
        captured = function.captured_inputs
        inside = function.inputs[len(function.inputs) - len(captured) :]
        for outer, inner in zip(captured, inside, strict=True):
            variable = by_handle.get(id(outer))
            if variable is not None and inner.consumers():
                found[id(variable)] = variable
    return list(found.values())


def replace_captures(function: Any, shared: Mapping[int, Any]) -> None:
    """Lets a concrete function work on other variables: id of a handle -> variable."""
    function.graph.variables = [
        shared.get(id(variable.handle), variable) for variable in function.graph.variables
    ]
    function.set_external_captures(
        [
            shared[id(captured)].handle if id(captured) in shared else captured
            for captured in function.captured_inputs
        ]
    )


def held(variables: Iterable[Any], trainable: Callable[[Any], bool]) -> tuple[list, bool]:
    """The variables that a Keras layer can hold, and whether these are all."""
    kept, complete = [], True
    for variable in variables:
        if variable.dtype.name in _KERAS_TYPES and variable.shape.is_fully_defined():
            name = variable.name.removesuffix(":0")
            kept.append(ModuleVariable(name, variable, trainable(variable)))
        else:
            complete = False
    return kept, complete


def can_compile(functions: Iterable[Any]) -> bool:
    """Whether XLA can compile concrete functions: no texts, no tables, known operations."""
    found, strings = operations_of(function.graph.as_graph_def() for function in functions)
    return found <= COMPILABLE and not strings
