"""ResNet V2 (pre-activation), in the files of TensorFlow-Slim and Keras.

They differ in the border of the first pool.
"""

from __future__ import annotations

import re
from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import KerasH5, Slim
from keras_pretrained.applications.vision.graph import Graph, Padding, Style
from keras_pretrained.applications.vision.plan import Network

_UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}


def body(graph: Graph, x: Any, units: tuple[int, ...], pool: Padding) -> Any:
    """Up to `postnorm`, a 32nd of the size."""
    x = graph.conv(x, "conv1", 64, 7, stride=2, padding=3, norm=False, activation=False)
    graph.end("conv1", x)
    # Nothing was rectified yet: the border must not count as zeros unless it did in training.
    x = graph.end("pool1", graph.max_pool(x, "pool1", padding=pool))
    for block, count in enumerate(units, 1):
        with graph.stage(f"block{block}"):
            for unit in range(1, count + 1):
                stride = 2 if unit == count and block < len(units) else 1
                width = 64 * 2 ** (block - 1)
                scope = f"block{block}.unit_{unit}.bottleneck_v2"
                with graph.scope(scope):
                    x = _unit(graph, x, width, stride, project=unit == 1)
                graph.end(scope, x)
        graph.end(f"block{block}", x)
    with graph.stage("postnorm"):
        x = graph.activation(graph.norm(x, "postnorm"), "postnorm.relu")
        return graph.end("postnorm", x)


def _unit(graph: Graph, x: Any, width: int, stride: int, project: bool) -> Any:
    """A bottleneck whose normalisation and activation stand before the convolutions."""
    preact = graph.activation(graph.norm(x, "preact"), "preact.relu")
    if project:
        shortcut = graph.conv(
            preact, "shortcut", 4 * width, 1, stride, norm=False, activation=False
        )
    else:
        shortcut = x if stride == 1 else graph.max_pool(x, "shortcut", 1, stride, "valid")
    x = graph.conv(preact, "conv1", width, 1)
    x = graph.conv(x, "conv2", width, 3, stride, padding=1)
    x = graph.conv(x, "conv3", 4 * width, 1, norm=False, activation=False)
    return graph.sum([shortcut, x], "sum")


def head(graph: Graph, x: Any, classes: int, **knobs: Any) -> Any:
    x = graph.end("pool5", graph.global_pool(x, "pool5"))
    x = graph.conv(x, "logits", classes, 1, norm=False, activation=False)
    return graph.flat(x, "SpatialSqueeze")


def _keras_name(name: str) -> str:
    """`block2.unit_1.bottleneck_v2.conv2.BatchNorm` -> `conv3_block1_2_bn`."""
    kind = "bn" if name.endswith(".BatchNorm") else "conv"
    found = re.match(r"block(\d)\.unit_(\d+)\.bottleneck_v2\.(preact|shortcut|conv(\d))", name)
    if found:
        block, unit, part, number = found.groups()
        start = f"conv{int(block) + 1}_block{unit}"
        return f"{start}_preact_bn" if part == "preact" else f"{start}_{number or 0}_{kind}"
    return {"logits": "predictions", "postnorm": "post_bn"}.get(name, "conv1_conv")


def _application(depth: int) -> Application:
    root = f"resnet_v2_{depth}/"
    slim = Slim(
        scaling="inception",
        classes=1001,
        style=Style(epsilon=1e-5),
        knobs={"units": _UNITS[depth], "pool": "same"},
        root=root,
        head=rf"{root}logits/.*",
    )
    keras = KerasH5(
        scaling="inception",
        classes=1000,
        style=Style(epsilon=1.001e-5),
        knobs={"units": _UNITS[depth], "pool": 1},
        matrices="logits",
        names=_keras_name,
        head=r"(model_weights/)?predictions/.*",
    )
    network = Network(
        f"ResNetV2_{depth}",
        __name__,
        body,
        head,
        {"slim": slim} if depth == 200 else {"slim": slim, "keras": keras},
        size=224 if depth == 200 else 299,
    )
    return Application(
        network,
        f"""ResNet V2 with {depth} layers.

    Reference: [Identity Mappings in Deep Residual Networks](https://arxiv.org/abs/1603.05027).""",
    )


ResNetV2_50, ResNetV2_101, ResNetV2_152, ResNetV2_200 = map(_application, _UNITS)
