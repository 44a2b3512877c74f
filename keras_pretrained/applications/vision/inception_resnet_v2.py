"""Inception-ResNet-v2, in the files of TensorFlow-Slim and Keras."""

from __future__ import annotations

import re
from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import KerasH5, Slim
from keras_pretrained.applications.vision.graph import Graph, Style
from keras_pretrained.applications.vision.inception import (
    AUXILIARY,
    Branches,
    branch,
    mixed,
    slim_head,
)
from keras_pretrained.applications.vision.parts import ScaledSum
from keras_pretrained.applications.vision.plan import Network


def _one(filters: int, name: str = "Conv2d_0a_1x1") -> tuple[str, int, int]:
    return (name, filters, 1)


def _half(filters: int) -> tuple[Any, ...]:
    return ("Conv2d_1a_3x3", filters, 3, 2, "valid")


_POOL = ("MaxPool_1a_3x3", 2, "valid")
_MIXED: dict[str, Branches] = {
    "Mixed_5b": [
        [_one(96, "Conv2d_1x1")],
        [_one(48), ("Conv2d_0b_5x5", 64, 5)],
        [_one(64), ("Conv2d_0b_3x3", 96, 3), ("Conv2d_0c_3x3", 96, 3)],
        ["AvgPool_0a_3x3", ("Conv2d_0b_1x1", 64, 1)],
    ],
    "Mixed_6a": [
        [_half(384)],
        [_one(256), ("Conv2d_0b_3x3", 256, 3), _half(384)],
        [_POOL],
    ],
    "Mixed_7a": [
        [_one(256), _half(384)],
        [_one(256), _half(288)],
        [_one(256), ("Conv2d_0b_3x3", 288, 3), _half(320)],
        [_POOL],
    ],
}
_BLOCK_35: Branches = [
    [_one(32, "Conv2d_1x1")],
    [_one(32), ("Conv2d_0b_3x3", 32, 3)],
    [_one(32), ("Conv2d_0b_3x3", 48, 3), ("Conv2d_0c_3x3", 64, 3)],
]
_BLOCK_17: Branches = [
    [_one(192, "Conv2d_1x1")],
    [_one(128), ("Conv2d_0b_1x7", 160, (1, 7)), ("Conv2d_0c_7x1", 192, (7, 1))],
]
_BLOCK_8: Branches = [
    [_one(192, "Conv2d_1x1")],
    [_one(192), ("Conv2d_0b_1x3", 224, (1, 3)), ("Conv2d_0c_3x1", 256, (3, 1))],
]
# Behind each mixed block: scope, branches, how often, channels, scale of what is added.
_REPEATS = {
    "Mixed_5b": ("Repeat.block35", _BLOCK_35, 10, 320, 0.17),
    "Mixed_6a": ("Repeat_1.block17", _BLOCK_17, 20, 1088, 0.10),
    "Mixed_7a": ("Repeat_2.block8", _BLOCK_8, 9, 2080, 0.20),
}


def body(graph: Graph, x: Any) -> Any:
    """Up to `Conv2d_7b_1x1`, about a 32nd of the size."""
    for name, filters, size, stride, padding in (
        ("Conv2d_1a_3x3", 32, 3, 2, "valid"),
        ("Conv2d_2a_3x3", 32, 3, 1, "valid"),
        ("Conv2d_2b_3x3", 64, 3, 1, "same"),
        ("MaxPool_3a_3x3", 0, 3, 2, "valid"),
        ("Conv2d_3b_1x1", 80, 1, 1, "valid"),
        ("Conv2d_4a_3x3", 192, 3, 1, "valid"),
        ("MaxPool_5a_3x3", 0, 3, 2, "valid"),
    ):
        if filters:
            x = graph.conv(x, name, filters, size, stride, padding)
        else:
            x = graph.max_pool(x, name, size, stride, padding)
        graph.end(name, x)
    for name, branches in _MIXED.items():
        x = mixed(graph, x, name, branches)
        scope, inside, times, channels, scale = _REPEATS[name]
        for index in range(1, times + 1):
            x = _residual(graph, x, f"{scope}_{index}", inside, channels, scale)
        # slim's end points of this name lie behind the blocks.
        graph.end({"Mixed_6a": "PreAuxLogits"}.get(name, scope), x)
    x = _residual(graph, x, "Block8", _BLOCK_8, 2080, 1.0, activation=False)
    with graph.stage("Conv2d_7b_1x1"):
        return graph.end("Conv2d_7b_1x1", graph.conv(x, "Conv2d_7b_1x1", 1536, 1))


def _residual(
    graph: Graph,
    x: Any,
    scope: str,
    branches: Branches,
    channels: int,
    scale: float,
    activation: bool = True,
) -> Any:
    with graph.stage(scope.rpartition(".")[2]), graph.scope(scope):
        made = [branch(graph, x, f"Branch_{i}", steps) for i, steps in enumerate(branches)]
        up = graph.concat(made, "concat")
        up = graph.conv(up, "Conv2d_1x1", channels, 1, norm=False, activation=False)
        x = graph.add(ScaledSum, "sum", [x, up], scale=scale)
        return graph.activation(x, "relu") if activation else x


def head(graph: Graph, x: Any, classes: int) -> Any:
    return slim_head(graph, x, classes, "AvgPool_1a_8x8", "Logits")


def _keras_name(name: str) -> str:
    """Keras names what it needs to; all else is counted."""
    if name == "Logits.Logits":
        return "predictions"
    found = re.fullmatch(r"(?:Repeat(?:_\d)?\.)?([bB]lock\d+)(?:_(\d+))?\.Conv2d_1x1", name)
    if found:
        return f"{found[1].lower()}_{found[2] or 10}_conv"
    return {"Conv2d_7b_1x1": "conv_7b", "Conv2d_7b_1x1.BatchNorm": "conv_7b_bn"}.get(name, "")


InceptionResNetV2 = Application(
    Network(
        "InceptionResNetV2",
        __name__,
        body,
        head,
        {
            "slim": Slim(
                scaling="inception",
                classes=1001,
                style=Style(epsilon=1e-3, gamma=False),
                root="InceptionResnetV2/",
                matrices=r"Logits\.Logits",
                head=r"InceptionResnetV2/Logits/.*",
                ignore={r"InceptionResnetV2/AuxLogits/.*": AUXILIARY},
            ),
            "keras": KerasH5(
                scaling="inception",
                classes=1000,
                style=Style(epsilon=1e-3, gamma=False),
                matrices=r"Logits\.Logits",
                names=_keras_name,
                head=r"(model_weights/)?predictions/.*",
            ),
        },
        size=299,
        smallest=75,
    ),
    """Inception-ResNet-v2.

    Reference: [Inception-v4, Inception-ResNet and the Impact of Residual Connections on
    Learning](https://arxiv.org/abs/1602.07261).""",
)
