"""SqueezeNet 1.0 and 1.1, as torchvision trained them.

A fire module squeezes its input to few channels and expands these by convolutions of 1x1 and of 3x3
side by side. The stages have the names of the paper, `fire2` to `fire9`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import Torchvision
from keras_pretrained.applications.vision.graph import Graph, Style
from keras_pretrained.applications.vision.plan import Network

# Channels of squeezing; each of the two expansions has four times as many.
_FIRES = (16, 16, 32, 32, 48, 48, 64, 64)

# Of each version: filters, size of the first convolution; before which fire modules a pool stands;
# and the smallest image.
_VERSIONS: Mapping[str, tuple[int, int, tuple[int, ...], int]] = MappingProxyType(
    {"1_0": (96, 7, (2, 5, 9), 21), "1_1": (64, 3, (2, 4, 6), 17)}
)


def body(graph: Graph, x: Any, stem: int, size: int, pools: tuple[int, ...]) -> Any:
    """Up to `fire9`, a 16th of the size."""
    # torchvision counts the activation behind the first convolution, and the pools.
    place = 2
    stage = "stem"
    x = graph.conv(x, "features.0", stem, size, stride=2, padding="valid", norm=False)
    graph.end("conv1", x)
    for number, width in enumerate(_FIRES, 2):
        if number in pools:
            with graph.stage(stage):
                # What a later stage reads is the smaller for it.
                x = graph.max_pool(x, f"features.{place}", padding="ceil")
            place += 1
        stage = f"fire{number}"
        with graph.stage(stage), graph.scope(f"features.{place}"):
            x = _fire(graph, x, width)
        graph.end(stage, x)
        place += 1
    return graph.end("features", x)


def _fire(graph: Graph, x: Any, width: int) -> Any:
    x = graph.conv(x, "squeeze", width, 1, norm=False)
    one = graph.conv(x, "expand1x1", 4 * width, 1, norm=False)
    three = graph.conv(x, "expand3x3", 4 * width, 3, norm=False)
    return graph.concat([one, three], "concat")


def head(graph: Graph, x: Any, classes: int, **knobs: Any) -> Any:
    """Its logits are means of an activation: none is below zero."""
    x = graph.dropout(x, "classifier.0", 0.5)
    x = graph.conv(x, "classifier.1", classes, 1, norm=False)
    return graph.global_pool(x, "classifier.3", keep=False)


def _application(version: str) -> Application:
    stem, size, pools, smallest = _VERSIONS[version]
    form = Torchvision(
        scaling="torch",
        classes=1000,
        style=Style(),
        knobs={"stem": stem, "size": size, "pools": pools},
        head=r"classifier\..*",
    )
    return Application(
        Network(
            f"SqueezeNet{version}", __name__, body, head, {"torchvision": form}, smallest=smallest
        ),
        f"""SqueezeNet {version.replace("_", ".")}.

    Reference: [SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model
    size](https://arxiv.org/abs/1602.07360).""",
    )


SqueezeNet1_0, SqueezeNet1_1 = map(_application, _VERSIONS)
