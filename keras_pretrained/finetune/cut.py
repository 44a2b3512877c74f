"""A model cut in two at the depth of its backbone: what is computed once, and what trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from keras_pretrained.finetune.backbones import backbone
from keras_pretrained.layers.base import PretrainedLayer
from keras_pretrained.layers.blocks.recurrent_states import RecurrentStates
from keras_pretrained.layers.model_stages import graph_nodes
from keras_pretrained.layers.split import StageSlice
from keras_pretrained.layers.text.strings import holds_strings, with_string_tensors

OUTPUT = "output"
"""The feature where the whole backbone is frozen: what it returns."""


def suffix(network: Any) -> keras.Model:
    """What of a model trains, as a model of its own that takes cached features.

    Its layers are those of the model: what it learns, the model has learned. It begins where the
    backbone's frozen stages end, and takes what `cache_features` gives for the same model.

    Args:
        network: a functional model that calls one pretrained layer, or that layer.

    Raises:
        ValueError: nothing is frozen, or what lies below the depth would not give the same
            features each time.

    Example:

    ```python
    features = finetune.cache_features(dataset, model)
    head = finetune.suffix(model)
    head.compile("adamw", "mse")
    head.fit(features, epochs=10)
    model.save("trained.keras")
    ```
    """
    return Cut(network).suffix


class Cut:
    """A model around one backbone, cut where the backbone begins to train.

    Attributes:
        backbone: the pretrained layer, or the image network.
        boundary: the index of the first stage behind the cut.
        prefix: the model's inputs -> a dictionary of features.
        suffix: features -> the model's output; shares all layers.
        takes_texts: whether the backbone reads strings.
        model_inputs: name -> input of the model, of those that the suffix needs as they are.
    """

    def __init__(self, network: Any) -> None:
        held = backbone(network)
        model = _graph(network, held)
        # A backbone around a pretrained layer runs that layer.
        inner = getattr(held, "model", held)
        self.backbone: Any = inner if isinstance(inner, PretrainedLayer) else held
        stages = self.backbone.stages
        trains = [self.backbone.trains(index) for index in range(len(stages))]
        self.boundary = trains.index(True) if True in trains else len(stages)
        if self.boundary == 0:
            raise ValueError(
                f"Nothing of {held.name!r} is frozen, so that no features stay the same. Set "
                "its `trainable_from`, for instance to None."
            )
        self._node = _only_call(model, held)
        self._model = model
        self._suffix_nodes, bypass = _downstream(model, self._node)
        self.upstream = _upstream(model, self._node)
        _check_upstream(self.upstream, held)
        names = {id(tensor): _name(tensor) for tensor in model.inputs}
        self.model_inputs = {names[id(tensor)]: tensor for tensor in bypass}
        self._check_states()
        self.takes_texts = holds_strings(self._node.input_tensors)
        self._check_texts()
        if not self._is_whole():
            where = stages[self.boundary].name if self.boundary < len(stages) else "top"
            self._suffix_name = f"_at_{where}"
        else:
            self._suffix_name = ""
        self._build()

    def features(self, inputs: Any) -> dict[str, Any]:
        """A batch of the model's inputs -> arrays by name, for the suffix."""
        given = self._given(inputs)
        taken: Any = inputs
        if self.takes_texts:
            names = [_name(tensor) for tensor in self._node.input_tensors]
            sides = tuple(with_string_tensors(given[name], name) for name in names)
            taken = self.backbone.tokenize_inputs(self.backbone.texts_of(sides))
        found = dict(self.prefix.predict_on_batch(taken))
        found.update({name: given[name] for name in self.model_inputs})
        return found

    def frozen_layers(self) -> list[keras.layers.Layer]:
        """All layers that compute the features."""
        below = [layer for stage in self.backbone.stages[: self.boundary] for layer in stage.layers]
        layers = [node.operation for node in self.upstream]
        found = [layer for layer in [*layers, *below] if isinstance(layer, keras.layers.Layer)]
        return list({id(layer): layer for layer in found}.values())

    # --- building ---------------------------------------------------------------------------

    def _is_whole(self) -> bool:
        """Whether the backbone's output is the feature, which is smaller than its last state."""
        found = self.backbone
        if self.boundary < len(found.stages) or getattr(found, "new_layers", list)():
            return False
        # Keras carries a mask along with a tensor; an array has none.
        masked = any(
            getattr(tensor, "_keras_mask", None) is not None for tensor in self._node.output_tensors
        )
        return not masked and not (self.takes_texts and found.pooling is None)

    def _build(self) -> None:
        before, behind = self._halves()
        if self.takes_texts:
            inputs = self.backbone.symbolic_inputs()
            state = before(inputs)
        else:
            inputs = self._model.input
            if isinstance(inputs, list | tuple) and len(inputs) == 1:
                inputs = inputs[0]
            state = before(self._node.arguments.args[0])
        state = {f"{name}{self._suffix_name}": tensor for name, tensor in state.items()}
        name = self._model.name
        self.prefix = keras.Model(inputs, state, name=f"{name}_frozen")
        features = {key: _input_like(tensor, key) for key, tensor in state.items()}
        bypass = {key: _input_like(tensor, key) for key, tensor in self.model_inputs.items()}
        plain = {key.removesuffix(self._suffix_name): x for key, x in features.items()}
        output = self._through_suffix(behind(plain), bypass)
        self.suffix = keras.Model({**features, **bypass}, output, name=f"{name}_trainable")

    def _halves(self) -> tuple[Any, Any]:
        """The backbone below and above the cut, as functions of and to a dictionary."""
        found = self.backbone
        if self._is_whole():
            structure = keras.tree.map_structure(lambda x: x, self._node.outputs)
            count = len(keras.tree.flatten(structure))

            def whole(inputs: Any) -> dict[str, Any]:
                outputs = keras.tree.flatten(found(inputs))
                return {f"{OUTPUT}_{index}": x for index, x in enumerate(outputs)}

            return whole, lambda state: [state[f"{OUTPUT}_{index}"] for index in range(count)]
        if isinstance(found, keras.Model):
            below, above = found.split()
            return below, lambda state: keras.tree.flatten(above(state))
        below = StageSlice(found, self.boundary, "prefix", name=f"{found.name}_prefix")
        above = StageSlice(found, self.boundary, "suffix", name=f"{found.name}_suffix")
        return below, lambda state: keras.tree.flatten(above(state))

    def _through_suffix(self, outputs: list[Any], bypass: Mapping[str, Any]) -> Any:
        """The model's output, computed from the backbone's."""
        tensors = {id(tensor): bypass[key] for key, tensor in self.model_inputs.items()}
        made = dict(zip(map(id, self._node.output_tensors), outputs, strict=True))
        tensors.update(made)
        for node in self._suffix_nodes:
            args, kwargs = node.arguments.fill_in(tensors)
            results = keras.tree.flatten(node.operation(*args, **kwargs))
            tensors.update(zip(map(id, node.output_tensors), results, strict=True))
        inputs = {id(tensor) for tensor in outputs} if self._is_whole() else set()

        def found(tensor: Any) -> Any:
            result = tensors[id(tensor)]
            # Keras finds no way from an input to an output that is the same tensor.
            return keras.layers.Identity()(result) if id(result) in inputs else result

        return keras.tree.map_structure(found, self._model.output)

    def _given(self, inputs: Any) -> dict[str, Any]:
        """A batch of the model's inputs by name."""
        names = [_name(tensor) for tensor in self._model.inputs]
        if isinstance(inputs, Mapping):
            structure = self._model.input
            if isinstance(structure, Mapping):
                return {_name(tensor): inputs[key] for key, tensor in structure.items()}
            return {name: inputs[name] for name in names}
        flat = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        if len(flat) != len(names):
            raise ValueError(
                f"Expected {len(names)} inputs for model {self._model.name!r}: "
                f"{', '.join(names)}. Received: {len(flat)}"
            )
        return dict(zip(names, flat, strict=True))

    def _check_states(self) -> None:
        """Raises ValueError where features depend on the batches before."""
        kept: Any = getattr(self.backbone, "states", None)
        names = set(kept.sizes) if isinstance(kept, RecurrentStates) else set()
        parts = [part for layer in self.frozen_layers() for part in layer._flatten_layers()]
        found = [part for part in parts if part.name in names or getattr(part, "stateful", False)]
        if found:
            raise ValueError(
                f"Layer {found[0].name!r} is frozen and keeps its states between batches, so that "
                "features differ from epoch to epoch. Cached features would stay the same. Use a "
                f"network with stateful=False, or set the `trainable_from` of "
                f"{self.backbone.name!r} so that this layer trains."
            )

    def _check_texts(self) -> None:
        inputs = {id(tensor) for tensor in self._model.inputs}
        made = any(id(tensor) not in inputs for tensor in self._node.input_tensors)
        if self.takes_texts and made:
            raise ValueError(
                f"Model {self._model.name!r} changes its texts before {self.backbone.name!r} reads "
                "them. Do that in the data, so that the model's inputs go to the layer directly."
            )
        texts = [name for name, x in self.model_inputs.items() if x.dtype == "string"]
        if texts:
            raise ValueError(
                f"The input {texts[0]!r} of model {self._model.name!r} is of strings and goes to "
                "other layers than the backbone. Features cannot hold strings."
            )


