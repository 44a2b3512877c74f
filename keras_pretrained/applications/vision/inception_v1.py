"""Inception V1 (GoogLeNet), in the files of TensorFlow-Slim and torchvision.

Both have batch normalisation, and 3x3 where the paper has 5x5.
"""

from __future__ import annotations

import re
from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import Slim, Torchvision
from keras_pretrained.applications.vision.graph import Graph, Padding, Style
from keras_pretrained.applications.vision.inception import AUXILIARY, Branches, mixed, slim_head
from keras_pretrained.applications.vision.plan import Network

_SLIM = Slim(
    scaling="inception",
    classes=1001,
    style=Style(epsilon=1e-3, gamma=False),
    root="InceptionV1/",
    head=r"InceptionV1/Logits/.*",
    knobs={"border": "same", "pool": "same"},
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

# Block -> the pool before it, and its size.
_POOLS = {"Mixed_4b": ("MaxPool_4a_3x3", 3), "Mixed_5b": ("MaxPool_5a_2x2", 2)}


def body(graph: Graph, x: Any, border: Padding, pool: str) -> Any:
    """Up to `Mixed_5c`, a 32nd of the size.

    Args:
        border: of the first convolution.
        pool: padding of the pools between blocks.
    """
    first = graph.conv(x, "Conv2d_1a_7x7", 64, 7, stride=2, padding=border)
    x = graph.end("Conv2d_1a_7x7", first)
    x = graph.end("MaxPool_2a_3x3", graph.max_pool(x, "MaxPool_2a_3x3", padding=pool))
    x = graph.end("Conv2d_2b_1x1", graph.conv(x, "Conv2d_2b_1x1", 64, 1))
    x = graph.end("Conv2d_2c_3x3", graph.conv(x, "Conv2d_2c_3x3", 192, 3))
    x = graph.end("MaxPool_3a_3x3", graph.max_pool(x, "MaxPool_3a_3x3", padding=pool))
    for name, filters in _BLOCKS.items():
        if name in _POOLS:
            before, size = _POOLS[name]
            x = graph.end(before, graph.max_pool(x, before, size, padding=pool))
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


def head(graph: Graph, x: Any, classes: int, **knobs: Any) -> Any:
    return slim_head(graph, x, classes, "AvgPool_0a_7x7", "Conv2d_0c_1x1")


# --- torchvision's names --------------------------------------------------------------------------


def _torchvision_names() -> dict[str, str]:
    names = {
        "Conv2d_1a_7x7": "conv1",
        "Conv2d_2b_1x1": "conv2",
        "Conv2d_2c_3x3": "conv3",
        "Logits.Conv2d_0c_1x1": "fc",
    }
    for block, filters in _BLOCKS.items():
        # `Mixed_3b` is the first of its size, `inception3a`.
        module = f"inception{block[-2]}{chr(ord(block[-1]) - 1)}"
        for index, steps in enumerate(_branches(block, *filters)):
            for place, step in enumerate(steps):
                number = f".{place}" if len(steps) > 1 else ""
                names[f"{block}.Branch_{index}.{step[0]}"] = f"{module}.branch{index + 1}{number}"
    return names


_MODULES = _torchvision_names()


def _torchvision_name(name: str) -> str:
    layer = re.sub(r"\.BatchNorm$", "", name)
    module = _MODULES.get(layer, layer)
    return module if module == "fc" else f"{module}.{'conv' if layer == name else 'bn'}"


_TORCHVISION = Torchvision(
    # Its network turns images that are scaled as torch's into these (`transform_input`).
    scaling="inception",
    classes=1000,
    style=Style(epsilon=1e-3),
    knobs={"border": 3, "pool": "ceil"},
    matrices=r"Logits\..*",
    names=_torchvision_name,
    head=r"fc\..*",
    ignore={r"aux[12]\..*": AUXILIARY},
)

InceptionV1 = Application(
    Network("InceptionV1", __name__, body, head, {"slim": _SLIM, "torchvision": _TORCHVISION}),
    """Inception V1.

    Reference: [Going Deeper with Convolutions](https://arxiv.org/abs/1409.4842).""",
)
