"""SavedModels of TF1, TF-Hub's first modules among them: graphs with tags and signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_pretrained.checkpoints import Checkpoint, open_checkpoint
from keras_pretrained.layers.saved_model.endpoint import (
    Endpoint,
    ModuleVariable,
    can_compile,
    held,
    tree_of,
    used_variables,
)
from keras_pretrained.layers.saved_model.files import ModuleError
from keras_pretrained.layers.saved_model.graph import SavedGraph
from keras_pretrained.layers.saved_model.tf2 import choose

_REFERENCES = frozenset({"Variable", "VariableV2"})
_UPDATES = "update_ops"
_LOSSES = "regularization_losses"


class _OutOfReach(Exception):
    """The variables of a graph stay in TensorFlow's runtime; the message says why."""


class _Tables(tf.saved_model.experimental.TrackableResource):
    """The tables of a graph of TF1, which one function fills.

    TensorFlow has a class of its own for this, but Keras' export overlooks it, and its function
    holds on to all variables of the graph.
    """

    def __init__(self, loaded: Any) -> None:
        super().__init__()
        self._assets = loaded.asset_paths
        function = loaded.initializer._init_fn
        self._feeds = [tensor.name for tensor in function.inputs[: len(self._assets)]]
        unused = {tensor.op.name for tensor in function.inputs if not tensor.consumers()}
        self._definition = function.graph.as_graph_def()
        kept = [node for node in self._definition.node if node.name not in unused]
        del self._definition.node[:]
        self._definition.node.extend(kept)

    def _create_resource(self) -> Any:
        return tf.constant(1.0)

    def _initialize(self) -> Any:
        feeds = dict(
            zip(self._feeds, (tf.identity(each.asset_path) for each in self._assets), strict=True)
        )
        tf.graph_util.import_graph_def(self._definition, feeds, name="")
        return tf.constant(1.0)


class Graph(Endpoint):
    """A signature of a graph for inference, and of the graph for training if there is one.

    The two are programs over the same variables. TensorFlow loads each with variables of its own;
    those of the second are replaced by those of the first.
    """

    def __init__(
        self, saved: SavedGraph, signature: str | None, tags: Iterable[str] | None, restore: bool
    ) -> None:
        chosen = saved.chosen_tags(None if tags is None else list(tags))
        graph = saved.meta_graph(chosen)
        name = choose(saved.name, list(graph.signature_def), signature)
        if not graph.signature_def[name].inputs:
            raise ModuleError(f"Signature {name!r} of {saved.name!r} takes no tensor.")
        loaded = _load(saved, chosen, restore)
        function = loaded.signatures[name]
        self.kind = _kind(saved)
        self._function, self._loaded = function, [loaded]
        self._training: Callable[..., Any] = function
        self._loss_functions = _losses(loaded)
        variables = used_variables([function, *self._loss_functions])
        train = saved.training_tags(chosen)
        used = [function]
        if train is not None and name in saved.meta_graph(train).signature_def:
            pruned, more = self._for_training(saved, train, name, loaded)
            variables = list({id(each): each for each in (*variables, *more)}.values())
            used.append(pruned)
            self.takes_training = True
            self._training = lambda **given: pruned(*given.values())[0]
        self.variables, complete = held(variables, lambda variable: bool(variable.trainable))
        stored = [variable.name.removesuffix(":0") for variable in loaded.variables]
        self.complete = complete and not saved.stored_state(stored)
        self.inputs = tree_of(function.structured_input_signature[1], saved.name)
        self.outputs = tree_of(dict(function.structured_outputs), saved.name)
        self.compiles = can_compile(used)
        self.resources = [_Tables(each) for each in self._loaded]
        if not any(variable.trainable for variable in self.variables):
            self.fixed = "none of the variables of this signature is marked as trainable"

    def _for_training(
        self, saved: SavedGraph, tags: frozenset[str], name: str, main: Any
    ) -> tuple[Any, list[Any]]:
        """The function for training, over the variables of the graph for inference."""
        loaded = _load(saved, tags, restore=False)
        self._loaded.append(loaded)
        signature = saved.meta_graph(tags).signature_def[name]
        tensor = loaded.graph.get_tensor_by_name
        feeds = [tensor(signature.inputs[key].name) for key in sorted(signature.inputs)]
        outputs = {key: tensor(info.name) for key, info in signature.outputs.items()}
        # In TF1 the caller had to run these: they keep the statistics of batch normalisation.
        updates = loaded.graph.get_collection(_UPDATES)
        function = loaded.prune(feeds, (outputs, updates))
        self._loss_functions = _losses(loaded) or self._loss_functions
        by_name = {variable.name: variable for variable in main.variables}
        own = {variable.name: variable for variable in loaded.variables}
        missing = sorted(set(own) - set(by_name))
        if missing:
            raise ModuleError(
                f"The graph for training of {saved.name!r} has variables that the one for "
                f"inference lacks: {', '.join(missing)}."
            )
        shared = {id(variable.handle): by_name[key] for key, variable in own.items()}
        for each in (function, *self._loss_functions):
            _replace_captures(each, shared)
        return function, used_variables([function, *self._loss_functions])

    def _call(self, tensors: list[Any], training: bool) -> Any:
        function = self._training if training else self._function
        return function(**dict(zip(self.inputs, tensors, strict=True)))

    def losses(self) -> Iterable[Callable[[], Any]]:
        return self._loss_functions


