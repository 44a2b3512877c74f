"""What `FrozenBackbone` can hold, seen in one way: a network of stages between begin and finish."""

from __future__ import annotations

import copy
import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras

from keras_pretrained.layers.base import PretrainedLayer
from keras_pretrained.layers.depth import Stage, StageCall, State
from keras_pretrained.layers.model_stages import model_stages, tensor_names
from keras_pretrained.layers.staged import Staged
from keras_pretrained.presets import PresetError, load_builder, preset_info

_LATE = {"keras_pretrained>VisionModel": "keras_pretrained.applications.vision.vision_model"}
"""Serialised name -> the module that registers it. This package does not import it by itself."""

_EXPECTED = (
    "Expected a preset's name (keras_pretrained.list_presets() has them), a keras.Model or a "
    "`.keras` file of one, a pretrained layer, or a SavedModel. Weights alone do not say of what "
    "network they are: build it first, as in "
    "FrozenBackbone(applications.ResNetV1_50(weights=path, include_top=False)) or "
    "FrozenBackbone(BertEncoder(path))."
)


class Wrapped(Protocol):
    """A network that is run stage by stage."""

    network: Any

    @property
    def stages(self) -> Sequence[Stage]:
        """Its stages, in order."""

    def begin(self, inputs: Any) -> State:
        """The inputs as the state that the first stage takes."""

    def finish(self, state: State, call: StageCall) -> Any:
        """The state after the last stage as the output, or all stages' results by name."""

    def symbolic_inputs(self) -> Any:
        """Keras inputs of the shape that the network takes."""

    def in_use(self, index: int) -> bool:
        """Whether the output depends on a stage."""


class WrappedModel:
    """A functional Keras model."""

    stages: Sequence[Stage]

    def __init__(self, model: Any) -> None:
        self.network = model
        self.stages = model.stages if isinstance(model, Staged) else model_stages(model)
        names = tensor_names(model)
        self._inputs = [names[id(tensor)] for tensor in model.inputs]
        self._outputs = keras.tree.map_structure(
            lambda tensor: names[id(tensor)], _structure(model.outputs, model.output)
        )

    def begin(self, inputs: Any) -> State:
        tensors = zip(self._inputs, self.network.inputs, self._in_order(inputs), strict=True)
        return {name: _of_type(given, expected.dtype) for name, expected, given in tensors}

    def _in_order(self, inputs: Any) -> list[Any]:
        """The tensors of the inputs in the order of the model's."""
        expected = self.network.input
        if isinstance(expected, Mapping) and isinstance(inputs, Mapping):
            if not set(expected) - set(inputs):
                return keras.tree.flatten({name: inputs[name] for name in expected})
        elif len(tensors := keras.tree.flatten(inputs)) == len(self.network.inputs):
            return tensors
        names = keras.tree.map_structure(lambda tensor: tensor.name, expected)
        received = sorted(inputs) if isinstance(inputs, Mapping) else type(inputs).__name__
        raise ValueError(
            f"The backbone takes the inputs of model {self.network.name!r}: {names}. "
            f"Received: {received}"
        )

    def finish(self, state: State, call: StageCall) -> Any:
        names = [stage.name for stage in self.stages] if call.features else call.results
        if names:
            return {name: state[f"feature@{name}"] for name in names}
        return keras.tree.map_structure(state.__getitem__, self._outputs)

    def symbolic_inputs(self) -> Any:
        def like(tensor: Any) -> Any:
            return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)

        return keras.tree.map_structure(like, _structure(self.network.inputs, self.network.input))

    def in_use(self, index: int) -> bool:
        return True


class WrappedLayer:
    """A pretrained layer of this library."""

    def __init__(self, layer: PretrainedLayer) -> None:
        self.network = layer

    @property
    def stages(self) -> Sequence[Stage]:
        return self.network.stages

    def begin(self, inputs: Any) -> State:
        return self.network.begin(inputs)

    def finish(self, state: State, call: StageCall) -> Any:
        return self.network.finish(state, call)

    def symbolic_inputs(self) -> Any:
        return self.network.symbolic_inputs()

    def in_use(self, index: int) -> bool:
        return self.network.in_use(index)