def _graph(network: Any, held: Any) -> keras.Model:
    """A functional model around the backbone."""
    if network is held:
        inputs = held.input if isinstance(held, keras.Model) else held.symbolic_inputs()
        inputs = keras.tree.map_structure(_copied_input, inputs)
        return keras.Model(inputs, held(inputs), name=f"{held.name}_alone")
    if getattr(network, "inputs", None) is None:
        raise ValueError(
            f"Model {network.name!r} has no graph that could be cut. Expected a functional model, "
            f"or a sequential one that has been built. Received: {type(network).__name__}"
        )
    if isinstance(network, keras.Sequential):
        return keras.Model(network.inputs[0], network.outputs[0], name=network.name)
    return network


def _copied_input(tensor: Any) -> Any:
    return _input_like(tensor, tensor.name)


def _input_like(tensor: Any, name: str) -> Any:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)


def _name(tensor: Any) -> str:
    """Under which name an input is given."""
    return str(tensor._keras_history.operation.name)


def _only_call(model: keras.Model, held: Any) -> Any:
    calls = [node for node in graph_nodes(model) if node.operation is held]
    if len(calls) != 1:
        raise ValueError(
            f"Expected model {model.name!r} to call {held.name!r} once, in its own graph. "
            f"Received: {len(calls)} calls"
        )
    if calls[0].arguments.kwargs.get("features"):
        raise ValueError(
            f"Model {model.name!r} takes all features of {held.name!r}. Choose its outputs with "
            "`hidden_layers` or `pooling`, of which a part can be frozen."
        )
    return calls[0]


