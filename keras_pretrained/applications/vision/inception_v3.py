"""Inception V3, in the files of TensorFlow-Slim, Keras and torchvision.

torchvision's counts the border of mean pools as zeros, and its normalisations scale.
"""

from __future__ import annotations

import re
from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import KerasH5, Slim, Torchvision
from keras_pretrained.applications.vision.graph import Graph, Padding, Style
from keras_pretrained.applications.vision.inception import AUXILIARY, Branches, mixed, slim_head
from keras_pretrained.applications.vision.plan import Network


def _one(filters: int) -> tuple[str, int, int]:
    return ("Conv2d_0a_1x1", filters, 1)


def _pool(filters: int) -> list[Any]:
    return ["AvgPool_0a_3x3", ("Conv2d_0b_1x1", filters, 1)]


def _block_35(five: tuple[str, str], pool: int) -> Branches:
    return [
        [_one(64)],
        [(five[0], 48, 1), (five[1], 64, 5)],
        [_one(64), ("Conv2d_0b_3x3", 96, 3), ("Conv2d_0c_3x3", 96, 3)],
        _pool(pool),
    ]


def _block_17(width: int) -> Branches:
    return [
        [_one(192)],
        [_one(width), ("Conv2d_0b_1x7", width, (1, 7)), ("Conv2d_0c_7x1", 192, (7, 1))],
        [
            _one(width),
            ("Conv2d_0b_7x1", width, (7, 1)),
            ("Conv2d_0c_1x7", width, (1, 7)),
            ("Conv2d_0d_7x1", width, (7, 1)),
            ("Conv2d_0e_1x7", 192, (1, 7)),
        ],
        _pool(192),
    ]


def _block_8(second: str) -> Branches:
    return [
        [_one(320)],
        [_one(384), [("Conv2d_0b_1x3", 384, (1, 3)), (second, 384, (3, 1))]],
        [
            _one(448),
            ("Conv2d_0b_3x3", 384, 3),
            [("Conv2d_0c_1x3", 384, (1, 3)), ("Conv2d_0d_3x1", 384, (3, 1))],
        ],
        _pool(192),
    ]


_FIVE = ("Conv2d_0a_1x1", "Conv2d_0b_5x5")
_LARGE_POOL = [("MaxPool_1a_3x3", 2, "valid")]
# The published files have these slips of the pen: 5c, 6a and 7b.
_BLOCKS: dict[str, Branches] = {
    "Mixed_5b": _block_35(_FIVE, 32),
    "Mixed_5c": _block_35(("Conv2d_0b_1x1", "Conv_1_0c_5x5"), 64),
    "Mixed_5d": _block_35(_FIVE, 64),
    "Mixed_6a": [
        [("Conv2d_1a_1x1", 384, 3, 2, "valid")],
        [_one(64), ("Conv2d_0b_3x3", 96, 3), ("Conv2d_1a_1x1", 96, 3, 2, "valid")],
        _LARGE_POOL,
    ],
    "Mixed_6b": _block_17(128),
    "Mixed_6c": _block_17(160),
    "Mixed_6d": _block_17(160),
    "Mixed_6e": _block_17(192),
    "Mixed_7a": [
        [_one(192), ("Conv2d_1a_3x3", 320, 3, 2, "valid")],
        [
            _one(192),
            ("Conv2d_0b_1x7", 192, (1, 7)),
            ("Conv2d_0c_7x1", 192, (7, 1)),
            ("Conv2d_1a_3x3", 192, 3, 2, "valid"),
        ],
        _LARGE_POOL,
    ],
    "Mixed_7b": _block_8("Conv2d_0b_3x1"),
    "Mixed_7c": _block_8("Conv2d_0c_3x1"),
}


