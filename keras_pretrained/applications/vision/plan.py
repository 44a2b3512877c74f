"""`Network`: one architecture as data. `Plan`: all that decides the graph of one model."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from keras_pretrained.applications.vision.dialects import Dialect
from keras_pretrained.layers.depth import Depth

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Network:
    """An architecture.

    Attributes:
        name: of its builder, e.g. `"ResNetV1_50"`.
        module: where the builder is.
        body: (graph, images, **knobs, **options) -> the last feature map.
        head: (graph, features, classes, **knobs, **options) -> logits, (batch, classes).
        dialects: name -> the publishers' forms; the first one is the default.
        size: height and width of the images that it was made for.
        smallest: height and width below which it cannot be built.
        any_size: whether every size from the smallest on will do where the head is included.
        options: name -> default, of what users may choose, such as a width multiplier.
    """

    name: str
    module: str
    body: Callable[..., Any]
    head: Callable[..., Any]
    dialects: Mapping[str, Dialect]
    size: int = 224
    smallest: int = 32
    any_size: bool = True
    options: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)

    @property
    def path(self) -> str:
        """The dotted path of the builder, as presets have it."""
        return f"{self.module}:{self.name}"


@dataclass(frozen=True)
class Plan:
    """What a model is made of: everything but its weights."""

    network: Network
    form: str
    options: Mapping[str, Any]
    include_top: bool
    classes: int
    input_shape: tuple[int | None, int | None, int]
    pooling: str | None
    scaling: str | None
    classifier_activation: str | None
    keep_statistics: bool
    norm_momentum: float
    trainable_from: Depth
    preset: str | None = None
    folded: bool = False

    @property
    def dialect(self) -> Dialect:
        return self.network.dialects[self.form].with_options(self.options)

    def config(self) -> dict[str, Any]:
        """Plain data, from which `plan_of` makes an equal plan."""
        return {
            "network": self.network.name,
            "form": self.form,
            "options": dict(self.options),
            "include_top": self.include_top,
            "classes": self.classes,
            "input_shape": list(self.input_shape),
            "pooling": self.pooling,
            "scaling": self.scaling,
            "classifier_activation": self.classifier_activation,
            "keep_statistics": self.keep_statistics,
            "norm_momentum": self.norm_momentum,
            "preset": self.preset,
            "folded": self.folded,
        }


def plan_of(config: Mapping[str, Any]) -> Plan:
    """The plan of a configuration.

    Raises:
        ValueError: an unknown network.
    """
    from keras_pretrained.applications import MODULES

    name = config["network"]
    if name not in MODULES:
        raise ValueError(f"Unknown network {name!r}. Expected one of: {', '.join(MODULES)}")
    # The name is looked up in a table: a configuration cannot have any module imported.
    builder = getattr(importlib.import_module(MODULES[name]), name)
    shape = tuple(config["input_shape"])
    return Plan(**{**config, "network": builder.network, "input_shape": shape})
