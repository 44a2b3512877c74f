"""How the files of slim, Keras and torchvision name and lay out the layers of a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import keras

from keras_pretrained.applications.vision.graph import DEPTHWISE, POINTWISE, Style
from keras_pretrained.checkpoints import Checkpoint
from keras_pretrained.weights import Rule, WeightMap
from keras_pretrained.weights.transforms import IDENTITY, Chain, Reshape, Transform, Transpose

Layers = Mapping[str, keras.layers.Layer]
Names = Callable[[str], str]
"""Name of our layer -> name in the files."""

_STATISTICS = ("gamma", "beta", "moving_mean", "moving_variance")
_CONV, _NORM = ("kernel", "bias"), _STATISTICS
_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Dialect:
    """One publisher's form of a network: how it computes, and what its files call the layers.

    Attributes:
        scaling: of images; see `ImageScaling`.
        classes: of the published head.
        style: see `Style`.
        knobs: arguments of the network's body and head that say how this publisher's differs.
        matrices: regular expression of the layers whose kernels are stored as matrices.
        ignore: regular expressions of names that are not loaded; each with the reason.
        head: regular expression of the head's names.
    """

    scaling: str
    classes: int
    style: Style
    knobs: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    matrices: str = ""
    ignore: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    head: str = ""

    name = ""
    # What the files are written in; None: they are only read.
    container: ClassVar[str | None] = None

    def speaks(self, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint has names of this form."""
        raise NotImplementedError

    def rules(self, layer: Any, layers: Layers, checkpoint: Checkpoint | None) -> Iterator[Rule]:
        """The rules of one layer.

        Args:
            layers: those made so far, this one included, in order.
            checkpoint: what is read; None for writing.
        """
        raise NotImplementedError

    def reason_to_ignore(self, name: str, checkpoint: Checkpoint) -> str | None:
        """Why a name is not loaded, or None if it must be."""
        for pattern, reason in self.ignore.items():
            if re.fullmatch(pattern, name):
                return reason
        return None

    def with_options(self, options: Mapping[str, Any]) -> Dialect:
        """The form of a network that was made with these options."""
        return self

    def in_head(self, name: str, checkpoint: Checkpoint) -> bool:
        """Whether a name is the head's."""
        return re.fullmatch(self.head, name) is not None

    def stored_classes(self, checkpoint: Checkpoint) -> int | None:
        """How many classes the stored head has; None if there is no head."""
        biases = [
            array.shape[-1]
            for name, array in checkpoint.items()
            if len(array.shape) == 1 and self.in_head(name, checkpoint)
        ]
        return biases[-1] if biases else None

    def writing(self, layers: Layers) -> WeightMap:
        """All rules of a network, for writing a checkpoint."""
        rules = tuple(r for layer in layers.values() for r in self.rules(layer, layers, None))
        return WeightMap(self.name, rules)

    def is_matrix(self, layer: Any) -> bool:
        return re.fullmatch(self.matrices, layer.name) is not None


