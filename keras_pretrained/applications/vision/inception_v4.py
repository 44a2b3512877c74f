"""Inception V4 as TensorFlow-Slim trained it."""

from __future__ import annotations

from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import Slim
from keras_pretrained.applications.vision.graph import Graph, Style
from keras_pretrained.applications.vision.inception import AUXILIARY, Branches, mixed, slim_head
from keras_pretrained.applications.vision.plan import Network


def _one(filters: int) -> tuple[str, int, int]:
    return ("Conv2d_0a_1x1", filters, 1)


def _half(name: str, filters: int) -> tuple[Any, ...]:
    return (name, filters, 3, 2, "valid")


_A: Branches = [
    [_one(96)],
    [_one(64), ("Conv2d_0b_3x3", 96, 3)],
    [_one(64), ("Conv2d_0b_3x3", 96, 3), ("Conv2d_0c_3x3", 96, 3)],
    ["AvgPool_0a_3x3", ("Conv2d_0b_1x1", 96, 1)],
]
_B: Branches = [
    [_one(384)],
    [_one(192), ("Conv2d_0b_1x7", 224, (1, 7)), ("Conv2d_0c_7x1", 256, (7, 1))],
    [
        _one(192),
        ("Conv2d_0b_7x1", 192, (7, 1)),
        ("Conv2d_0c_1x7", 224, (1, 7)),
        ("Conv2d_0d_7x1", 224, (7, 1)),
        ("Conv2d_0e_1x7", 256, (1, 7)),
    ],
    ["AvgPool_0a_3x3", ("Conv2d_0b_1x1", 128, 1)],
]
_C: Branches = [
    [_one(256)],
    [_one(384), [("Conv2d_0b_1x3", 256, (1, 3)), ("Conv2d_0c_3x1", 256, (3, 1))]],
    [
        _one(384),
        ("Conv2d_0b_3x1", 448, (3, 1)),
        ("Conv2d_0c_1x3", 512, (1, 3)),
        [("Conv2d_0d_1x3", 256, (1, 3)), ("Conv2d_0e_3x1", 256, (3, 1))],
    ],
    ["AvgPool_0a_3x3", ("Conv2d_0b_1x1", 256, 1)],
]
_BLOCKS: dict[str, Branches] = {
    "Mixed_3a": [[("MaxPool_0a_3x3", 2, "valid")], [_half("Conv2d_0a_3x3", 96)]],
    "Mixed_4a": [
        [_one(64), ("Conv2d_1a_3x3", 96, 3, 1, "valid")],
        [
            _one(64),
            ("Conv2d_0b_1x7", 64, (1, 7)),
            ("Conv2d_0c_7x1", 64, (7, 1)),
            ("Conv2d_1a_3x3", 96, 3, 1, "valid"),
        ],
    ],
    "Mixed_5a": [[_half("Conv2d_1a_3x3", 192)], [("MaxPool_1a_3x3", 2, "valid")]],
    **{f"Mixed_5{letter}": _A for letter in "bcde"},
    "Mixed_6a": [
        [_half("Conv2d_1a_3x3", 384)],
        [_one(192), ("Conv2d_0b_3x3", 224, 3), _half("Conv2d_1a_3x3", 256)],
        [("MaxPool_1a_3x3", 2, "valid")],
    ],
    **{f"Mixed_6{letter}": _B for letter in "bcdefgh"},
    "Mixed_7a": [
        [_one(192), _half("Conv2d_1a_3x3", 192)],
        [
            _one(256),
            ("Conv2d_0b_1x7", 256, (1, 7)),
            ("Conv2d_0c_7x1", 320, (7, 1)),
            _half("Conv2d_1a_3x3", 320),
        ],
        [("MaxPool_1a_3x3", 2, "valid")],
    ],
    **{f"Mixed_7{letter}": _C for letter in "bcd"},
}


def body(graph: Graph, x: Any) -> Any:
    """Up to `Mixed_7d`, about a 32nd of the size."""
    x = graph.end("Conv2d_1a_3x3", graph.conv(x, "Conv2d_1a_3x3", 32, 3, 2, "valid"))
    x = graph.end("Conv2d_2a_3x3", graph.conv(x, "Conv2d_2a_3x3", 32, 3, 1, "valid"))
    x = graph.end("Conv2d_2b_3x3", graph.conv(x, "Conv2d_2b_3x3", 64, 3))
    for name, branches in _BLOCKS.items():
        x = mixed(graph, x, name, branches)
    return x


def head(graph: Graph, x: Any, classes: int) -> Any:
    return slim_head(graph, x, classes, "AvgPool_1a", "Logits")


InceptionV4 = Application(
    Network(
        "InceptionV4",
        __name__,
        body,
        head,
        {
            "slim": Slim(
                scaling="inception",
                classes=1001,
                style=Style(epsilon=1e-3, gamma=False),
                root="InceptionV4/",
                matrices=r"Logits\.Logits",
                head=r"InceptionV4/Logits/.*",
                ignore={r"InceptionV4/AuxLogits/.*": AUXILIARY},
            )
        },
        size=299,
        smallest=75,
    ),
    """Inception V4.

    Reference: [Inception-v4, Inception-ResNet and the Impact of Residual Connections on
    Learning](https://arxiv.org/abs/1602.07261).""",
)
