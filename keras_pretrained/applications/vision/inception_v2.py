"""Inception V2 (BN-Inception) as TensorFlow-Slim trained it."""

from __future__ import annotations

from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import Slim
from keras_pretrained.applications.vision.graph import Graph, Style
from keras_pretrained.applications.vision.inception import Branches, mixed, slim_head
from keras_pretrained.applications.vision.plan import Network

# Filters of the 1x1 branch, of the 3x3 branch, of the double 3x3 branch, and behind the pool.
_BLOCKS = {
    "Mixed_3b": (64, (64, 64), (64, 96), 32),
    "Mixed_3c": (64, (64, 96), (64, 96), 64),
    "Mixed_4b": (224, (64, 96), (96, 128), 128),
    "Mixed_4c": (192, (96, 128), (96, 128), 128),
    "Mixed_4d": (160, (128, 160), (128, 160), 96),
    "Mixed_4e": (96, (128, 192), (160, 192), 96),
    "Mixed_5b": (352, (192, 320), (160, 224), 128),
    "Mixed_5c": (352, (192, 320), (192, 224), 128),
}
# Before a group of blocks: filters of the 3x3 branch, and of the double one.
_REDUCTIONS = {
    "Mixed_4b": ("Mixed_4a", (128, 160), (64, 96)),
    "Mixed_5b": ("Mixed_5a", (128, 192), (192, 256)),
}


def body(graph: Graph, x: Any) -> Any:
    """Up to `Mixed_5c`, a 32nd of the size."""
    # Not normalised, unlike in the object detection checkpoints of the same name.
    x = graph.separable(x, "Conv2d_1a_7x7", 64, 7, stride=2, multiplier=8, bias=True)
    x = graph.end("Conv2d_1a_7x7", graph.activation(x, "Conv2d_1a_7x7.relu"))
    x = graph.end("MaxPool_2a_3x3", graph.max_pool(x, "MaxPool_2a_3x3"))
    x = graph.end("Conv2d_2b_1x1", graph.conv(x, "Conv2d_2b_1x1", 64, 1))
    x = graph.end("Conv2d_2c_3x3", graph.conv(x, "Conv2d_2c_3x3", 192, 3))
    x = graph.end("MaxPool_3a_3x3", graph.max_pool(x, "MaxPool_3a_3x3"))
    for name, filters in _BLOCKS.items():
        if name in _REDUCTIONS:
            x = _reduction(graph, x, *_REDUCTIONS[name])
        x = mixed(graph, x, name, _branches(name, *filters))
    return x


def _branches(
    name: str, one: int, three: tuple[int, int], double: tuple[int, int], pool: int
) -> Branches:
    return [
        [("Conv2d_0a_1x1", one, 1)],
        [("Conv2d_0a_1x1", three[0], 1), ("Conv2d_0b_3x3", three[1], 3)],
        [
            ("Conv2d_0a_1x1", double[0], 1),
            ("Conv2d_0b_3x3", double[1], 3),
            ("Conv2d_0c_3x3", double[1], 3),
        ],
        [
            "MaxPool_0a_3x3" if name == "Mixed_5c" else "AvgPool_0a_3x3",
            ("Conv2d_0b_1x1", pool, 1),
        ],
    ]


def _reduction(
    graph: Graph, x: Any, name: str, three: tuple[int, int], double: tuple[int, int]
) -> Any:
    branches: Branches = [
        [("Conv2d_0a_1x1", three[0], 1), ("Conv2d_1a_3x3", three[1], 3, 2, "same")],
        [
            ("Conv2d_0a_1x1", double[0], 1),
            ("Conv2d_0b_3x3", double[1], 3),
            ("Conv2d_1a_3x3", double[1], 3, 2, "same"),
        ],
        [("MaxPool_1a_3x3", 2, "same")],
    ]
    return mixed(graph, x, name, branches)


def head(graph: Graph, x: Any, classes: int) -> Any:
    return slim_head(graph, x, classes, "AvgPool_1a_7x7", "Conv2d_1c_1x1")


InceptionV2 = Application(
    Network(
        "InceptionV2",
        __name__,
        body,
        head,
        {
            "slim": Slim(
                scaling="inception",
                classes=1001,
                style=Style(epsilon=1e-3, gamma=False),
                root="InceptionV2/",
                head=r"InceptionV2/Logits/.*",
            )
        },
    ),
    """Inception V2.

    Reference: [Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift](https://arxiv.org/abs/1502.03167).""",
)
