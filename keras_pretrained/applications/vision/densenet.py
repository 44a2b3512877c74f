"""DenseNet, in the files of torchvision and of Keras; both hold the authors' weights.

Every layer of a dense block reads all that was made before it in the block, normalised anew.
"""

from __future__ import annotations

import re
from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import Dialect, KerasH5, Torchvision
from keras_pretrained.applications.vision.graph import Graph, Style
from keras_pretrained.applications.vision.plan import Network

# Layers of the four dense blocks, channels that each of them adds, and channels of the stem.
_SIZES = {
    121: ((6, 12, 24, 16), 32, 64),
    161: ((6, 12, 36, 24), 48, 96),
    169: ((6, 12, 32, 32), 32, 64),
    201: ((6, 12, 48, 32), 32, 64),
}
_IN_KERAS = (121, 169, 201)


def body(graph: Graph, x: Any, blocks: tuple[int, ...], growth: int, stem: int) -> Any:
    """Up to the last normalisation, a 32nd of the size."""
    with graph.scope("features"):
        x = graph.conv(x, "conv0", stem, 7, 2, padding=3, norm="norm0")
        x = graph.end("pool0", graph.max_pool(x, "pool0", padding=1))
        for number, count in enumerate(blocks, 1):
            if number > 1:
                x = _transition(graph, x, f"transition{number - 1}")
            block = f"denseblock{number}"
            with graph.stage(block):
                for layer in range(1, count + 1):
                    with graph.scope(f"{block}.denselayer{layer}"):
                        x = _dense_layer(graph, x, growth)
            graph.end(block, x)
        # A normalisation alone is no stage.
        with graph.stage(block):
            x = graph.activation(graph.norm(x, "norm5"), "relu5")
    return graph.end("features", x)


def _transition(graph: Graph, x: Any, name: str) -> Any:
    """Half as many channels, and half the size."""
    with graph.stage(name), graph.scope(name):
        x = _conv(graph, x, "norm", "conv", x.shape[-1] // 2, 1)
        x = graph.avg_pool(x, "pool", 2, 2, padding="valid")
    return graph.end(name, x)


def _dense_layer(graph: Graph, x: Any, growth: int) -> Any:
    """Adds `growth` channels."""
    new = _conv(graph, x, "norm1", "conv1", 4 * growth, 1)
    new = _conv(graph, new, "norm2", "conv2", growth, 3)
    return graph.concat([x, new], "concat")


def _conv(graph: Graph, x: Any, norm: str, name: str, filters: int, size: int) -> Any:
    """A convolution of what is normalised and activated before it."""
    x = graph.activation(graph.norm(x, norm), f"{norm}.relu")
    return graph.conv(x, name, filters, size, norm=False, activation=False, bias=False)


def head(graph: Graph, x: Any, classes: int, **knobs: Any) -> Any:
    x = graph.end("avgpool", graph.global_pool(x, "avgpool"))
    x = graph.conv(x, "classifier", classes, 1, norm=False, activation=False)
    return graph.flat(x, "flatten")


def _older_name(name: str) -> str:
    """`...denselayer1.norm1` -> `...denselayer1.norm.1`, as the released files of 2017 have it."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)$", r"\1.\2", name)


def _keras_name(name: str) -> str:
    """`features.denseblock2.denselayer1.conv2` -> `conv3_block1_2_conv`."""
    found = re.fullmatch(r"features\.denseblock(\d)\.denselayer(\d+)\.(norm|conv)(\d)", name)
    if found:
        block, layer, kind, place = found.groups()
        # Keras counts the normalisation before a convolution to the one before it.
        part = f"{int(place) - 1}_bn" if kind == "norm" else f"{place}_conv"
        return f"conv{int(block) + 1}_block{layer}_{part}"
    found = re.fullmatch(r"features\.transition(\d)\.(norm|conv)", name)
    if found:
        return f"pool{int(found[1]) + 1}_{'bn' if found[2] == 'norm' else 'conv'}"
    return {
        "features.conv0": "conv1_conv",
        "features.norm0": "conv1_bn",
        "features.norm5": "bn",
        "classifier": "predictions",
    }[name]


def _application(depth: int) -> Application:
    blocks, growth, stem = _SIZES[depth]
    knobs = {"blocks": blocks, "growth": growth, "stem": stem}
    dialects: dict[str, Dialect] = {
        "torchvision": Torchvision(
            scaling="torch",
            classes=1000,
            style=Style(epsilon=1e-5),
            knobs=knobs,
            matrices="classifier",
            older=_older_name,
            head=r"classifier\..*",
        )
    }
    if depth in _IN_KERAS:
        dialects["keras"] = KerasH5(
            scaling="torch",
            classes=1000,
            style=Style(epsilon=1.001e-5),
            knobs=knobs,
            matrices="classifier",
            names=_keras_name,
            head=r"(model_weights/)?predictions/.*",
        )
    return Application(
        Network(f"DenseNet{depth}", __name__, body, head, dialects, smallest=29),
        f"""DenseNet with {depth} layers.

    Reference: [Densely Connected Convolutional Networks](https://arxiv.org/abs/1608.06993).""",
    )


DenseNet121, DenseNet161, DenseNet169, DenseNet201 = map(_application, _SIZES)
