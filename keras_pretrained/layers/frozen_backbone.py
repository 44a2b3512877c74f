"""Any network as a backbone that is frozen up to a depth."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_pretrained.layers.backbone_source import (
    Wrapped,
    WrappedLayer,
    WrappedModel,
    deserialized,
    wrapped,
)
from keras_pretrained.layers.base import PretrainedLayer
from keras_pretrained.layers.depth import Depth, StageCall, State
from keras_pretrained.layers.saved_model.layer import SavedModelLayer
from keras_pretrained.layers.staged import Staged
from keras_pretrained.layers.text.strings import with_string_tensors
from keras_pretrained.weights import LoadReport

_POOLING: dict[str, Callable[..., Any]] = {"avg": keras.ops.mean, "max": keras.ops.max}


@keras.saving.register_keras_serializable(package="keras_pretrained")
class FrozenBackbone(PretrainedLayer):
    """A network as one layer, frozen below `trainable_from` and trained from there on.

    The stages are those that the architecture declares: a preset's (`stem`, `block1`,
    `Mixed_5b`, ...) or a pretrained layer's. Of any other model, a stage is a weight-bearing layer
    with the normalisations, activations and merges behind it, in topological order; it bears the
    layer's name. Frozen stages run in inference mode, and their dropout is off.

    Args:
        source: the name of a preset (`list_presets("resnet*")`), of which the classifier is left
            out; a functional or sequential `keras.Model`, one of `keras_pretrained.applications` or
            a KerasHub backbone, which is copied: the object given is never changed; a layer of
            `keras_pretrained.layers`, which then belongs to this one; or a SavedModel: its folder,
            or a TF-Hub handle. Where a layer of this library reads its variables, that is used
            (`saved_model.native_layer`); otherwise the SavedModel is one stage, `module`.
        trainable_from: number of frozen stages, a negative number of trainable ones, the name
            of the first trainable stage, `0` for none frozen or None for all frozen.
        pooling: None, or `"avg"` or `"max"` over all axes between the first and the last.
        outputs: names of the stages whose results are the output, as a dictionary, in place of the
            network's own; those behind the last of them are neither run nor trained.
        keep_statistics: whether batch normalisations never update their statistics, even where
            their stage trains: so they are what they were, to the bit, at any depth. With False,
            those of stages that train follow the batches. Their scale and offset train in both
            cases. Where one is inside of another layer, such as a nested model or a SavedModel,
            keeping it means that this whole layer runs in inference mode.
        options: of a preset's builder, such as `input_shape=(160, 160, 3)`, or of the layer around
            a SavedModel: those of the native layer that reads its variables (`hidden_layers="mix"`
            of a `BertEncoder`), or of `SavedModelLayer` where none does (`output="default"`).

    Example:

    ```python
    backbone = FrozenBackbone("resnet-v1-50", trainable_from="block4", pooling="avg")
    outputs = keras.layers.Dense(5)(backbone(keras.Input((224, 224, 3))))
    ```

    `features(inputs)` gives the output of every stage by name; `outputs` makes a choice of them the
    output, for feature pyramids. `model` is the network inside: the copy of a model given, or the
    layer given.

    Raises:
        ValueError: a source of another kind, or one without stages; a wrong argument.
    """

    def __init__(
        self,
        source: Any,
        trainable_from: Depth = None,
        pooling: str | None = None,
        keep_statistics: bool = True,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        outputs: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        # The source's layers have dtype policies of their own: images must reach them uncut.
        super().__init__(autocast=False, name=name, trainable=trainable, dtype=dtype)
        known = isinstance(source, WrappedModel | WrappedLayer)
        self.source: Wrapped = source if known else wrapped(source, options)
        self.model = self.source.network
        self.keep_statistics = keep_statistics
        if isinstance(self.model, SavedModelLayer):
            self.model.keep_statistics = keep_statistics
        self.outputs = self._checked_outputs(outputs, pooling)
        self.pooling = self._checked_pooling(pooling)
        self.supports_masking = getattr(self.model, "supports_masking", False)
        self.declare(self.source.stages, trainable_from)
        self.create()
        self.load_report = getattr(self.model, "load_report", None)

    def _checked_outputs(
        self, outputs: Sequence[str] | None, pooling: str | None
    ) -> tuple[str, ...]:
        names = [stage.name for stage in self.source.stages]
        if outputs is None:
            return ()
        if isinstance(self.source, WrappedLayer) or pooling is not None:
            raise ValueError(
                "`outputs` are stages of a model, as they are. Expected a model without `pooling`. "
                f"Received: {self.model.name!r} with pooling={pooling!r}, outputs={outputs!r}"
            )
        unknown = [name for name in outputs if name not in names]
        if isinstance(outputs, str) or unknown or not outputs:
            raise ValueError(
                f"`outputs` must list names of stages: {', '.join(names)}. Received: {outputs!r}"
            )
        return tuple(outputs)

    def _checked_pooling(self, pooling: str | None) -> str | None:
        if pooling is not None and isinstance(self.source, WrappedLayer):
            name = type(self.model).__name__
            raise ValueError(
                f"A pretrained layer pools by itself: FrozenBackbone({name}(..., "
                f"pooling={pooling!r})). Received: pooling={pooling!r}"
            )
        if pooling is not None and pooling not in _POOLING:
            raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: {pooling!r}")
        if pooling is not None:
            shapes = [tuple(tensor.shape) for tensor in self.model.outputs]
            if len(shapes) > 1 or len(shapes[0]) < 3:
                raise ValueError(
                    "`pooling` needs one output of at least three axes. Model "
                    f"{self.model.name!r} has outputs of shape {', '.join(map(str, shapes))}. "
                    "Build an image network with `include_top=False`. "
                    f"Received: pooling={pooling!r}"
                )
        return pooling

    def with_outputs(self, outputs: Sequence[str]) -> FrozenBackbone:
        """A backbone around the same network, with the results of these stages as its output."""
        return FrozenBackbone(
            self.source,
            self.trainable_from,
            keep_statistics=self.keep_statistics,
            name=self.name,
            trainable=self.trainable,
            dtype=self.dtype_policy,
            outputs=outputs,
        )

    # --- running ----------------------------------------------------------------------------

    def build_network(self) -> None:
        """The network came with its variables."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs the backbone; one of texts may be given plain Python strings."""
        if isinstance(self.source, WrappedLayer):
            inputs = with_string_tensors(inputs, self.name)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, features: bool = False) -> Any:
        if isinstance(self.source, WrappedModel):
            return super().call(inputs, training=training, features=features)
        # The layer has a front of its own: it may take texts.
        self.remember_caller()
        return self.model(inputs, training=bool(training), features=features)

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, features: bool = False
    ) -> Any:
        if isinstance(self.source, WrappedModel):
            return super().compute_output_spec(inputs, training=training, features=features)
        self.remember_caller()
        return self.model.compute_output_spec(inputs, training=training, features=features)

    def begin(self, inputs: Any) -> State:
        return self.source.begin(inputs)

    def run_stages(self, state: State, start: int, stop: int, call: StageCall) -> State:
        return super().run_stages(state, start, stop, self._own(call))

    def finish(self, state: State, call: StageCall) -> Any:
        output = self.source.finish(state, self._own(call))
        if self.pooling is None or call.features:
            return output
        return _POOLING[self.pooling](output, axis=tuple(range(1, len(output.shape) - 1)))

    def _own(self, call: StageCall) -> StageCall:
        return replace(call, keep_statistics=self.keep_statistics, results=self.outputs)

    def symbolic_inputs(self) -> Any:
        return self.source.symbolic_inputs()

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if isinstance(self.source, WrappedModel):
            return None
        return self.model.compute_mask(inputs, previous_mask)

    # --- depth ------------------------------------------------------------------------------

    def in_use(self, index: int) -> bool:
        if not self.outputs:
            return self.source.in_use(index)
        return any(stage.name in self.outputs for stage in self.stages[index:])

    def new_layers(self) -> list[keras.layers.Layer]:
        return self.model.new_layers() if isinstance(self.source, WrappedLayer) else []

    def _set_depth(self, value: Depth) -> None:
        super()._set_depth(value)
        if isinstance(self.model, Staged):
            # The same stages, which are frozen by now: the network inside says the same of them.
            self.model._trainable_from = self._trainable_from
            self.model._first_trainable = self._first_trainable

    def open_only(self, stages: range | None) -> None:
        super().open_only(stages)
        if isinstance(self.model, Staged):
            self.model.open_only(stages)

    def split(self) -> tuple[keras.Model, keras.Model]:
        return self.model.split() if isinstance(self.source, WrappedLayer) else super().split()

    # --- weights ----------------------------------------------------------------------------

    def load_weights_from(self, path: str | os.PathLike[str], dialect: str = "auto") -> LoadReport:
        if not hasattr(self.model, "load_weights_from"):
            return super().load_weights_from(path, dialect)
        self.load_report = self.model.load_weights_from(path, dialect)
        return self.load_report

    def save_weights_as(self, path: str | os.PathLike[str], dialect: str | None = None) -> Path:
        """Writes the weights as the network inside does, where they have an original format."""
        if not hasattr(self.model, "save_weights_as"):
            return super().save_weights_as(path, dialect or "hf")
        options = {} if dialect is None else {"dialect": dialect}
        return Path(self.model.save_weights_as(path, **options))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "source": keras.saving.serialize_keras_object(self.model),
            "trainable_from": self.trainable_from,
            "pooling": self.pooling,
            "keep_statistics": self.keep_statistics,
            "outputs": list(self.outputs) or None,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FrozenBackbone:
        return cls(**{**config, "source": deserialized(config["source"])})