class GraphOfReferences(Endpoint):
    """A signature of a graph whose variables are of the kind that TF1 had by default.

    TensorFlow 2 runs such a graph, but its variables are out of reach: they lie in the runtime.
    Here the graph is read with each of them replaced by the value of a variable of TF2. Where it
    also assigns to them, that cannot be done, and the graph stays as it was trained.
    """

    complete = True

    def __init__(
        self, saved: SavedGraph, signature: str | None, tags: Iterable[str] | None, restore: bool
    ) -> None:
        chosen = saved.chosen_tags(None if tags is None else list(tags))
        graph = saved.meta_graph(chosen)
        name = choose(saved.name, list(graph.signature_def), signature)
        loaded = _load(saved, chosen, restore=False)
        function = loaded.signatures[name]
        self.kind = _kind(saved)
        self.inputs = tree_of(function.structured_input_signature[1], saved.name)
        self.outputs = tree_of(dict(function.structured_outputs), saved.name)
        self.resources = [_Tables(loaded)]
        definition = function.graph.as_graph_def()
        nodes = [node for node in definition.node if node.op in _REFERENCES]
        checkpoint = open_checkpoint(saved.folder) if restore else None
        trainable = {
            variable.name.removesuffix(":0")
            for variable in loaded.graph.get_collection("trainable_variables")
        }
        self.variables = [
            ModuleVariable(node.name, _variable(node, checkpoint, saved), node.name in trainable)
            for node in nodes
        ]
        self._loaded = loaded
        self._function = self._rebuilt(function, definition)
        self.compiles = can_compile([self._function])

    def _rebuilt(self, function: Any, definition: Any) -> Any:
        """The signature over variables of TF2."""
        names = list(self.inputs)
        feeds = [tensor.name for tensor in function.inputs[: len(names)]]
        captured = [tensor.name for tensor in function.inputs[len(names) :]]
        fetches = [function.structured_outputs[key].name for key in self.outputs]

        def run(**inputs: Any) -> dict[str, Any]:
            given = dict(zip(feeds, (inputs[name] for name in names), strict=True))
            given |= dict(zip(captured, function.captured_inputs, strict=True))
            given |= {f"{each.name}:0": each.value.read_value() for each in self.variables}
            results = tf.graph_util.import_graph_def(definition, given, fetches, name="")
            return dict(zip(self.outputs, results, strict=True))

        specifications = function.structured_input_signature[1]
        try:
            return tf.function(run, autograph=False).get_concrete_function(**specifications)
        except (ValueError, TypeError) as error:
            raise _OutOfReach(f"its graph assigns to its variables itself ({error})") from error

    def _call(self, tensors: list[Any], training: bool) -> Any:
        return self._function(**dict(zip(self.inputs, tensors, strict=True)))


def open_tf1(
    saved: SavedGraph,
    signature: str | None,
    tags: Iterable[str] | None,
    arguments: Mapping[str, Any],
    restore: bool,
) -> Endpoint:
    """Loads a SavedModel of TF1; see `open_tf2` for the arguments."""
    if arguments:
        raise ModuleError(
            f"{saved.name!r} is a graph of TF1, whose signatures take tensors only. Received: "
            f"arguments={sorted(arguments)}"
        )
    if not saved.operations() & _REFERENCES:
        return Graph(saved, signature, tags, restore)
    try:
        return GraphOfReferences(saved, signature, tags, restore)
    except _OutOfReach as error:
        graph = Graph(saved, signature, tags, restore)
        graph.fixed = (
            f"its variables are of the first kind that TF1 had, and {error}. Saved again with "
            "tf.compat.v1.enable_resource_variables(), it can be"
        )
        return graph


def _kind(saved: SavedGraph) -> str:
    return "TF-Hub module of TF1" if saved.is_hub_module else "SavedModel of TF1"


def _load(saved: SavedGraph, tags: frozenset[str], restore: bool) -> Any:
    options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=not restore)
    return tf.saved_model.load(str(saved.folder), tags=sorted(tags), options=options)


def _losses(loaded: Any) -> list[Any]:
    """The regularisation losses of a graph as functions."""
    return [loaded.prune([], loss) for loss in loaded.graph.get_collection(_LOSSES)]


def _replace_captures(function: Any, shared: Mapping[int, Any]) -> None:
    """Lets a concrete function work on other variables: handle's id -> variable."""
    function.graph.variables = [
        shared.get(id(variable.handle), variable) for variable in function.graph.variables
    ]
    function.set_external_captures(
        [
            shared[id(captured)].handle if id(captured) in shared else captured
            for captured in function.captured_inputs
        ]
    )


def _variable(node: Any, checkpoint: Checkpoint | None, saved: SavedGraph) -> Any:
    shape = tf.TensorShape(node.attr["shape"].shape)
    dtype = tf.dtypes.as_dtype(node.attr["dtype"].type)
    if checkpoint is None:
        value = np.zeros(shape.as_list(), dtype.as_numpy_dtype)
    elif node.name in checkpoint:
        value = np.asarray(checkpoint[node.name].read())
    else:
        raise _OutOfReach(f"its checkpoint has no whole tensor {node.name!r}")
    return tf.Variable(value, dtype=dtype, name=node.name)
