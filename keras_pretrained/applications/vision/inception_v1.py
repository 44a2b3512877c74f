"""Inception V1 (GoogLeNet) as TensorFlow-Slim trained it: batch normalisation, 3x3 for 5x5."""

from __future__ import annotations

from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import Slim
from keras_pretrained.applications.vision.graph import Graph, Style
from keras_pretrained.applications.vision.inception import Branches, mixed, slim_head
from keras_pretrained.applications.vision.plan import Network

_SLIM = Slim(
    scaling="inception",
    classes=1001,
    style=Style(epsilon=1e-3, gamma=False),
    root="InceptionV1/",
    head=r"InceptionV1/Logits/.*",
)

# Filters of the 1x1 branch, of the two 3x3 branches with what goes before, and behind the pool.
_BLOCKS = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def body(graph: Graph, x: Any) -> Any:
    """Up to `Mixed_5c`, a 32nd of the size."""
    x = graph.end("Conv2d_1a_7x7", graph.conv(x, "Conv2d_1a_7x7", 64, 7, stride=2))
    x = graph.end("MaxPool_2a_3x3", graph.max_pool(x, "MaxPool_2a_3x3"))
    x = graph.end("Conv2d_2b_1x1", graph.conv(x, "Conv2d_2b_1x1", 64, 1))
    x = graph.end("Conv2d_2c_3x3", graph.conv(x, "Conv2d_2c_3x3", 192, 3))
    x = graph.end("MaxPool_3a_3x3", graph.max_pool(x, "MaxPool_3a_3x3"))
    for name, filters in _BLOCKS.items():
        if name == "Mixed_4b":
            x = graph.end("MaxPool_4a_3x3", graph.max_pool(x, "MaxPool_4a_3x3"))
        if name == "Mixed_5b":
            x = graph.end("MaxPool_5a_2x2", graph.max_pool(x, "MaxPool_5a_2x2", size=2))
        x = mixed(graph, x, name, _branches(name, *filters))
    return x


def _branches(
    name: str, one: int, reduce_3: int, three: int, reduce_5: int, five: int, pool: int
) -> Branches:
    # The published file has this slip of the pen.
    last = "Conv2d_0a_3x3" if name == "Mixed_5b" else "Conv2d_0b_3x3"
    return [
        [("Conv2d_0a_1x1", one, 1)],
        [("Conv2d_0a_1x1", reduce_3, 1), ("Conv2d_0b_3x3", three, 3)],
        [("Conv2d_0a_1x1", reduce_5, 1), (last, five, 3)],
        ["MaxPool_0a_3x3", ("Conv2d_0b_1x1", pool, 1)],
    ]


def head(graph: Graph, x: Any, classes: int) -> Any:
    return slim_head(graph, x, classes, "AvgPool_0a_7x7", "Conv2d_0c_1x1")


InceptionV1 = Application(
    Network("InceptionV1", __name__, body, head, {"slim": _SLIM}),
    """Inception V1.

    Reference: [Going Deeper with Convolutions](https://arxiv.org/abs/1409.4842).""",
)
