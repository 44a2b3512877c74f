"""Cells as a search found them: five sums of two operations, side by side in the result.

What differs between networks is a `Cell`, data; `Tower` builds them on each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import keras

from keras_pretrained.applications.vision.dialects import Slim
from keras_pretrained.applications.vision.graph import Graph, Padding, Style

STYLE = Style(epsilon=1e-3, norm="_bn")
"""Of slim's and of Keras' networks alike."""

CLASSIFIER = r"final_layer\.FC"
"""The layer whose kernel is stored as a matrix."""

Operation = tuple[str, int]
"""What is done, and the number of the state that it reads. State 0 is the input of the cell and
state 1 that of the cell below, both projected to the cell's width; from 2 on they are the sums."""


@dataclass(frozen=True)
class Cell:
    """The wiring of a cell.

    Attributes:
        sums: the left and the right operation of each; their places are in the checkpoint's names.
        result: the states that stand side by side in the result.
    """

    sums: tuple[tuple[Operation, Operation], ...]
    result: tuple[int, ...]


class Map(NamedTuple):
    """A feature map, and how many times the image was halved on the way to it."""

    x: Any
    halvings: int


class Tower:
    """Cells on each other, each of which reads the results of the two below.

    Args:
        graph: what they are written in.
        x: what the first cell reads; nothing is below it.
        border: of pools with stride 2: `"same"`: the border does not count; `"zeros"`: as zeros.

    Attributes:
        maps: the input, and the result of every cell so far.
    """

    def __init__(self, graph: Graph, x: Any, border: Padding = "same") -> None:
        self.graph = graph
        self.border = border
        self.maps = [Map(x, 0)]

    def add(
        self, name: str, cell: Cell, filters: int, stride: int = 1, below: Map | None = None
    ) -> Any:
        """Puts a cell on top.

        Args:
            name: its scope, and the name of its result.
            filters: the width of its states.
            below: what it reads besides the top; by default the result below that.

        Returns:
            Its result, with `filters` channels for every state in it.
        """
        top = self.maps[-1]
        if below is None and len(self.maps) > 1:
            below = self.maps[-2]
        with self.graph.scope(name):
            x = _Building(self.graph, filters, stride, self.border).build(cell, top, below)
        self.maps.append(Map(x, top.halvings + (stride > 1)))
        return self.graph.end(name, x)


