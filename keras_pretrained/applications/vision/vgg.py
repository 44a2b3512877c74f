"""VGG, in the files of TensorFlow-Slim, Keras and torchvision, with and without normalisation.

The classifier's first layer covers its whole input: a convolution in slim's files, and a matrix in
the others, which holds the same numbers in another order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import Dialect, KerasH5, Slim, Torchvision
from keras_pretrained.applications.vision.graph import Graph, Style
from keras_pretrained.applications.vision.plan import Network

_CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
_WIDTHS = (64, 128, 256, 512, 512)


def body(graph: Graph, x: Any, convolutions: tuple[int, ...], batch_norm: bool = False) -> Any:
    """Up to `pool5`, a 32nd of the size. Each group of convolutions, with its pool, is a stage."""
    for group, (count, width) in enumerate(zip(convolutions, _WIDTHS, strict=True), 1):
        stage = "stem" if group == 1 else f"conv{group}"
        with graph.stage(stage):
            for index in range(1, count + 1):
                name = f"conv{group}.conv{group}_{index}"
                x = graph.conv(x, name, width, 3, norm=batch_norm)
                graph.end(name, x)
            x = graph.end(f"pool{group}", graph.max_pool(x, f"pool{group}", 2, padding="valid"))
        graph.end(stage, x)
    return x


def head(graph: Graph, x: Any, classes: int, **knobs: Any) -> Any:
    x = graph.end("fc6", graph.conv(x, "fc6", 4096, 7, padding="valid", norm=False))
    x = graph.dropout(x, "dropout6", 0.5)
    x = graph.end("fc7", graph.conv(x, "fc7", 4096, 1, norm=False))
    x = graph.dropout(x, "dropout7", 0.5)
    x = graph.conv(x, "fc8", classes, 1, norm=False, activation=False)
    return graph.flat(x, "squeezed")


def _keras_name(name: str) -> str:
    """`conv3.conv3_1` -> `block3_conv1`."""
    found = re.fullmatch(r"conv\d\.conv(\d)_(\d)", name)
    if found:
        return f"block{found[1]}_conv{found[2]}"
    return {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}[name]


def _torchvision_names(convolutions: tuple[int, ...], batch_norm: bool) -> dict[str, str]:
    """Our names -> places in torchvision's sequence of modules."""
    names = {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}
    place = 0
    for group, count in enumerate(convolutions, 1):
        for index in range(1, count + 1):
            name = f"conv{group}.conv{group}_{index}"
            names[name] = f"features.{place}"
            names[f"{name}.BatchNorm"] = f"features.{place + 1}"
            place += 3 if batch_norm else 2
        place += 1
    return names


@dataclass(frozen=True)
class _TorchvisionVGG(Torchvision):
    """The places of the modules depend on whether there are normalisations between them."""

    convolutions: tuple[int, ...] = ()

    def with_options(self, options: Mapping[str, Any]) -> Dialect:
        names = _torchvision_names(self.convolutions, bool(options["batch_norm"]))
        return replace(self, names=lambda name: names.get(name, name))


def _application(depth: int) -> Application:
    convolutions = _CONVOLUTIONS[depth]
    knobs = {"convolutions": convolutions}
    dialects: dict[str, Dialect] = {}
    if depth in (16, 19):
        dialects["slim"] = Slim(
            scaling="vgg",
            classes=1000,
            style=Style(),
            knobs=knobs,
            root=f"vgg_{depth}/",
            head=rf"vgg_{depth}/fc\d/.*",
        )
        dialects["keras"] = KerasH5(
            scaling="caffe",
            classes=1000,
            style=Style(),
            knobs=knobs,
            matrices=r"fc\d",
            names=_keras_name,
            head=r"(model_weights/)?(fc\d|predictions)/.*",
        )
    dialects["torchvision"] = _TorchvisionVGG(
        scaling="torch",
        classes=1000,
        style=Style(epsilon=1e-5, norm_bias=True),
        knobs=knobs,
        matrices=r"fc\d",
        convolutions=convolutions,
        head=r"classifier\..*",
    )
    network = Network(
        f"VGG{depth}",
        __name__,
        body,
        head,
        dialects,
        any_size=False,
        options={"batch_norm": False},
    )
    return Application(
        network,
        f"""VGG with {depth} layers; `batch_norm=True` for torchvision's normalised variant.

    Reference: [Very Deep Convolutional Networks for Large-Scale Image
    Recognition](https://arxiv.org/abs/1409.1556).""",
    )


VGG11, VGG13, VGG16, VGG19 = map(_application, _CONVOLUTIONS)
