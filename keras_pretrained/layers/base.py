"""What every pretrained layer shares: stages, depth, splitting, loading and writing weights."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_pretrained.checkpoints import Checkpoint, open_checkpoint
from keras_pretrained.checkpoints.writing import write_checkpoint
from keras_pretrained.layers.call_stack import kept_training_flag
from keras_pretrained.layers.depth import StageCall, State, without_gradient
from keras_pretrained.layers.staged import Staged
from keras_pretrained.weights import (
    LoadReport,
    WeightMap,
    WeightReader,
    WeightsError,
    filling,
    load_weights,
    save_weights,
    select_map,
)


class PretrainedLayer(Staged, keras.layers.Layer):
    """A network of named stages that can be frozen, split and written back at any depth.

    A subclass creates its sublayers in `__init__`, calls `declare(stages, trainable_from)`
    and then `create(...)`; it implements `build_network`, `begin`, `finish` and
    `symbolic_inputs`.

    Attributes:
        stages, trainable_from: see `Staged`.
        load_report: what loading did with every tensor, or None for random weights.
    """

    weight_maps: Sequence[WeightMap] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.load_report: LoadReport | None = None
        self._reader: WeightReader | None = None

    # --- for subclasses ---------------------------------------------------------------------

    def create(
        self,
        dims: Mapping[str, int] | None = None,
        checkpoint: Checkpoint | None = None,
        weight_map: WeightMap | None = None,
    ) -> None:
        """Builds the variables: from a checkpoint, or with random values.

        Args:
            dims: sizes of the architecture that weight maps refer to by name.
            checkpoint: what to load, read through `weight_map`.
        """
        self._dims = dict(dims or {})
        if checkpoint is not None and weight_map is not None:
            self._reader = WeightReader(checkpoint, weight_map, self._dims)
        self.build()
        self._reader = None

    def build_network(self) -> None:
        """Creates the variables that a checkpoint holds."""
        raise NotImplementedError

    def build_new(self) -> None:
        """Creates the variables that are new: they always train and have no depth."""

    def new_layers(self) -> list[keras.layers.Layer]:
        """The sublayers whose variables are new."""
        return []

    def begin(self, inputs: Any) -> State:
        """The layer's inputs as the state that the first stage takes."""
        raise NotImplementedError

    def finish(self, state: State, call: StageCall) -> Any:
        """The state after the last stage as the layer's output."""
        raise NotImplementedError

    def symbolic_inputs(self) -> Any:
        """Keras inputs of the shape that the layer takes."""
        raise NotImplementedError

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask that the output carries; none unless a subclass has one."""
        return None

    # --- building and running ---------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        reader = self._reader
        with filling(reader, self.path) if reader else nullcontext():
            self.build_network()
        if reader:
            self.load_report = reader.finish()
        self.build_new()
        self._set_depth(self._trainable_from)

    def call(self, inputs: Any, training: bool | None = None, features: bool = False) -> Any:
        call = StageCall(training=bool(training), features=features)
        self.remember_caller()
        with kept_training_flag():
            state = self.run_stages(self.begin(inputs), 0, len(self.stages), call)
            return self.finish(state, call)

    def run_stages(self, state: State, start: int, stop: int, call: StageCall) -> State:
        """Runs the stages `start` to `stop - 1`; frozen and closed ones in inference mode."""
        for index in range(start, stop):
            stage = self.stages[index]
            if call.training and index == self.lowest_open > 0:
                state = without_gradient(state)
            if not (call.features or self.in_use(index)):
                continue
            training = call.training and self.trains(index)
            state = stage.run(state, replace(call, training=training))
        if call.training and stop == len(self.stages) == self.lowest_open:
            state = without_gradient(state)
        return state

    def features(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        """All intermediate results by name, for arrays or for KerasTensors.

        On KerasTensors this adds this layer itself to the graph, so the model keeps its
        configuration and its depth.
        """
        return self(inputs, training=training, features=True)

    @property
    def output(self) -> Any:
        # Keras checks that a graph is connected by counting `layer.output`, which is of the first
        # call; a call for features has more outputs than a plain one of the same layer.
        calls = {len(node.outputs): node.outputs for node in self._inbound_nodes}
        return calls[max(calls)] if len(calls) > 1 else super().output

    def split(self) -> tuple[keras.Model, keras.Model]:
        """The frozen prefix and the trainable suffix as two Keras models that share weights.

        `suffix(prefix(inputs))` equals the layer. The boundary is a dictionary of tensors.
        """
        from keras_pretrained.layers.split import split_layer

        return split_layer(self, self._first_trainable)

    # --- weights ----------------------------------------------------------------------------

    def network_variables(self) -> dict[str, Any]:
        """Path below the layer -> variable, for all that a checkpoint holds."""
        root = f"{self.path}/"
        layers = {id(layer): layer for stage in self.stages for layer in stage.layers}
        found: dict[str, Any] = {}
        for layer in layers.values():
            for variable in layer.weights:
                found[variable.path.removeprefix(root)] = variable
        return found

    def load_weights_from(self, path: str | os.PathLike[str], dialect: str = "auto") -> LoadReport:
        """Replaces all pretrained weights by those of another checkpoint, or changes nothing.

        Args:
            path: a checkpoint file or folder in any dialect of this layer.
            dialect: the naming scheme, when it cannot be told from the names.
        """
        checkpoint = open_checkpoint(path)
        weight_map = select_map(checkpoint, self.weight_maps, self._dims, dialect)
        report = load_weights(self.network_variables(), checkpoint, weight_map, self._dims)
        self.load_report = report
        return report

    def save_weights_as(self, path: str | os.PathLike[str], dialect: str = "hf") -> Path:
        """Writes the weights in an original format: names, shapes and bits.

        Args:
            path: with a suffix, the file to write: `x.safetensors` for the dialect `"hf"`, or
                the prefix `x.ckpt` of a TensorFlow checkpoint for the others. Without one, a
                folder as its authors would publish it, with configuration and vocabulary, which
                this layer's class takes as a source.
            dialect: one of the layer's dialects.

        Returns:
            The path, as `open_checkpoint` takes it.
        """
        maps = {weight_map.dialect: weight_map for weight_map in self.weight_maps}
        if dialect not in maps:
            raise WeightsError(
                f"Layer {self.name!r} cannot be written in dialect {dialect!r}. "
                f"Expected one of: {', '.join(maps) or 'none'}."
            )
        values = {
            name: keras.ops.convert_to_numpy(variable)
            for name, variable in self.network_variables().items()
        }
        loaded = self.load_report
        names = loaded.loaded if loaded and loaded.dialect == dialect else None
        tensors = save_weights(values, maps[dialect], self._dims, names)
        content = self.stored_content(tensors, dialect)
        container, path = maps[dialect].container, Path(path)
        if path.suffix:
            return write_checkpoint(path, content, container)
        path.mkdir(parents=True, exist_ok=True)
        for name, text in self.published_files(dialect).items():
            (path / name).write_bytes(text)
        write_checkpoint(path / self.published_name(maps[dialect]), content, container)
        return path

    def published_name(self, weight_map: WeightMap) -> str:
        """What the checkpoint, or its prefix, is called in a published folder."""
        return weight_map.file_name

    def stored_content(self, tensors: Mapping[str, Any], dialect: str) -> Mapping[str, Any]:
        """What the checkpoint of a dialect holds: the tensors, unless its authors nest them."""
        return tensors

    def published_files(self, dialect: str) -> dict[str, bytes]:
        """What stands beside the weights in a published folder: name -> content."""
        return {}