def body(graph: Graph, x: Any, avg_padding: Padding) -> Any:
    """Up to `Mixed_7c`, about a 32nd of the size."""
    for name, filters, size, stride, padding in (
        ("Conv2d_1a_3x3", 32, 3, 2, "valid"),
        ("Conv2d_2a_3x3", 32, 3, 1, "valid"),
        ("Conv2d_2b_3x3", 64, 3, 1, "same"),
    ):
        x = graph.end(name, graph.conv(x, name, filters, size, stride, padding))
    x = graph.end("MaxPool_3a_3x3", graph.max_pool(x, "MaxPool_3a_3x3", padding="valid"))
    x = graph.end("Conv2d_3b_1x1", graph.conv(x, "Conv2d_3b_1x1", 80, 1, 1, "valid"))
    x = graph.end("Conv2d_4a_3x3", graph.conv(x, "Conv2d_4a_3x3", 192, 3, 1, "valid"))
    x = graph.end("MaxPool_5a_3x3", graph.max_pool(x, "MaxPool_5a_3x3", padding="valid"))
    for name, branches in _BLOCKS.items():
        x = mixed(graph, x, name, branches, avg_padding)
    return x


def head(graph: Graph, x: Any, classes: int, **knobs: Any) -> Any:
    return slim_head(graph, x, classes, "AvgPool_1a_8x8", "Conv2d_1c_1x1")


# --- torchvision's names --------------------------------------------------------------------------

_BRANCHES = {
    "5": ("branch1x1", "branch5x5_{}", "branch3x3dbl_{}", "branch_pool"),
    "6a": ("branch3x3", "branch3x3dbl_{}"),
    "6": ("branch1x1", "branch7x7_{}", "branch7x7dbl_{}", "branch_pool"),
    "7a": ("branch3x3_{}", "branch7x7x3_{}"),
    "7": ("branch1x1", "branch3x3_{}", "branch3x3dbl_{}", "branch_pool"),
}


def _torchvision_names() -> dict[str, str]:
    names = {"Logits.Conv2d_1c_1x1": "fc"}
    for block, branches in _BLOCKS.items():
        kind = block.removeprefix("Mixed_")
        patterns = _BRANCHES.get(kind) or _BRANCHES[kind[0]]
        for index, (steps, pattern) in enumerate(zip(branches, patterns, strict=False)):
            number = 0
            for step in steps:
                if isinstance(step, list):
                    number += 1
                    for letter, (name, *_) in zip("ab", step, strict=True):
                        found = pattern.format(f"{number}{letter}")
                        names[f"{block}.Branch_{index}.{name}"] = f"{block}.{found}"
                elif not step[0].startswith(("M", "A")):
                    number += 1
                    found = pattern.format(number)
                    names[f"{block}.Branch_{index}.{step[0]}"] = f"{block}.{found}"
    return names


_TORCHVISION = _torchvision_names()


def _torchvision_name(name: str) -> str:
    layer = re.sub(r"\.BatchNorm$", "", name)
    module = _TORCHVISION.get(layer, layer)
    return module if module == "fc" else f"{module}.{'conv' if layer == name else 'bn'}"


InceptionV3 = Application(
    Network(
        "InceptionV3",
        __name__,
        body,
        head,
        {
            "slim": Slim(
                scaling="inception",
                classes=1001,
                style=Style(epsilon=1e-3, gamma=False),
                knobs={"avg_padding": "same"},
                root="InceptionV3/",
                head=r"InceptionV3/Logits/.*",
                ignore={r"InceptionV3/AuxLogits/.*": AUXILIARY},
            ),
            "keras": KerasH5(
                scaling="inception",
                classes=1000,
                style=Style(epsilon=1e-3, gamma=False),
                knobs={"avg_padding": "same"},
                matrices=r"Logits\..*",
                names=lambda name: "predictions" if name.startswith("Logits.") else "",
                head=r"(model_weights/)?predictions/.*",
            ),
            "torchvision": Torchvision(
                # Its network turns images that are scaled as torch's into these
                # (`transform_input`).
                scaling="inception",
                classes=1000,
                style=Style(epsilon=1e-3),
                knobs={"avg_padding": 1},
                matrices=r"Logits\..*",
                names=_torchvision_name,
                head=r"fc\..*",
                ignore={r"AuxLogits\..*": AUXILIARY},
            ),
        },
        size=299,
        smallest=75,
    ),
    """Inception V3.

    Reference: [Rethinking the Inception Architecture for Computer
    Vision](https://arxiv.org/abs/1512.00567).""",
)
