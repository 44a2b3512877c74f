"""SavedModels of TF1, TF-Hub's first modules among them: graphs with tags and signatures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from keras_pretrained.checkpoints import Checkpoint, open_checkpoint
from keras_pretrained.layers.saved_model.endpoint import (
    Endpoint,
    can_compile,
    held,
    replace_captures,
    tree_of,
    used_variables,
)
from keras_pretrained.layers.saved_model.files import ModuleError
from keras_pretrained.layers.saved_model.graph import SavedGraph
from keras_pretrained.layers.saved_model.tf1_functions import (
    OutOfReach,
    Part,
    Tables,
    can_differentiate,
    names_of,
    reads_inputs,
    without_gradients,
)
from keras_pretrained.layers.saved_model.tf2 import choose

_CONTROL_FLOW = frozenset({"Case", "Enter", "If", "Merge", "RefEnter", "RefMerge", "While"})
_UPDATES = "update_ops"
_LOSSES = "regularization_losses"
_NO_GRADIENTS = (
    "its graph has loops or branches of TF1, which TensorFlow 2 runs but does not find the "
    "gradients of"
)
_NOT_MEANT = "none of the variables of this signature is marked as trainable"


class Graph(Endpoint):
    """A signature of a graph for inference, and of the graph for training if there is one.

    The two are programs over the same variables, whatever kind of variables TF1 had in them.
    """

    def __init__(self, saved: SavedGraph, main: _Loaded, train: _Loaded | None, restore: bool):
        self.kind = _kind(saved)
        plain = main.part()
        training = train.part(train.updates()) if train else None
        losses = (train.losses() if train else []) or main.losses()
        parts = [each for each in (plain, training, *losses) if each is not None]
        # The functions hold their variables by weak references only.
        self._all_variables = _variables(saved, main, parts, restore)
        self._function = plain.over(self._all_variables)
        self._training = training.over(self._all_variables) if training else self._function
        self.takes_training = training is not None
        self._penalties = [part.over(self._all_variables) for part in losses]
        self.inputs, self.outputs = main.inputs, main.outputs
        loaded = [each for each in (main, train) if each is not None]
        names = {name for each in loaded for name in each.trainable}
        self.variables, complete = held(
            used_variables(self._functions), lambda each: each.name.removesuffix(":0") in names
        )
        known = {*self._all_variables, *(name for each in loaded for name in each.variables)}
        self.complete = complete and not saved.stored_state(known)
        self.compiles = can_compile([self._function, self._training])
        self.resources = [Tables(each.loaded) for each in loaded]
        trained = [each.value for each in self.variables if each.trainable]
        if not trained:
            self.fixed = _NOT_MEANT
        elif _has_control_flow(saved) and not can_differentiate(self._training, trained):
            self.fixed = _NO_GRADIENTS
            for function in self._functions:
                without_gradients(function)

    @property
    def _functions(self) -> list[Any]:
        training = [self._training] if self.takes_training else []
        return [self._function, *training, *self._penalties]

    def _call(self, tensors: list[Any], training: bool) -> Any:
        if self.fixed == _NO_GRADIENTS:
            tensors = [tf.stop_gradient(tensor) for tensor in tensors]
        return (self._training if training else self._function)(*tensors)

    def _replace(self, shared: Mapping[int, Any]) -> None:
        for function in self._functions:
            replace_captures(function, shared)

    def losses(self) -> Iterable[Callable[[], Any]]:
        def penalty(function: Any) -> Callable[[], Any]:
            return lambda: function()["loss"]

        return [penalty(function) for function in self._penalties]


class FixedGraph(Endpoint):
    """A signature of a graph that is run as it is: its variables stay in TensorFlow's runtime."""

    complete = False
    variables = ()

    def __init__(self, saved: SavedGraph, main: _Loaded, reason: str) -> None:
        self.kind = _kind(saved)
        self.inputs, self.outputs = main.inputs, main.outputs
        self.fixed = reason
        self.resources = [Tables(main.loaded)]
        self._main = main
        self._function = main.loaded.prune(main.feeds, main.fetches)
        without_gradients(self._function)

    def _call(self, tensors: list[Any], training: bool) -> Any:
        return self._function(*map(tf.stop_gradient, tensors))

    def _replace(self, shared: Mapping[int, Any]) -> None:
        """There is nothing to replace."""


