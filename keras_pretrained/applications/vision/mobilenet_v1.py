"""MobileNet V1, in the files of TensorFlow-Slim and Keras.

Keras pads the strided depthwise convolutions by hand, which is the same for even sizes.
"""

from __future__ import annotations

import re
from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import KerasH5, Slim
from keras_pretrained.applications.vision.graph import Graph, Style
from keras_pretrained.applications.vision.plan import Network

_WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
_STRIDED = (2, 4, 6, 12)


def body(graph: Graph, x: Any, alpha: float, strided: str) -> Any:
    """Up to `Conv2d_13_pointwise`, a 32nd of the size."""
    x = graph.end("Conv2d_0", graph.conv(x, "Conv2d_0", _width(32, alpha), 3, stride=2))
    for index, width in enumerate(_WIDTHS, 1):
        name = f"Conv2d_{index}"
        stride = 2 if index in _STRIDED else 1
        with graph.stage(name):
            if stride == 2 and strided == "end":
                x = graph.pad_end(x, f"{name}_pad")
                x = graph.depthwise(x, f"{name}_depthwise", 3, stride, "valid")
            else:
                x = graph.depthwise(x, f"{name}_depthwise", 3, stride)
            graph.end(f"{name}_depthwise", x)
            x = graph.conv(x, f"{name}_pointwise", _width(width, alpha), 1)
        graph.end(f"{name}_pointwise", x)
        graph.end(name, x)
    return x


def _width(filters: int, alpha: float) -> int:
    return max(int(filters * alpha), 8)


def head(graph: Graph, x: Any, classes: int, **knobs: Any) -> Any:
    with graph.scope("Logits"):
        x = graph.end("AvgPool_1a", graph.global_pool(x, "AvgPool_1a"))
        x = graph.dropout(x, "Dropout_1b", 0.001)
        x = graph.conv(x, "Conv2d_1c_1x1", classes, 1, norm=False, activation=False)
        return graph.flat(x, "SpatialSqueeze")


def _keras_name(name: str) -> str:
    """`Conv2d_3_depthwise.BatchNorm` -> `conv_dw_3_bn`."""
    if name.startswith("Logits."):
        return "conv_preds"
    kind = "_bn" if name.endswith(".BatchNorm") else ""
    found = re.match(r"Conv2d_(\d+)_(depth|point)wise", name)
    if found:
        return f"conv_{'dw' if found[2] == 'depth' else 'pw'}_{found[1]}{kind}"
    return f"conv1{kind}"


MobileNetV1 = Application(
    Network(
        "MobileNetV1",
        __name__,
        body,
        head,
        {
            "slim": Slim(
                scaling="inception",
                classes=1001,
                style=Style(epsilon=1e-3, activation="relu6"),
                knobs={"strided": "same"},
                root="MobilenetV1/",
                prefer_average=True,
                head=r"MobilenetV1/Logits/.*",
            ),
            "keras": KerasH5(
                scaling="inception",
                classes=1000,
                style=Style(epsilon=1e-3, activation="relu6"),
                knobs={"strided": "end"},
                names=_keras_name,
                head=r"(model_weights/)?conv_preds/.*",
            ),
        },
        options={"alpha": 1.0},
    ),
    """MobileNet V1; `alpha` multiplies the number of channels.

    Reference: [MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
    Applications](https://arxiv.org/abs/1704.04861).""",
)
