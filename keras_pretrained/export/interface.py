"""A model's inputs and outputs under the names that an artefact gives them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_pretrained.export.report import ExportError

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Port:
    """One input or output as Keras sees it; None is a free axis."""

    name: str
    shape: Shape
    dtype: str


class Interface:
    """The named inputs and outputs of a functional or sequential model.

    Names are those of the Keras inputs and of the layers that make the outputs, or the keys
    where a model takes or returns a dictionary. Characters that TensorFlow does not take in a
    name become `_`.

    Args:
        model: the model.
        outputs: the outputs in place of the model's own names for them.
    """

    def __init__(self, model: Any, outputs: Sequence[Port] | None = None) -> None:
        _check_model(model)
        self.model = model
        sequential = isinstance(model, keras.Sequential)
        self._inputs = model.inputs[0] if sequential else model.input
        made = model.outputs[0] if sequential else model.output
        self.inputs = _ports(self._inputs)
        self.outputs = outputs or _ports(made, taken=[port.name for port in self.inputs])

    def call(
        self, inputs: Mapping[str, Any], weights: Sequence[Any] | None = None
    ) -> dict[str, Any]:
        """The outputs by name, in inference mode, for inputs by name.

        Args:
            weights: values in place of the model's own, in the order of `variables()`.
        """
        structured = self.structured(inputs)
        if weights is None:
            result = self.model(structured, training=False)
        else:
            count = len(self.model.trainable_variables)
            trainable, fixed = list(weights[:count]), list(weights[count:])
            result, _ = self.model.stateless_call(trainable, fixed, structured, training=False)
        names = [port.name for port in self.outputs]
        return dict(zip(names, keras.tree.flatten(result), strict=True))

    def variables(self) -> list[Any]:
        """The model's Keras variables, trainable ones first."""
        return [*self.model.trainable_variables, *self.model.non_trainable_variables]

    def structured(self, inputs: Mapping[str, Any]) -> Any:
        """Inputs by name in the structure that the model takes."""
        return keras.tree.pack_sequence_as(
            self._inputs, [inputs[port.name] for port in self.inputs]
        )

    def named_inputs(self, given: Any) -> dict[str, Any]:
        """Inputs in the model's own structure, or by name, as inputs by name."""
        names = [port.name for port in self.inputs]
        if isinstance(given, Mapping) and set(given) == set(names):
            return {name: given[name] for name in names}
        try:
            keras.tree.assert_same_structure(self._inputs, given)
        except (ValueError, TypeError):
            received = (
                ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
            )
            raise ExportError(
                f"`inputs` must be one batch of what model {self.model.name!r} takes: "
                f"{', '.join(names)}. Received: {received}"
            ) from None
        return dict(zip(names, keras.tree.flatten(given), strict=True))

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs by name as NumPy arrays."""
        convert = keras.ops.convert_to_numpy
        return {name: np.asarray(convert(value)) for name, value in self.call(inputs).items()}

    @property
    def strings(self) -> list[str]:
        """Names of the inputs that are strings."""
        return [port.name for port in self.inputs if port.dtype == "string"]

    def layers(self) -> list[Any]:
        """All layers that compute something, at any depth."""
        return [
            layer
            for layer in self.model._flatten_layers()
            if not isinstance(layer, keras.Model | keras.layers.InputLayer)
        ]


def _check_model(model: Any) -> None:
    if not isinstance(model, keras.Model) or getattr(model, "inputs", None) is None:
        raise ExportError(
            "`model` must be a functional keras.Model, or a sequential one that has been built. "
            f"Received: {model!r} of type {type(model).__name__}. A layer becomes a model with "
            "`inputs = layer.symbolic_inputs(); keras.Model(inputs, layer(inputs))`."
        )
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise ExportError(
            f"Export works on the Keras backends tensorflow and jax. Received: {backend}. Save the "
            "model as `.keras` and load it with KERAS_BACKEND=tensorflow."
        )


def _ports(structure: Any, taken: Sequence[str] = ()) -> tuple[Port, ...]:
    found = []
    used = set(taken)
    for path, tensor in keras.tree.flatten_with_path(structure):
        if path and isinstance(path[0], str):
            name = "_".join(map(str, path))
        else:
            name = tensor._keras_history.operation.name
        name = re.sub(r"\W", "_", name, flags=re.ASCII)
        name = f"_{name}" if name[0].isdigit() else name
        name = next(free for free in _variants(name) if free not in used)
        used.add(name)
        found.append(Port(name, tuple(tensor.shape), keras.backend.standardize_dtype(tensor.dtype)))
    return tuple(found)


def _variants(name: str) -> Iterator[str]:
    yield name
    for number in itertools.count(1):
        yield f"{name}_{number}"
