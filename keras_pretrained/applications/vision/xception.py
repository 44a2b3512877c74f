"""Xception, in the files of Keras."""

from __future__ import annotations

from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import KerasH5
from keras_pretrained.applications.vision.graph import DEPTHWISE, POINTWISE, Graph, Style
from keras_pretrained.applications.vision.plan import Network


def body(graph: Graph, x: Any) -> Any:
    """Up to `block14`, about a 32nd of the size."""
    x = graph.conv(x, "block1_conv1", 32, 3, 2, "valid", norm="block1_conv1_bn")
    x = graph.end(
        "stem", graph.conv(x, "block1_conv2", 64, 3, padding="valid", norm="block1_conv2_bn")
    )
    for index, width in zip((2, 3, 4), (128, 256, 728), strict=True):
        with graph.stage(f"block{index}"):
            x = _strided(graph, x, f"block{index}", (width, width), rectified=index > 2)
        graph.end(f"block{index}", x)
    for index in range(5, 13):
        name = f"block{index}"
        with graph.stage(name):
            inside = x
            for number in (1, 2, 3):
                inside = _normed(graph, inside, f"{name}_sepconv{number}", 728)
            x = graph.end(name, graph.sum([inside, x], f"{name}_sum"))
    with graph.stage("block13"):
        x = graph.end("block13", _strided(graph, x, "block13", (728, 1024), rectified=True))
    with graph.stage("block14"):
        for number, width in ((1, 1536), (2, 2048)):
            name = f"block14_sepconv{number}"
            x = graph.separable(x, name, width, 3, norm=f"{name}_bn")
            x = graph.activation(x, f"{name}_act")
    return graph.end("block14", x)


def _strided(graph: Graph, x: Any, name: str, widths: tuple[int, int], rectified: bool) -> Any:
    """Two separable convolutions and a pool; the shortcut is a strided 1x1 convolution."""
    shortcut = graph.conv(
        x,
        f"{name}_shortcut",
        widths[1],
        1,
        2,
        norm=f"{name}_shortcut_bn",
        activation=False,
    )
    x = _normed(graph, x, f"{name}_sepconv1", widths[0], rectified)
    x = _normed(graph, x, f"{name}_sepconv2", widths[1])
    # Mean subtracted just before: the border must not count as zeros.
    x = graph.max_pool(x, f"{name}_pool")
    return graph.sum([x, shortcut], f"{name}_sum")


def _normed(graph: Graph, x: Any, name: str, width: int, rectified: bool = True) -> Any:
    x = graph.activation(x, f"{name}_act") if rectified else x
    return graph.separable(x, name, width, 3, norm=f"{name}_bn")


def head(graph: Graph, x: Any, classes: int) -> Any:
    x = graph.end("avg_pool", graph.global_pool(x, "avg_pool"))
    x = graph.conv(x, "logits", classes, 1, norm=False, activation=False)
    return graph.flat(x, "squeezed")


def _name(name: str) -> str:
    if "_shortcut" in name:
        return ""
    if name == "logits":
        return "predictions"
    return name.removesuffix(f".{DEPTHWISE}").removesuffix(f".{POINTWISE}")


Xception = Application(
    Network(
        "Xception",
        __name__,
        body,
        head,
        {
            "keras": KerasH5(
                scaling="inception",
                classes=1000,
                style=Style(epsilon=1e-3),
                matrices="logits",
                names=_name,
                head=r"(model_weights/)?predictions/.*",
            )
        },
        size=299,
        smallest=71,
    ),
    """Xception.

    Reference: [Xception: Deep Learning with Depthwise Separable
    Convolutions](https://arxiv.org/abs/1610.02357).""",
)
