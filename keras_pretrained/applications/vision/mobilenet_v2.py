"""MobileNet V2, in the files of TensorFlow-Slim and Keras."""

from __future__ import annotations

import re
from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import KerasH5, Slim
from keras_pretrained.applications.vision.graph import Graph, Style
from keras_pretrained.applications.vision.plan import Network

_GROUPS = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""Channels, number of blocks, stride of the first one."""


def body(graph: Graph, x: Any, alpha: float) -> Any:
    """Up to `Conv_1`, a 32nd of the size."""
    width = _divisible(32 * alpha)
    x = graph.end("Conv", graph.conv(x, "Conv", width, 3, stride=2))
    graph.end("layer_1", x)
    index = 0
    for channels, count, first_stride in _GROUPS:
        for place in range(count):
            name = f"expanded_conv_{index}" if index else "expanded_conv"
            made = _divisible(channels * alpha)
            with graph.stage(name), graph.scope(name):
                stride = 1 if place else first_stride
                x = _block(graph, x, f"layer_{index + 2}", width, made, stride, index > 0)
            graph.end(name, x)
            width, index = made, index + 1
    with graph.stage("Conv_1"):
        # Narrower networks keep the width of the last layer.
        x = graph.conv(x, "Conv_1", _divisible(1280 * max(alpha, 1.0)), 1)
    graph.end("layer_19", x)
    return graph.end("Conv_1", x)


def _block(
    graph: Graph, x: Any, end: str, width: int, made: int, stride: int, expands: bool
) -> Any:
    """A block from narrow to wide to narrow; `end`: what slim calls its results."""
    inside = x
    if expands:
        inside = graph.conv(x, "expand", 6 * width, 1)
        graph.end(f"{end}/expansion_output", inside)
    inside = graph.depthwise(inside, "depthwise", 3, stride)
    graph.end(f"{end}/depthwise_output", inside)
    inside = graph.conv(inside, "project", made, 1, activation=False)
    x = graph.sum([x, inside], "sum") if stride == 1 and width == made else inside
    graph.end(f"{end}/output", x)
    return graph.end(end, x)


def _divisible(width: float) -> int:
    """The nearest multiple of 8 that takes away no more than a tenth."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


def head(graph: Graph, x: Any, classes: int, **knobs: Any) -> Any:
    with graph.scope("Logits"):
        x = graph.end("AvgPool", graph.global_pool(x, "AvgPool"))
        x = graph.dropout(x, "Dropout", 0.2)
        x = graph.conv(x, "Conv2d_1c_1x1", classes, 1, norm=False, activation=False)
        return graph.flat(x, "Squeeze")


def _keras_name(name: str) -> str:
    """`expanded_conv_3.depthwise.BatchNorm` -> `block_3_depthwise_BN`."""
    if name.startswith("Logits."):
        return "predictions"
    normed = name.endswith(".BatchNorm")
    found = re.match(r"expanded_conv(?:_(\d+))?\.(expand|depthwise|project)", name)
    if found:
        start = f"block_{found[1]}" if found[1] else "expanded_conv"
        return f"{start}_{found[2]}{'_BN' if normed else ''}"
    if name.startswith("Conv_1"):
        return f"Conv_1{'_bn' if normed else ''}"
    return "bn_Conv1" if normed else "Conv1"


MobileNetV2 = Application(
    Network(
        "MobileNetV2",
        __name__,
        body,
        head,
        {
            "slim": Slim(
                scaling="inception",
                classes=1001,
                style=Style(epsilon=1e-3, activation="relu6"),
                root="MobilenetV2/",
                prefer_average=True,
                head=r"MobilenetV2/Logits/.*",
            ),
            "keras": KerasH5(
                scaling="inception",
                classes=1000,
                style=Style(epsilon=1e-3, activation="relu6"),
                matrices=r"Logits\..*",
                names=_keras_name,
                head=r"(model_weights/)?predictions/.*",
            ),
        },
        options={"alpha": 1.0},
    ),
    """MobileNet V2; `alpha` multiplies the number of channels.

    Reference: [MobileNetV2: Inverted Residuals and Linear
    Bottlenecks](https://arxiv.org/abs/1801.04381).""",
)
