"""A pretrained layer cut in two at its depth: the frozen prefix and the trainable suffix."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from keras_pretrained.layers.call_stack import kept_training_flag
from keras_pretrained.layers.depth import StageCall, State

if TYPE_CHECKING:
    from keras_pretrained.layers.base import PretrainedLayer


@dataclass(frozen=True)
class _Owner:
    """Holds the whole layer out of Keras' sight: a slice owns only its own stages' weights."""

    layer: PretrainedLayer


@keras.saving.register_keras_serializable(package="keras_pretrained")
class StageSlice(keras.layers.Layer):
    """One side of a pretrained layer that was cut at a stage, sharing its weights.

    Args:
        layer: the whole layer.
        boundary: index of the first stage behind the cut.
        part: `"prefix"` takes the layer's inputs and gives the state at the cut, a dictionary
            of tensors; `"suffix"` takes that state and gives the layer's output.
    """

    def __init__(self, layer: PretrainedLayer, boundary: int, part: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owner = _Owner(layer)
        self.boundary = boundary
        self.part = part
        start, stop = self._range()
        parts = [held for stage in layer.stages[start:stop] for held in stage.layers]
        if part == "suffix":
            parts += layer.new_layers()
        self.parts = list({id(held): held for held in parts}.values())
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        layer, call = self.owner.layer, StageCall(training=bool(training))
        layer.remember_caller()
        with kept_training_flag():
            state: State = layer.begin(inputs) if self.part == "prefix" else dict(inputs)
            state = layer.run_stages(state, *self._range(), call)
            return state if self.part == "prefix" else layer.finish(state, call)

    @property
    def trainable(self) -> bool:
        return bool(self._trainable)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        before = self.owner.layer._trained()
        keras.layers.Layer.trainable.fset(self, value)
        if value:
            # The parts are the whole layer's: its depth says which of them train.
            self.owner.layer._apply_depth(before)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.owner.layer.compute_mask(inputs) if self.part == "suffix" else None

    def _range(self) -> tuple[int, int]:
        end = len(self.owner.layer.stages)
        return (0, self.boundary) if self.part == "prefix" else (self.boundary, end)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.owner.layer),
            "boundary": self.boundary,
            "part": self.part,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> StageSlice:
        layer = keras.saving.deserialize_keras_object(copy.deepcopy(config["layer"]))
        return cls(**{**config, "layer": layer})


def split_layer(layer: PretrainedLayer, boundary: int) -> tuple[keras.Model, keras.Model]:
    """The stages before `boundary` and those from it on, as two models."""
    inputs = layer.symbolic_inputs()
    state = StageSlice(layer, boundary, "prefix", name=f"{layer.name}_prefix")(inputs)
    prefix = keras.Model(inputs, state, name=f"{layer.name}_frozen")
    state_inputs = {
        name: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)
        for name, tensor in state.items()
    }
    output = StageSlice(layer, boundary, "suffix", name=f"{layer.name}_suffix")(state_inputs)
    return prefix, keras.Model(state_inputs, output, name=f"{layer.name}_trainable")
