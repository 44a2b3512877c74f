"""AlexNet in its second form, for one processor, as torchvision trained it.

It has no local response normalisation and no groups. Its classifier of three layers is the head.
"""

from __future__ import annotations

from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import Torchvision
from keras_pretrained.applications.vision.graph import Graph, Padding, Style
from keras_pretrained.applications.vision.plan import Network

# Place in torchvision's sequence of modules: filters, size, stride, padding, and the place of the
# pool behind it.
_CONVOLUTIONS: dict[int, tuple[int, int, int, Padding, int | None]] = {
    0: (64, 11, 4, 2, 2),
    3: (192, 5, 1, 2, 5),
    6: (384, 3, 1, 1, None),
    8: (256, 3, 1, 1, None),
    10: (256, 3, 1, 1, 12),
}


def body(graph: Graph, x: Any) -> Any:
    """Up to the last pool, 6x6 of an image of 224x224. A convolution with its pool is a stage."""
    for place, (filters, size, stride, padding, pool) in _CONVOLUTIONS.items():
        name = f"features.{place}"
        stage = name if place else "stem"
        with graph.stage(stage):
            x = graph.conv(x, name, filters, size, stride, padding, norm=False)
            if pool is not None:
                x = graph.max_pool(x, f"features.{pool}", padding="valid")
        graph.end(stage, x)
    return graph.end("features", x)


def head(graph: Graph, x: Any, classes: int) -> Any:
    x = graph.dropout(x, "classifier.0", 0.5)
    x = graph.end("fc6", graph.conv(x, "classifier.1", 4096, 6, padding="valid", norm=False))
    x = graph.dropout(x, "classifier.3", 0.5)
    x = graph.end("fc7", graph.conv(x, "classifier.4", 4096, 1, norm=False))
    x = graph.conv(x, "classifier.6", classes, 1, norm=False, activation=False)
    return graph.flat(x, "flatten")


AlexNet = Application(
    Network(
        "AlexNet",
        __name__,
        body,
        head,
        {
            "torchvision": Torchvision(
                scaling="torch",
                classes=1000,
                style=Style(),
                matrices=r"classifier\.\d",
                head=r"classifier\..*",
            )
        },
        smallest=63,
        any_size=False,
    ),
    """AlexNet.

    Reference: [One weird trick for parallelizing convolutional neural
    networks](https://arxiv.org/abs/1404.5997).""",
)
