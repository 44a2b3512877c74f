"""ResNet V1: the networks of the paper, in the files of TensorFlow-Slim and of Keras.

Slim strides in the last unit of a block and Keras in the first unit of the next one; both compute
the same. What differs is the border of the first pool.
"""

from __future__ import annotations

import re
from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import KerasH5, Slim
from keras_pretrained.applications.vision.graph import Graph, Padding, Style
from keras_pretrained.applications.vision.plan import Network

_UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def body(graph: Graph, x: Any, units: tuple[int, ...], pool: Padding) -> Any:
    """Up to `block4`, a 32nd of the size."""
    x = graph.end("conv1", graph.conv(x, "conv1", 64, 7, stride=2, padding=3))
    x = graph.end("pool1", graph.max_pool(x, "pool1", padding=pool))
    for block, count in enumerate(units, 1):
        with graph.stage(f"block{block}"):
            for unit in range(1, count + 1):
                stride = 2 if unit == count and block < len(units) else 1
                width = 64 * 2 ** (block - 1)
                with graph.scope(f"block{block}.unit_{unit}.bottleneck_v1"):
                    x = _unit(graph, x, width, stride, project=unit == 1)
                graph.end(f"block{block}.unit_{unit}.bottleneck_v1", x)
        graph.end(f"block{block}", x)
    return x


def _unit(graph: Graph, x: Any, width: int, stride: int, project: bool) -> Any:
    """A bottleneck; every `stride`-th pixel of its input and of its 3x3 convolution is kept."""
    if project:
        shortcut = graph.conv(x, "shortcut", 4 * width, 1, stride, activation=False)
    else:
        shortcut = x if stride == 1 else graph.max_pool(x, "shortcut", 1, stride, "valid")
    x = graph.conv(x, "conv1", width, 1)
    x = graph.conv(x, "conv2", width, 3, stride, padding=1)
    x = graph.conv(x, "conv3", 4 * width, 1, activation=False)
    return graph.activation(graph.sum([shortcut, x], "sum"), "relu")


def head(graph: Graph, x: Any, classes: int, **knobs: Any) -> Any:
    x = graph.end("pool5", graph.global_pool(x, "pool5"))
    x = graph.conv(x, "logits", classes, 1, norm=False, activation=False)
    return graph.flat(x, "SpatialSqueeze")


def _keras_names(name: str) -> str:
    """`block2.unit_1.bottleneck_v1.conv3.BatchNorm` -> `conv3_block1_3_bn`."""
    kind = "bn" if name.endswith(".BatchNorm") else "conv"
    found = re.match(r"block(\d)\.unit_(\d+)\.bottleneck_v1\.(?:shortcut|conv(\d))", name)
    if found:
        block, unit, number = found.groups()
        return f"conv{int(block) + 1}_block{unit}_{number or 0}_{kind}"
    return {"logits": "predictions"}.get(name, f"conv1_{kind}")


def _application(depth: int) -> Application:
    root = f"resnet_v1_{depth}/"
    slim = Slim(
        scaling="vgg",
        classes=1000,
        style=Style(epsilon=1e-5),
        knobs={"units": _UNITS[depth], "pool": "same"},
        root=root,
        head=rf"{root}logits/.*",
    )
    keras = KerasH5(
        scaling="caffe",
        classes=1000,
        style=Style(epsilon=1.001e-5, norm_bias=True),
        knobs={"units": _UNITS[depth], "pool": 1},
        matrices="logits",
        names=_keras_names,
        head=r"(model_weights/)?predictions/.*",
    )
    network = Network(
        f"ResNetV1_{depth}",
        __name__,
        body,
        head,
        {"slim": slim, "keras": keras},
    )
    return Application(
        network,
        f"""ResNet V1 with {depth} layers.

    Reference: [Deep Residual Learning for Image Recognition](https://arxiv.org/abs/1512.03385).""",
    )


ResNetV1_50, ResNetV1_101, ResNetV1_152 = map(_application, _UNITS)