def held(layer: Any) -> tuple[str, ...]:
    """The names of a layer's variables, whether or not it is built."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return _NORM if layer.scale else _NORM[1:]
    if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
        return _CONV if layer.use_bias else _CONV[:1]
    return ()


@dataclass(frozen=True)
class Slim(Dialect):
    """TensorFlow-Slim: slashes, one scope around all, several values of one variable.

    Attributes:
        root: the scope, with its slash; empty where there is none.
        prefer_average: load the moving averages that the file keeps beside the last values.
    """

    root: str = ""
    prefer_average: bool = False

    name = "slim"
    container = "tf-bundle"

    _AVERAGE = "/ExponentialMovingAverage"
    _LEAVES = MappingProxyType({"kernel": "weights", "bias": "biases"})

    def speaks(self, checkpoint: Checkpoint) -> bool:
        first = self.root or "conv0/"
        return any(name.startswith(first) for name in checkpoint)

    def rules(self, layer: Any, layers: Layers, checkpoint: Checkpoint | None) -> Iterator[Rule]:
        stem, _, half = layer.name.rpartition(".")
        if half not in (DEPTHWISE, POINTWISE):
            stem = layer.name
        stem = self.root + stem.replace(".", "/")
        for variable in held(layer):
            leaf = self._LEAVES.get(variable, variable)
            if variable == "kernel":
                if isinstance(layer, keras.layers.DepthwiseConv2D):
                    leaf = "depthwise_weights"
                elif half == POINTWISE:
                    leaf = "pointwise_weights"
            source = f"{stem}/{leaf}"
            if self.prefer_average and checkpoint and f"{source}{self._AVERAGE}" in checkpoint:
                source += self._AVERAGE
            yield Rule(f"{layer.name}/{variable}", source, self._transform(layer, variable))

    def _transform(self, layer: Any, variable: str) -> Transform:
        if variable == "kernel" and self.is_matrix(layer):
            return Reshape((-1, layer.filters), (*layer.kernel_size, -1, layer.filters))
        return IDENTITY

    def reason_to_ignore(self, name: str, checkpoint: Checkpoint) -> str | None:
        if re.fullmatch(r"global_step|.*/(RMSProp|Momentum|Adam)(_\d+)?", name):
            return "the state of a training run"
        if name.endswith(self._AVERAGE):
            return "a moving average; the last value is loaded"
        if self.prefer_average and f"{name}{self._AVERAGE}" in checkpoint:
            return "the last value; its moving average is loaded"
        if name == f"{self.root}mean_rgb":
            return "the mean of images, which the scaling has"
        return super().reason_to_ignore(name, checkpoint)


@dataclass(frozen=True)
class KerasH5(Dialect):
    """Keras' `.h5`: weights in order, layers by name or by the order of their making.

    Attributes:
        names: name of our layer -> the layer in the file; `""`: Keras named it by counting, and
            it is the next of its kind.
    """

    names: Names = lambda name: ""

    name = "keras"

    _COUNTED = re.compile(r"(conv2d|batch_normalization)(?:_(\d+))?")
    # Most published files were made by keras_applications, until 2019, which named some layers
    # otherwise than Keras has done since.
    _OLDER = MappingProxyType(
        {
            "fc1000": "predictions",
            "probs": "predictions",
            "Logits": "predictions",
            "conv1/conv": "conv1_conv",
            "conv1/bn": "conv1_bn",
        }
    )

    def speaks(self, checkpoint: Checkpoint) -> bool:
        return "keras_layers" in checkpoint.metadata

    def in_head(self, name: str, checkpoint: Checkpoint) -> bool:
        return any(
            name in paths and super(KerasH5, self).in_head(f"{layer}/{name}", checkpoint)
            for layer, paths in self._stored(checkpoint).items()
        )

    def _stored(self, checkpoint: Checkpoint) -> dict[str, list[str]]:
        """The layers in the file under their names of today, each with its weights."""
        layers = checkpoint.metadata["keras_layers"]
        return {self._OLDER.get(name, name): paths for name, paths in layers}

    def rules(self, layer: Any, layers: Layers, checkpoint: Checkpoint | None) -> Iterator[Rule]:
        if checkpoint is None or not held(layer):
            return
        paths = self._paths(layer, layers, checkpoint)
        for variable, path in zip(held(layer), paths, strict=False):
            yield Rule(f"{layer.name}/{variable}", path, self._transform(layer, variable))

    def _paths(self, layer: Any, layers: Layers, checkpoint: Checkpoint) -> list[str]:
        stored = self._stored(checkpoint)
        wanted = self.names(layer.name)
        if not wanted:
            counted = self._counted(stored, _kind(layer))
            before = [each for each in layers.values() if self._is_counted(each, _kind(layer))]
            place = len(before) - 1
            wanted = counted[place] if before[-1] is layer and place < len(counted) else ""
        paths: list[str] = stored.get(wanted, [])
        return paths[1:] if layer.name.endswith(f".{POINTWISE}") else paths

    def _counted(self, stored: Mapping[str, list[str]], kind: str) -> list[str]:
        """The counted layers of a kind in the order of their making."""
        numbers = {
            int(found[2] or 0): name
            for name, paths in stored.items()
            if paths and (found := self._COUNTED.fullmatch(name)) and found[1] == kind
        }
        return [numbers[number] for number in sorted(numbers)]

    def _is_counted(self, layer: Any, kind: str) -> bool:
        return bool(held(layer)) and not self.names(layer.name) and _kind(layer) == kind

    def _transform(self, layer: Any, variable: str) -> Transform:
        if variable == "kernel" and self.is_matrix(layer):
            return Reshape((-1, layer.filters), (*layer.kernel_size, -1, layer.filters))
        return IDENTITY


def _kind(layer: Any) -> str:
    is_norm = isinstance(layer, keras.layers.BatchNormalization)
    return "batch_normalization" if is_norm else "conv2d"


@dataclass(frozen=True)
class Torchvision(Dialect):
    """torchvision's state dictionaries.

    Attributes:
        names: name of our layer -> the module.
        older: the same for older files that have other names.
    """

    names: Names = lambda name: name
    older: Names | None = None

    name = "torchvision"
    container = "safetensors"

    _LEAVES = MappingProxyType(
        {
            "kernel": "weight",
            "gamma": "weight",
            "bias": "bias",
            "beta": "bias",
            "moving_mean": "running_mean",
            "moving_variance": "running_var",
        }
    )

    def speaks(self, checkpoint: Checkpoint) -> bool:
        return any(name.endswith(".weight") for name in checkpoint)

    def rules(self, layer: Any, layers: Layers, checkpoint: Checkpoint | None) -> Iterator[Rule]:
        modules = [spelled(layer.name) for spelled in (self.names, self.older) if spelled]
        for variable in held(layer):
            transform = self._transform(layer, variable)
            for module in dict.fromkeys(modules):
                source = f"{module}.{self._LEAVES[variable]}"
                yield Rule(f"{layer.name}/{variable}", source, transform)

    def _transform(self, layer: Any, variable: str) -> Transform:
        if variable != "kernel":
            return IDENTITY
        turned = Transpose((2, 3, 1, 0))
        if self.is_matrix(layer):
            # A flattened image has its channels first there.
            stored = (layer.filters, -1, *layer.kernel_size)
            return Chain(Reshape((layer.filters, -1), stored), turned)
        return turned

    def reason_to_ignore(self, name: str, checkpoint: Checkpoint) -> str | None:
        if name.endswith(".num_batches_tracked"):
            return "a counter of training steps"
        return super().reason_to_ignore(name, checkpoint)