class _Loaded:
    """One graph in TensorFlow.

    Attributes:
        loaded: what `tf.saved_model.load` gave.
        feeds, fetches: the tensors of the signature, inputs in the order of their names.
        inputs, outputs: the same as ports.
        trainable: the names of the variables that its author meant to be trained.
    """

    def __init__(
        self, saved: SavedGraph, tags: frozenset[str], signature: str, restore: bool
    ) -> None:
        options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=not restore)
        self.loaded = tf.saved_model.load(str(saved.folder), sorted(tags), options)
        definition = saved.meta_graph(tags).signature_def[signature]
        inputs = self._tensors(saved.name, definition.inputs)
        self.fetches = self._tensors(saved.name, definition.outputs)
        if not inputs:
            raise ModuleError(f"Signature {signature!r} of {saved.name!r} takes no tensor.")
        self.feeds = list(inputs.values())
        self.inputs = tree_of(inputs, saved.name)
        self.outputs = tree_of(self.fetches, saved.name)
        self.trainable = names_of(self.collection("trainable_variables"))

    def _tensors(self, module: str, ports: Mapping[str, Any]) -> dict[str, Any]:
        for name, info in ports.items():
            if info.WhichOneof("encoding") != "name":
                raise ModuleError(
                    f"{module!r} takes or gives a tensor that is not dense ({name}), which a layer "
                    "cannot. Choose another signature with `signature=`."
                )
        return {
            name: self.loaded.graph.get_tensor_by_name(ports[name].name) for name in sorted(ports)
        }

    def collection(self, name: str) -> list[Any]:
        return list(self.loaded.graph.get_collection(name))

    @property
    def variables(self) -> set[str]:
        """The names of all variables in the graph, used or not."""
        return names_of(self.collection("variables")) | names_of(self.loaded.variables)

    def part(self, updates: Sequence[Any] = ()) -> Part:
        """The signature."""
        return Part(self.loaded, self.feeds, self.fetches, updates)

    def updates(self) -> list[Any]:
        """What keeps the statistics of batch normalisation. In TF1 the caller had to run it."""
        found = self.collection(_UPDATES)
        # Others belong to other signatures.
        return [update for update in found if not reads_inputs(update, self.feeds)]

    def losses(self) -> list[Part]:
        """The regularisation losses that its author added."""
        found = self.collection(_LOSSES)
        if any(reads_inputs(loss) for loss in found):
            raise OutOfReach("one of its regularisation losses depends on its inputs")
        return [Part(self.loaded, [], {"loss": loss}) for loss in found]


@contextmanager
def _no_advice() -> Iterator[None]:
    """Keeps TensorFlow from advising to save a module again because of its references."""

    def is_other(record: logging.LogRecord) -> bool:
        return "because it is a reference variable" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


@_no_advice()
def open_tf1(
    saved: SavedGraph,
    signature: str | None,
    tags: Iterable[str] | None,
    arguments: Mapping[str, Any],
    restore: bool,
) -> Endpoint:
    """Loads a SavedModel of TF1; see `open_tf2` for the arguments.

    Args:
        tags: of the graph for inference.
    """
    if arguments:
        raise ModuleError(
            f"{saved.name!r} is a graph of TF1, whose signatures take tensors only. Received: "
            f"arguments={sorted(arguments)}"
        )
    chosen = saved.chosen_tags(None if tags is None else list(tags))
    name = choose(saved.name, list(saved.meta_graph(chosen).signature_def), signature)
    main = _Loaded(saved, chosen, name, restore)
    train = saved.training_tags(chosen)
    if train is None or name not in saved.meta_graph(train).signature_def:
        train = None
    try:
        training = None if train is None else _Loaded(saved, train, name, restore=False)
        return Graph(saved, main, training, restore)
    except OutOfReach as error:
        return FixedGraph(saved, main, str(error))


def _has_control_flow(saved: SavedGraph) -> bool:
    return any(name.removeprefix("Stateless") in _CONTROL_FLOW for name in saved.operations())


def _kind(saved: SavedGraph) -> str:
    return "TF-Hub module of TF1" if saved.is_hub_module else "SavedModel of TF1"


def _variables(
    saved: SavedGraph, main: _Loaded, parts: Sequence[Part], restore: bool
) -> dict[str, Any]:
    """Name -> variable of TF2, for all that the parts read or write."""
    found = {variable.name.removesuffix(":0"): variable for variable in main.loaded.variables}
    nodes = {node.name: node for part in parts for node in part.references}
    checkpoint = open_checkpoint(saved.folder) if restore and nodes else None
    found |= {name: _variable(node, checkpoint) for name, node in nodes.items()}
    needed = {name for part in parts for name in part.variables}
    missing = sorted(needed - set(found))
    if missing:
        raise ModuleError(
            f"The graph for training of {saved.name!r} has variables that the one for inference "
            f"lacks: {', '.join(missing)}."
        )
    return {name: found[name] for name in found if name in needed}


def _variable(node: Any, checkpoint: Checkpoint | None) -> tf.Variable:
    """The value of a variable that is a reference, as a variable of TF2."""
    shape = tf.TensorShape(node.attr["shape"].shape)
    dtype = tf.dtypes.as_dtype(node.attr["dtype"].type)
    if checkpoint is None:
        value = np.zeros(shape.as_list(), dtype.as_numpy_dtype)
    elif node.name in checkpoint:
        value = np.asarray(checkpoint[node.name].read())
    else:
        raise OutOfReach(f"its checkpoint has no whole tensor for its variable {node.name!r}")
    return tf.Variable(value, dtype=dtype, name=node.name)