def _upstream(model: keras.Model, node: Any) -> list[Any]:
    """The calls that the backbone's inputs come from, in order."""
    needed = {id(tensor) for tensor in node.input_tensors}
    found = []
    for other in reversed(list(graph_nodes(model))):
        if any(id(tensor) in needed for tensor in other.output_tensors):
            found.append(other)
            needed |= {id(tensor) for tensor in other.input_tensors}
    return found[::-1]


def _downstream(model: keras.Model, node: Any) -> tuple[list[Any], list[Any]]:
    """The other calls that the model's outputs come from, and the model's inputs among those."""
    needed = {id(tensor) for tensor in model.outputs}
    found = []
    for other in reversed(list(graph_nodes(model))):
        if other is not node and any(id(tensor) in needed for tensor in other.output_tensors):
            found.append(other)
            needed |= {id(tensor) for tensor in other.input_tensors}
    return found[::-1], [tensor for tensor in model.inputs if id(tensor) in needed]


def _check_upstream(nodes: list[Any], held: Any) -> None:
    """Raises ValueError where the same input would not always give the same features."""
    layers = [node.operation for node in nodes if isinstance(node.operation, keras.layers.Layer)]
    parts = [part for layer in layers for part in layer._flatten_layers()]
    # Every random layer of Keras keeps the state of its generator so; a rate of 0 makes none.
    random = [part for part in parts if part._seed_generators]
    trained = [layer for layer in layers if layer.trainable_variables]
    if random:
        raise ValueError(
            f"Layer {random[0].name!r} ({type(random[0]).__name__}) changes the inputs of "
            f"{held.name!r} at random, so that its features differ from epoch to epoch. Cached "
            "features would stay the same. Train without the cache, or without this layer."
        )
    if trained:
        raise ValueError(
            f"Layer {trained[0].name!r} lies before {held.name!r} and trains, so that the features "
            "change. Set its `trainable` to False, or train without the cache."
        )
