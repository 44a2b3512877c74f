"""Parts of a graph of TF1 as functions of TF2 over variables of TF2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

REFERENCES = frozenset({"Variable", "VariableV2"})
"""The variables that TF1 had by default. TensorFlow 2 runs them, but they stay in its runtime."""


class OutOfReach(Exception):
    """A part of a graph cannot be had over variables of TF2; the message says why."""


class Part:
    """A part of a loaded graph.

    Args:
        loaded: what `tf.saved_model.load` gave.
        feeds: its tensors that are inputs.
        fetches: name -> tensor that is an output.
        updates: operations or tensors that are run at every call.
    """

    def __init__(
        self,
        loaded: Any,
        feeds: Sequence[Any],
        fetches: dict[str, Any],
        updates: Sequence[Any] = (),
    ) -> None:
        pruned = loaded.prune(list(feeds), (dict(fetches), list(updates)))
        outputs, updated = pruned.structured_outputs
        self.updates = [operation.name for operation in pruned.graph.control_outputs]
        self.updates += [tensor.op.name for tensor in updated if tensor is not None]
        self.inputs = [tensor.name for tensor in pruned.inputs[: len(feeds)]]
        self.outputs = {name: outputs[name].name for name in fetches}
        self._specifications = [
            tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in pruned.inputs[: len(feeds)]
        ]
        self._shapes = {name: outputs[name].shape for name in fetches}
        self.definition, unused = _used(pruned, len(feeds))
        inside = pruned.inputs[len(feeds) :]
        names = {id(variable.handle): variable.name for variable in loaded.variables}
        self._captured = {
            inner.name: names[id(outer)].removesuffix(":0")
            for inner, outer in zip(inside, pruned.captured_inputs, strict=True)
            if inner.op.name not in unused
        }
        self.references = [node for node in self.definition.node if node.op in REFERENCES]

    @property
    def variables(self) -> set[str]:
        """The names of the variables that it reads or writes."""
        return {*self._captured.values(), *(node.name for node in self.references)}

    def over(self, variables: dict[str, Any]) -> Any:
        """The part as a concrete function: tensors in order -> dictionary.

        Args:
            variables: name -> variable of TF2.

        Raises:
            OutOfReach: it assigns to references.
        """
        resources = {inner: variables[name] for inner, name in self._captured.items()}

        def run(*inputs: Any) -> dict[str, Any]:
            capture = tf.compat.v1.get_default_graph().capture
            given = dict(zip(self.inputs, inputs, strict=True))
            given |= {inner: capture(each.handle) for inner, each in resources.items()}
            given |= {
                f"{node.name}:0": variables[node.name].read_value() for node in self.references
            }
            fetched = [*self.outputs.values(), *self.updates]
            found = tf.graph_util.import_graph_def(self.definition, given, fetched, name="")
            _pass_on_types(tf.compat.v1.get_default_graph())
            with tf.control_dependencies(found[len(self.outputs) :]):
                results = [tf.identity(each) for each in found[: len(self.outputs)]]
            for name, result in zip(self.outputs, results, strict=True):
                result.set_shape(self._shapes[name])
            return dict(zip(self.outputs, results, strict=True))

        try:
            # Not `tf.function`, which puts all that has effects into an order of its own: that
            # breaks the loops of TF1.
            concrete = tf.compat.v1.wrap_function(run, self._specifications)
        except (ValueError, TypeError) as error:
            raise OutOfReach(
                "its graph assigns to its variables itself, which are of the first kind that TF1 "
                "had. Saved again with tf.compat.v1.enable_resource_variables(), it can be "
                f"({error})"
            ) from error
        known = {id(each): each for each in (*concrete.graph.variables, *resources.values())}
        # What is only captured would not be seen by a tape.
        concrete.graph.variables = list(known.values())
        return concrete


class Tables(tf.saved_model.experimental.TrackableResource):
    """The tables of a graph, which one function fills.

    TensorFlow has a class of its own for this, but Keras' export overlooks it, and its function
    holds on to all variables of the graph.
    """

    def __init__(self, loaded: Any) -> None:
        super().__init__()
        self._assets = loaded.asset_paths
        function = loaded.initializer._init_fn
        self._feeds = [tensor.name for tensor in function.inputs[: len(self._assets)]]
        self._definition, _ = _used(function, len(self._assets))

    def _create_resource(self) -> Any:
        return tf.constant(1.0)

    def _initialize(self) -> Any:
        feeds = dict(
            zip(self._feeds, (tf.identity(x.asset_path) for x in self._assets), strict=True)
        )
        tf.graph_util.import_graph_def(self._definition, feeds, name="")
        return tf.constant(1.0)


def can_differentiate(function: Any, variables: Sequence[Any]) -> bool:
    """Whether TensorFlow 2 finds the gradients of a concrete function.

    It does not for loops and branches of TF1 on the way to a variable: what it needs to know of
    them is lost when a part of a graph becomes a function.
    """
    specifications = [
        tf.TensorSpec(tensor.shape, tensor.dtype)
        for tensor in function.inputs[: len(function.inputs) - len(function.captured_inputs)]
    ]

    def gradients(*inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            results = tf.nest.flatten(function(*inputs))
        floating = [result for result in results if result.dtype.is_floating]
        return [each for each in tape.gradient(floating, variables) if each is not None]

    try:
        tf.function(gradients, specifications, autograph=False).get_concrete_function()
    except (AttributeError, LookupError, TypeError, ValueError):
        return False
    return True


def without_gradients(function: Any) -> None:
    """Lets no tape look for gradients of a concrete function's variables: it would fail."""
    function.graph.variables = []


def names_of(variables: Iterable[Any]) -> set[str]:
    """The names of variables as a checkpoint has them; of parts of one also the whole's."""
    names = {variable.name.removesuffix(":0") for variable in variables}
    return names | {name.rpartition("/part_")[0] for name in names if "/part_" in name}


def reads_inputs(element: Any, fed: Sequence[Any] = ()) -> bool:
    """Whether a tensor or operation of a loaded graph depends on inputs other than these."""
    seen = {tensor.op.name for tensor in fed}
    waiting = [getattr(element, "op", element)]
    while waiting:
        operation = waiting.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        # Variables of TF2 come into a graph as placeholders too.
        if operation.type == "Placeholder" and operation.outputs[0].dtype != tf.resource:
            return True
        waiting += [*(each.op for each in operation.inputs), *operation.control_inputs]
    return False


def _pass_on_types(graph: Any) -> None:
    """Tells what kind of variables come out of loops, which importing a graph forgets."""
    from tensorflow.python.ops.handle_data_util import copy_handle_data

    for operation in graph.get_operations():
        if operation.type in ("StatelessWhile", "While"):
            for given, result in zip(operation.inputs, operation.outputs, strict=True):
                copy_handle_data(given, result)


def _used(function: Any, feeds: int) -> tuple[Any, set[str]]:
    """A function's graph without the captured tensors that nothing in it reads; their names."""
    inside = function.inputs[feeds:]
    unused = {tensor.op.name for tensor in inside if not tensor.consumers()}
    definition = function.graph.as_graph_def()
    kept = [node for node in definition.node if node.name not in unused]
    for node in kept:
        # Where it was placed, in words of nodes that may not be here.
        node.attr.pop("_class", None)
    del definition.node[:]
    definition.node.extend(kept)
    return definition, unused
