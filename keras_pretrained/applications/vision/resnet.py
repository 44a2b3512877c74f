"""ResNet as torchvision trained it, with 18 to 152 layers.

Its bottlenecks stride in their 3x3 convolution, where those of the paper (`resnet_v1.py`) stride in
their first one. The two compute different functions, and the weights of one do not fit the other.
"""

from __future__ import annotations

from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import Torchvision
from keras_pretrained.applications.vision.graph import Graph, Style
from keras_pretrained.applications.vision.plan import Network

_UNITS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_BASIC = (18, 34)


def body(graph: Graph, x: Any, units: tuple[int, ...], bottleneck: bool) -> Any:
    """Up to `layer4`, a 32nd of the size."""
    x = graph.end("relu", graph.conv(x, "conv1", 64, 7, 2, padding=3, norm="bn1"))
    x = graph.end("maxpool", graph.max_pool(x, "maxpool", padding=1))
    for number, count in enumerate(units, 1):
        width = 64 * 2 ** (number - 1)
        with graph.stage(f"layer{number}"):
            for unit in range(count):
                stride = 2 if unit == 0 and number > 1 else 1
                with graph.scope(f"layer{number}.{unit}"):
                    x = _unit(graph, x, width, stride, bottleneck)
                graph.end(f"layer{number}.{unit}", x)
        graph.end(f"layer{number}", x)
    return x


def _unit(graph: Graph, x: Any, width: int, stride: int, bottleneck: bool) -> Any:
    """Two convolutions of 3x3, or one between two of 1x1, and a shortcut past them."""
    filters = 4 * width if bottleneck else width
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = graph.conv(
            x, "downsample.0", filters, 1, stride, norm="downsample.1", activation=False
        )
    if bottleneck:
        x = graph.conv(x, "conv1", width, 1, norm="bn1")
        x = graph.conv(x, "conv2", width, 3, stride, padding=1, norm="bn2")
        x = graph.conv(x, "conv3", filters, 1, norm="bn3", activation=False)
    else:
        x = graph.conv(x, "conv1", width, 3, stride, padding=1, norm="bn1")
        x = graph.conv(x, "conv2", filters, 3, padding=1, norm="bn2", activation=False)
    return graph.activation(graph.sum([shortcut, x], "sum"), "relu")


def head(graph: Graph, x: Any, classes: int, **knobs: Any) -> Any:
    x = graph.end("avgpool", graph.global_pool(x, "avgpool"))
    x = graph.conv(x, "fc", classes, 1, norm=False, activation=False)
    return graph.flat(x, "flatten")


def _application(depth: int) -> Application:
    form = Torchvision(
        scaling="torch",
        classes=1000,
        style=Style(epsilon=1e-5),
        knobs={"units": _UNITS[depth], "bottleneck": depth not in _BASIC},
        matrices="fc",
        head=r"fc\..*",
    )
    return Application(
        Network(f"ResNet{depth}", __name__, body, head, {"torchvision": form}),
        f"""ResNet with {depth} layers, as torchvision trained it (stride in the 3x3 convolution).

    Reference: [Deep Residual Learning for Image Recognition](https://arxiv.org/abs/1512.03385).""",
    )


ResNet18, ResNet34, ResNet50, ResNet101, ResNet152 = map(_application, _UNITS)
