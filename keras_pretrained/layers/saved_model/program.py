"""One graph of a SavedModel with its functions: what calls what, and what is needed for what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import variable_pb2
from tensorflow.core.protobuf import meta_graph_pb2

MAIN = ""
"""Stands for the graph itself among its functions."""

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_VARIABLES = frozenset({"variables", "local_variables", "model_variables", "trainable_variables"})
_CALLED = ("update_ops", "regularization_losses")


class Program:
    """A `MetaGraphDef` as a program.

    Of TF1, TensorFlow runs parts of the graph itself; of TF2 only functions, to which it passes
    the objects that they are bound to.

    Attributes:
        graph: the message.
        is_tf1: which of the two.
        functions: name -> function.
        bodies: name of a function, or `MAIN` -> name -> node.
        assets: names of the nodes that TF1 feeds with the paths of assets when it initialises.
    """

    def __init__(self, graph: Any, is_tf1: bool) -> None:
        self.graph = graph
        self.is_tf1 = is_tf1
        definition = graph.graph_def
        self.functions = {each.signature.name: each for each in definition.library.function}
        self.bodies = {MAIN: {node.name: node for node in definition.node}}
        for name, function in self.functions.items():
            self.bodies[name] = {node.name: node for node in function.node_def}
        self.assets = {node_of(each.tensor_info.name) for each in assets(graph)}

    def names_are_unique(self) -> bool:
        """Whether no function hides another, and no node."""
        definition = self.graph.graph_def
        lists = [definition.node, *(each.node_def for each in definition.library.function)]
        return len(self.functions) == len(definition.library.function) and all(
            len(nodes) == len(body) for nodes, body in zip(lists, self.bodies.values(), strict=True)
        )

    # --- functions --------------------------------------------------------------------------

    def called(self, node: Any) -> Iterator[str]:
        """The functions that a node calls, or hands on to be called."""
        if node.op in self.functions:
            yield node.op
        for attribute in node.attr.values():
            for function in (attribute.func, *attribute.list.func):
                if function.name in self.functions:
                    yield function.name

    def reached(self, nodes: Iterable[Any]) -> set[str]:
        """The functions that nodes call, directly or through others."""
        waiting = [called for node in nodes for called in self.called(node)]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += [
                    called for node in self.bodies[name].values() for called in self.called(node)
                ]
        return seen

    @cached_property
    def callers(self) -> dict[str, list[tuple[str, Any]]]:
        """Function -> the body and the node of each of its calls that may be run."""
        found: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        for name, body in self.bodies.items():
            if name == MAIN and not self.is_tf1:
                continue
            for node in body.values():
                for called in self.called(node):
                    found[called].append((name, node))
        return found

    def is_plain_call(self, node: Any, function: str) -> bool:
        """Whether a node passes its inputs on to a function, one to one."""
        count = len(self.functions[function].signature.input_arg)
        return (node.op == function or node.op in _CALLS) and len(data_inputs(node)) == count

    # --- the graph itself -------------------------------------------------------------------

    def needed(self, roots: Iterable[str]) -> set[str]:
        """The nodes of the graph itself that lead to these tensors or operations."""
        nodes = self.bodies[MAIN]
        waiting = [node_of(root) for root in roots]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name not in seen and name in nodes:
                seen.add(name)
                waiting += [node_of(each) for each in nodes[name].input]
        return seen

    @cached_property
    def in_calls(self) -> set[str]:
        """The nodes that a call of a module of TF1 runs."""
        roots = [
            info.name
            for key, signature in self.graph.signature_def.items()
            if not is_internal(key)
            for info in signature.outputs.values()
        ]
        for key in _CALLED:
            roots += self.graph.collection_def[key].node_list.value
        return self.needed(roots)

    @cached_property
    def only_for_savers(self) -> set[str]:
        """The nodes that nothing but saving and restoring a checkpoint needs."""
        saver = self.graph.saver_def
        saving = [saver.save_tensor_name, saver.restore_op_name, saver.filename_tensor_name]
        return self.needed(saving) - self.needed(self._all_roots())

    def _all_roots(self) -> Iterator[str]:
        """All that loading or calling a module of TF1 could run."""
        for signature in self.graph.signature_def.values():
            yield from (info.name for info in signature.outputs.values())
        for key, collection in self.graph.collection_def.items():
            yield from collection.node_list.value
            if key in _VARIABLES:
                for stored in collection.bytes_list.value:
                    yield from _initializers(stored)

    @cached_property
    def saver_functions(self) -> set[str]:
        """The functions that are called from there, and from nowhere else."""
        nodes, savers = self.bodies[MAIN], self.only_for_savers
        entries = set(self.graph.object_graph_def.concrete_functions)
        others = self.reached(node for name, node in nodes.items() if name not in savers)
        for name in entries:
            others |= self.reached(self.bodies.get(name, {}).values())
        return self.reached(nodes[name] for name in savers) - others - entries

    def bound_object(self, function: str, position: int) -> str | None:
        """The kind of object that TF2 passes to a function as an argument, if it does."""
        objects = self.graph.object_graph_def
        if self.is_tf1 or function not in objects.concrete_functions:
            return None
        bound = objects.concrete_functions[function].bound_inputs
        count = len(self.functions[function].signature.input_arg)
        index = position - (count - len(bound))
        if not 0 <= index < len(bound) or not 0 <= bound[index] < len(objects.nodes):
            return "unknown"
        return str(objects.nodes[bound[index]].WhichOneof("kind"))


def assets(graph: Any) -> list[Any]:
    """The asset entries of a graph, which TF1 keeps in a collection."""
    if graph.asset_file_def:
        return list(graph.asset_file_def)
    found = []
    for packed in graph.collection_def["saved_model_assets"].any_list.value:
        asset = meta_graph_pb2.AssetFileDef()
        packed.Unpack(asset)
        found.append(asset)
    return found


def is_internal(signature: str) -> bool:
    """Whether a signature is TensorFlow's own, such as `__saved_model_init_op`."""
    return signature.startswith("__")


def node_of(tensor: str) -> str:
    """The name of the node that a tensor or a control input comes from."""
    return tensor.removeprefix("^").partition(":")[0]


def data_inputs(node: Any) -> list[str]:
    return [each for each in node.input if not each.startswith("^")]


def _initializers(stored: bytes) -> list[str]:
    try:
        variable = variable_pb2.VariableDef.FromString(stored)
    except DecodeError:
        return []
    return [variable.initializer_name, variable.initial_value_name, variable.snapshot_name]
