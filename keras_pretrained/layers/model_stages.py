"""The stages of an arbitrary functional Keras model, found from its graph."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_pretrained.layers.depth import Stage, StageCall, State

_FOLLOWERS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.PReLU,
    keras.layers.RMSNormalization,
)
"""Normalisations and activations that bear weights and yet start no stage."""


@dataclass
class _Group:
    """The graph nodes of one stage, in topological order.

    Attributes:
        name: of the stage.
        start: the node whose weights open it, where stages are found by weights.
        end: its named result, where stages are declared.
        head: whether it is an original head.
    """

    name: str
    nodes: list[Any] = field(default_factory=list)
    start: Any = None
    end: Any = None
    head: bool = False

    @property
    def result(self) -> Any:
        """The declared result, or the last tensor that comes from the stage's own weights."""
        if self.end is not None:
            return self.end
        made: dict[int, Any] = {}
        last = self.nodes[-1].output_tensors[0]
        for node in self.nodes:
            if node is self.start or any(id(tensor) in made for tensor in node.input_tensors):
                made.update({id(tensor): tensor for tensor in node.output_tensors})
                last = node.output_tensors[0]
        return last

    @property
    def layers(self) -> tuple[keras.layers.Layer, ...]:
        held = [node.operation for node in self.nodes]
        return tuple({id(op): op for op in held if isinstance(op, keras.layers.Layer)}.values())


def model_stages(model: keras.Model) -> list[Stage]:
    """A stage for each weight-bearing layer, with what follows it until the next one.

    Normalisations, activations and merges belong to the latest stage that they read from. A
    layer that is called several times belongs to its first stage.

    The state holds every tensor that a later stage or the model's output still needs, under
    the name that `tensor_names(model)` gives it.
    """
    return _stages(model, _groups(model))


def declared_stages(
    model: keras.Model,
    stages: Mapping[str, Sequence[str]],
    ends: Mapping[str, Any],
    heads: Collection[str] = (),
) -> list[Stage]:
    """The stages that an architecture declares for its graph.

    Args:
        stages: name -> names of the layers, in order. Other layers belong to the first stage.
        ends: name of a stage -> the tensor that is its result; by default the last one.
        heads: names of the stages that are original heads.
    """
    groups = {name: _Group(name, end=ends.get(name), head=name in heads) for name in stages}
    declared = {layer: index for index, names in enumerate(stages.values()) for layer in names}
    ordered = list(groups.values())
    stage_of: dict[int, int] = {}
    for node in graph_nodes(model):
        # What has no weights (a pool between two blocks) cannot run before what it reads.
        read = [stage_of.get(id(tensor), 0) for tensor in node.input_tensors]
        index = max(declared.get(node.operation.name, 0), *read)
        ordered[index].nodes.append(node)
        stage_of.update({id(tensor): index for tensor in node.output_tensors})
    return _stages(model, ordered)


def boundary(model: keras.Model, stages: Sequence[Stage], index: int) -> dict[str, Any]:
    """The tensors that pass from the stages before `index` to those from it on, by name."""
    made: dict[int, Any] = {id(tensor): tensor for tensor in model.inputs}
    behind = {id(layer) for stage in stages[index:] for layer in stage.layers}
    needed = {id(tensor) for tensor in model.outputs}
    for node in graph_nodes(model):
        if id(node.operation) in behind:
            needed |= {id(tensor) for tensor in node.input_tensors}
        else:
            made.update({id(tensor): tensor for tensor in node.output_tensors})
    names = tensor_names(model)
    return {names[key]: tensor for key, tensor in made.items() if key in needed}


def _stages(model: keras.Model, groups: list[_Group]) -> list[Stage]:
    names = tensor_names(model)
    outputs = {id(tensor) for tensor in model.outputs}
    return [
        _stage(group, names, _needed_after(groups[index + 1 :]) | outputs)
        for index, group in enumerate(groups)
    ]


def tensor_names(model: keras.Model) -> dict[int, str]:
    """id of each tensor in the model's graph -> its name in the state."""
    names = {id(tensor): f"input_{index}" for index, tensor in enumerate(model.inputs)}
    for node in graph_nodes(model):
        for index, tensor in enumerate(node.output_tensors):
            names[id(tensor)] = f"{node.operation.name}_{len(names)}_{index}"
    return names


def _groups(model: keras.Model) -> list[_Group]:
    groups: list[_Group] = []
    stage_of: dict[int, int] = {id(tensor): 0 for tensor in model.inputs}
    seen: set[int] = set()
    leading: list[Any] = []
    for node in graph_nodes(model):
        operation = node.operation
        if _starts_stage(operation) and id(operation) not in seen:
            groups.append(_Group(str(operation.name), leading, start=node))
            leading = []
            index = len(groups) - 1
        else:
            index = max((stage_of[id(tensor)] for tensor in node.input_tensors), default=0)
        seen.add(id(operation))
        # What comes before the first weights (rescaling, padding) belongs to the first stage.
        (groups[index].nodes if groups else leading).append(node)
        stage_of.update({id(tensor): index for tensor in node.output_tensors})
    if not groups:
        raise ValueError(
            f"Model {model.name!r} has no stage to freeze. Expected a layer with weights that "
            f"is other than a normalisation. Received: {[layer.name for layer in model.layers]}"
        )
    return groups


def _starts_stage(operation: Any) -> bool:
    return (
        isinstance(operation, keras.layers.Layer)
        and bool(operation.weights)
        and not isinstance(operation, _FOLLOWERS)
    )


def graph_nodes(model: keras.Model) -> Iterator[Any]:
    """The calls in the graph, each behind those that it reads from."""
    # Keras has no public view of a functional model's graph.
    by_depth = model._nodes_by_depth
    order = {id(operation): index for index, operation in enumerate(model.operations)}
    for depth in sorted(by_depth, reverse=True):
        for node in sorted(by_depth[depth], key=lambda node: order[id(node.operation)]):
            if not node.is_input:
                yield node


def _needed_after(later: list[_Group]) -> set[int]:
    return {id(tensor) for group in later for node in group.nodes for tensor in node.input_tensors}


def _has_statistics(layer: keras.layers.Layer) -> bool:
    """Whether it is a batch normalisation, or holds one."""
    return any(
        isinstance(part, keras.layers.BatchNormalization) for part in layer._flatten_layers()
    )


def _stage(group: _Group, names: dict[int, str], needed: set[int]) -> Stage:
    result = group.result
    alive = {names[key] for key in needed}

    def run(state: State, call: StageCall) -> State:
        # The graph is walked by hand: a `keras.Model` of these nodes alone would lose masks, and
        # Keras cannot cut one out where a layer is called several times.
        tensors = {key: state[name] for key, name in names.items() if name in state}
        for node in group.nodes:
            args, kwargs = node.arguments.fill_in(tensors)
            if isinstance(node.operation, keras.layers.Layer):
                keeps = call.keep_statistics and _has_statistics(node.operation)
                kwargs["training"] = call.training and not keeps
            made = keras.tree.flatten(node.operation(*args, **kwargs))
            tensors.update(zip(map(id, node.output_tensors), made, strict=True))
        later = {name: tensors[key] for key, name in names.items() if key in tensors}
        kept = {name: tensor for name, tensor in later.items() if name in alive}
        features = {name: x for name, x in state.items() if name.startswith("feature@")}
        if call.features or group.name in call.results:
            features[f"feature@{group.name}"] = tensors[id(result)]
        return {**kept, **features}

    return Stage(group.name, group.layers, run, head=group.head)