def wrapped(source: Any, options: Mapping[str, Any]) -> Wrapped:
    """The source of a backbone, whatever way it is given.

    Raises:
        ValueError: it is of no known kind.
        TypeError: `options` do not belong to it.
    """
    if isinstance(source, str | os.PathLike):
        source = _named(source, options)
        return WrappedLayer(source) if isinstance(source, PretrainedLayer) else WrappedModel(source)
    if options:
        raise TypeError(
            f"{', '.join(map(repr, options))} belong to the builder of a preset, and `source` is "
            f"none. Received: {source!r}"
        )
    if isinstance(source, PretrainedLayer):
        return WrappedLayer(source)
    return WrappedModel(_copy(source))


def _named(source: str | os.PathLike[str], options: Mapping[str, Any]) -> Any:
    """The network of a preset, without its classifier, of a file, or of a SavedModel."""
    path = Path(source)
    if "://" in str(source) or (path / "saved_model.pb").is_file():
        return _saved_model(source, options)
    if path.suffix == ".keras":
        return _graph(keras.saving.load_model(path, compile=False))
    if not isinstance(source, str) or path.exists():
        raise ValueError(f"{str(source)!r} is no network that can be frozen. {_EXPECTED}")
    try:
        preset = preset_info(source)
    except PresetError as error:
        raise PresetError(f"{error} {_EXPECTED}") from None
    builder = load_builder(preset)
    if preset.image is None:
        return builder(source, **options)
    # The preset itself: several may be of one architecture, for inputs of different sizes.
    options = {"weights": preset, "include_top": False, **preset.architecture, **options}
    if options["weights"] is None and preset.sources:
        options.setdefault("dialect", preset.sources[0].dialect)
    return builder(**options)


_OF_SAVED_MODELS = frozenset({"arguments", "embed", "output", "output_shape", "signature", "tags"})


def _saved_model(source: str | os.PathLike[str], options: Mapping[str, Any]) -> PretrainedLayer:
    """The layer that reads the variables of a SavedModel natively, or one around its program."""
    from keras_pretrained.layers.saved_model import SavedModelLayer, find_module, native_layer

    if not _OF_SAVED_MODELS & set(options):
        folder = find_module(source).folder
        native = native_layer(folder)
        if native is not None:
            layer: PretrainedLayer = native(folder, **options)
            return layer
    wrapped_layer = SavedModelLayer(source, **options)
    # The depth of the backbone says what trains.
    wrapped_layer.trainable = wrapped_layer.can_train
    return wrapped_layer


def _copy(source: Any) -> keras.Model:
    """A functional copy with weights of its own."""
    source = _graph(source)
    knows_itself = isinstance(source, Staged)
    copied = type(source).from_config if knows_itself else None
    clone = copied(source.get_config()) if copied else keras.models.clone_model(source)
    clone.set_weights(source.get_weights())
    return clone


def _graph(source: Any) -> keras.Model:
    """A model as its graph alone: a subclass may hold more."""
    if not isinstance(source, keras.Model):
        raise ValueError(
            f"`source` cannot be frozen by stages. {_EXPECTED} Received: {source!r} of type "
            f"{type(source).__name__}"
        )
    if not source.built or getattr(source, "inputs", None) is None:
        raise ValueError(
            f"Model {source.name!r} has no graph yet. Expected a functional model, or a sequential "
            "one that has been built."
        )
    if isinstance(source, Staged):
        return source
    if isinstance(source, keras.Sequential):
        return keras.Model(source.inputs[0], source.outputs[0], name=source.name)
    return keras.Model(
        _structure(source.inputs, source.input),
        _structure(source.outputs, source.output),
        name=source.name,
    )


def _structure(tensors: list[Any], structure: Any) -> Any:
    """The tensors in the structure that a model was made with; one alone stands for itself."""
    if isinstance(structure, list | tuple) and len(tensors) == 1:
        return tensors[0]
    return structure


def _of_type(tensor: Any, dtype: str) -> Any:
    """A tensor as a model's own input would have it: images of bytes become numbers."""
    if keras.backend.standardize_dtype(tensor.dtype) == dtype:
        return tensor
    return keras.ops.cast(tensor, dtype)


def deserialized(config: Mapping[str, Any]) -> Wrapped:
    """The source of a backbone's configuration."""
    module = _LATE.get(config.get("registered_name") or "")
    if module:
        importlib.import_module(module)
    # Keras empties the configuration that it reads.
    network = keras.saving.deserialize_keras_object(copy.deepcopy(dict(config)))
    return WrappedLayer(network) if isinstance(network, PretrainedLayer) else WrappedModel(network)