class _Building:
    """One cell that is being built."""

    def __init__(self, graph: Graph, filters: int, stride: int, border: Padding) -> None:
        self.graph = graph
        self.filters = filters
        self.stride = stride
        self.border = border
        self.states: list[Any] = []
        # Several operations begin with the same activation or pool of the same state.
        self.shared: dict[str, Any] = {}

    def build(self, cell: Cell, top: Map, below: Map | None) -> Any:
        self.states = [self._input(top.x), self._from_below(below, top)]
        for place, (left, right) in enumerate(cell.sums):
            with self.graph.scope(f"comb_iter_{place}"):
                operands = [self._apply("left", *left), self._apply("right", *right)]
                made = self.graph.sum(operands, "sum")
            self.states.append(made)
        return self.graph.concat([self.states[state] for state in cell.result], "concat")

    # --- states 0 and 1 ---------------------------------------------------------------------

    def _input(self, x: Any) -> Any:
        x = self.graph.activation(x, "relu")
        return self._project(x, "1x1", "beginning_bn")

    def _from_below(self, below: Map | None, top: Map) -> Any:
        if below is None:
            # The lowest cell reads its input twice, the second time as it is.
            return top.x
        if below.halvings < top.halvings:
            return self._halved(self.graph.activation(below.x, "prev_relu"))
        if below.x.shape[-1] != self.filters:
            x = self.graph.activation(below.x, "prev_relu")
            return self._project(x, "prev_1x1", "prev_bn")
        return below.x

    def _halved(self, x: Any) -> Any:
        """Pixels of even rows and columns in one half of the channels, of odd ones in the other."""
        graph = self.graph
        shifted = graph.crop_start(graph.pad_end(x, "path2_pad"), "path2_crop")
        half = self.filters // 2
        widths = {"path1_conv": half, "path2_conv": self.filters - half}
        x = graph.concat(
            [
                graph.conv(
                    source, name, widths[name], 1, 2, norm=False, activation=False, bias=False
                )
                for name, source in (("path1_conv", x), ("path2_conv", shifted))
            ],
            "paths",
        )
        return graph.norm(x, "final_path_bn")

    # --- operations ---------------------------------------------------------------------------

    def _apply(self, side: str, operation: str, state: int) -> Any:
        # Sums are of the size of the result already.
        stride = self.stride if state < 2 else 1
        with self.graph.scope(side):
            kind, _, size = operation.rpartition("_")
            if kind == "separable":
                return self._separable(state, int(size[0]), stride)
            if operation == "identity":
                return self._identity(state, stride)
            x = self._pool(kind, state, int(size[0]), stride)
            return x if x.shape[-1] == self.filters else self._project(x, "1x1", "bn_1")

    def _separable(self, state: int, size: int, stride: int) -> Any:
        """Twice an activation, a separable convolution and its normalisation."""
        x = self._rectified(state)
        for count in (1, 2):
            x = x if count == 1 else self.graph.activation(x, "relu")
            name = f"{size}x{size}_{count}"
            x = self.graph.separable(
                x,
                f"separable_{name}",
                self.filters,
                size,
                stride if count == 1 else 1,
                norm=f"bn_sep_{name}",
            )
        return x

    def _identity(self, state: int, stride: int) -> Any:
        x = self.states[state]
        if stride == 1 and x.shape[-1] == self.filters:
            return x
        return self._project(self._rectified(state), "1x1", "bn_1", stride)

    def _pool(self, kind: str, state: int, size: int, stride: int) -> Any:
        key = f"{kind}_{size}_{stride}_{state}"
        if key not in self.shared:
            pool = self.graph.max_pool if kind == "max_pool" else self.graph.avg_pool
            padding = self.border if stride > 1 else "same"
            self.shared[key] = pool(self.states[state], kind, size, stride, padding)
        return self.shared[key]

    def _rectified(self, state: int) -> Any:
        key = f"relu_{state}"
        if key not in self.shared:
            self.shared[key] = self.graph.activation(self.states[state], f"relu_of_{state}")
        return self.shared[key]

    def _project(self, x: Any, name: str, norm: str, stride: int = 1) -> Any:
        return self.graph.conv(x, name, self.filters, 1, stride, norm=norm, activation=False)


def stem(graph: Graph, x: Any, channels: int) -> Any:
    """The first convolution, to half of the size."""
    return graph.conv(x, "conv0", channels, 3, 2, "valid", activation=False)


def head(graph: Graph, x: Any, classes: int, dropout: float, **knobs: Any) -> Any:
    """The mean over the image, dropout, and one layer."""
    x = graph.global_pool(x, "final_layer.global_pool", keep=False)
    x = graph.dropout(graph.end("global_pool", x), "final_layer.dropout", dropout)
    x = graph.add(keras.layers.Reshape, "final_layer.pixel", x, target_shape=(1, 1, x.shape[-1]))
    x = graph.conv(x, "final_layer.FC", classes, 1, norm=False, activation=False)
    return graph.flat(x, "final_layer.logits")


def slim_form(**knobs: Any) -> Slim:
    """How TensorFlow-Slim published these networks: with no scope around the names."""
    return Slim(
        scaling="inception",
        classes=1001,
        style=STYLE,
        knobs={**knobs, "dropout": 0.5},
        matrices=CLASSIFIER,
        ignore={r"aux_\d+/.*": "the auxiliary head, which only training used"},
        head=r"final_layer/FC/.*",
    )
