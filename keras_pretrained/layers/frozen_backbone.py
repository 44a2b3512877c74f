"""Any Keras model as a backbone that is frozen up to a depth."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import keras

from keras_pretrained.layers.base import PretrainedLayer
from keras_pretrained.layers.depth import Depth, StageCall, State
from keras_pretrained.layers.model_stages import model_stages, tensor_names

_POOLING: dict[str, Callable[..., Any]] = {"avg": keras.ops.mean, "max": keras.ops.max}


@keras.saving.register_keras_serializable(package="keras_pretrained")
class FrozenBackbone(PretrainedLayer):
    """A Keras model as one layer, frozen below `trainable_from` and trained from there on.

    A stage is a weight-bearing layer with the normalisations, activations and merges behind
    it, in topological order; it bears the layer's name. Frozen stages run in inference mode:
    their batch statistics stay as they are, to the bit, and their dropout is off.

    Args:
        source: a functional or sequential `keras.Model` with one input and one output. It is
            cloned; the object given is never changed.
        trainable_from: number of frozen stages, a negative number of trainable ones, the name
            of the first trainable stage, `0` for none frozen or None for all frozen.
        pooling: None, or `"avg"` or `"max"` over all axes between the first and the last.

    Example:

    ```python
    backbone = FrozenBackbone(keras.applications.MobileNetV2(include_top=False), pooling="avg")
    outputs = keras.layers.Dense(5)(backbone(keras.Input((224, 224, 3))))
    ```

    `features(inputs)` gives the output of every stage by name.
    """

    def __init__(
        self,
        source: keras.Model,
        trainable_from: Depth = None,
        pooling: str | None = None,
        **kwargs: Any,
    ) -> None:
        # The source's layers have dtype policies of their own: images must reach them uncut.
        super().__init__(autocast=False, **kwargs)
        if pooling is not None and pooling not in _POOLING:
            raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: {pooling!r}")
        self.pooling = pooling
        self.model = _clone(source)
        names = tensor_names(self.model)
        self._input_name, self._output_name = (
            names[id(self.model.inputs[0])],
            names[id(self.model.outputs[0])],
        )
        self.declare(model_stages(self.model), trainable_from)
        self.create()

    def build_network(self) -> None:
        """The clone came with its variables."""

    def begin(self, inputs: Any) -> State:
        return {self._input_name: inputs}

    def finish(self, state: State, call: StageCall) -> Any:
        if call.features:
            return {stage.name: state[f"feature/{stage.name}"] for stage in self.stages}
        output = state[self._output_name]
        if self.pooling is None:
            return output
        return _POOLING[self.pooling](output, axis=tuple(range(1, len(output.shape) - 1)))

    def symbolic_inputs(self) -> Any:
        tensor = self.model.inputs[0]
        return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name="inputs")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "source": keras.saving.serialize_keras_object(self.model),
            "trainable_from": self.trainable_from,
            "pooling": self.pooling,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FrozenBackbone:
        source = keras.saving.deserialize_keras_object(copy.deepcopy(config["source"]))
        return cls(**{**config, "source": source})


def _clone(source: Any) -> keras.Model:
    """A functional copy with weights of its own."""
    if not isinstance(source, keras.Model):
        raise ValueError(
            f"`source` must be a keras.Model. Received: {source!r} of type {type(source).__name__}"
        )
    if not source.built or getattr(source, "inputs", None) is None:
        raise ValueError(
            f"Model {source.name!r} has no graph yet. Expected a functional model, or a sequential "
            "one that has been built."
        )
    if len(source.inputs) != 1 or len(source.outputs) != 1:
        raise ValueError(
            f"Model {source.name!r} must have one input and one output. "
            f"Received: {len(source.inputs)} inputs, {len(source.outputs)} outputs"
        )
    functional = keras.Model(source.inputs, source.outputs, name=source.name)
    clone = keras.models.clone_model(functional)
    clone.set_weights(functional.get_weights())
    return clone
