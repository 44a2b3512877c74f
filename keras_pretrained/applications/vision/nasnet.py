"""NASNet-A, in the files of TensorFlow-Slim and of Keras.

Stages: `stem` (the first convolution and the two cells of the stem), then one per cell, reduction
cells included, under its name in the checkpoint. Results bear these names, and slim's names of end
points, which differ in capitals alone.

Slim and Keras differ in the border of pools that halve the size: for slim it does not count, for
Keras it is zeros. Slim's large network was trained with paths dropped at random; here none is.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.dialects import KerasH5
from keras_pretrained.applications.vision.graph import DEPTHWISE, POINTWISE, Graph, Padding
from keras_pretrained.applications.vision.nasnet_cells import (
    CLASSIFIER,
    STYLE,
    Cell,
    Tower,
    head,
    slim_form,
    stem,
)
from keras_pretrained.applications.vision.plan import Network

NORMAL = Cell(
    (
        (("separable_5x5", 0), ("separable_3x3", 1)),
        (("separable_5x5", 1), ("separable_3x3", 1)),
        (("avg_pool_3x3", 0), ("identity", 1)),
        (("avg_pool_3x3", 1), ("avg_pool_3x3", 1)),
        (("separable_3x3", 0), ("identity", 0)),
    ),
    (1, 2, 3, 4, 5, 6),
)
REDUCTION = Cell(
    (
        (("separable_5x5", 0), ("separable_7x7", 1)),
        (("max_pool_3x3", 0), ("separable_7x7", 1)),
        (("avg_pool_3x3", 0), ("separable_5x5", 1)),
        (("identity", 3), ("avg_pool_3x3", 2)),
        (("separable_3x3", 2), ("max_pool_3x3", 0)),
    ),
    (3, 4, 5, 6),
)


def body(
    graph: Graph,
    x: Any,
    channels: int,
    filters: int,
    cells: int,
    skips: bool,
    border: Padding,
    **knobs: Any,
) -> Any:
    """Up to the last cell, a 32nd of the size.

    Args:
        channels: of the first convolution.
        filters: the width of the first cells; it doubles with each reduction.
        cells: normal cells, with reductions after the first and the second third.
        skips: whether the cell behind a reduction reads, besides it, what the reduction read from
            below; otherwise it reads what the reduction read from the top.
        border: of pools with stride 2.
    """
    tower = Tower(graph, stem(graph, x, channels), border)
    tower.add("cell_stem_0", REDUCTION, filters // 4, 2)
    x = tower.add("cell_stem_1", REDUCTION, filters // 2, 2)
    graph.end("Stem", graph.end("stem", x))
    for index in range(cells):
        below = None
        if index and index % (cells // 3) == 0:
            below = tower.maps[-2 if skips else -1]
            filters *= 2
            _stage(graph, tower, f"reduction_cell_{3 * index // cells - 1}", REDUCTION, filters, 2)
        x = _stage(graph, tower, f"cell_{index}", NORMAL, filters, below=below)
    with graph.stage(f"cell_{cells - 1}"):
        return graph.activation(x, "final_layer.relu")


def _stage(graph: Graph, tower: Tower, name: str, *cell: Any, **options: Any) -> Any:
    with graph.stage(name):
        x = tower.add(name, *cell, **options)
    return graph.end(name.title(), x)


_KERAS_NAMES = {
    "conv0": "stem_conv1",
    "conv0_bn": "stem_bn1",
    "final_layer.FC": "predictions",
    "1x1": "{kind}_conv_1_{cell}",
    "beginning_bn": "{kind}_bn_1_{cell}",
    "prev_1x1": "adjust_conv_projection_{cell}",
    "prev_bn": "adjust_bn_{cell}",
    "path1_conv": "adjust_conv_1_{cell}",
    "path2_conv": "adjust_conv_2_{cell}",
    "final_path_bn": "adjust_bn_{cell}",
}


def _keras_name(name: str, cells: int) -> str:
    """`cell_4.comb_iter_0.left.separable_5x5_1` -> `separable_conv_1_normal_left1_5`."""
    name = name.removesuffix(f".{DEPTHWISE}").removesuffix(f".{POINTWISE}")
    if name in _KERAS_NAMES:
        return _KERAS_NAMES[name]
    scope, _, layer = name.partition(".")
    kind = "normal" if re.fullmatch(r"cell_\d+", scope) else "reduction"
    cell = _keras_cell(scope, cells)
    if layer in _KERAS_NAMES:
        return _KERAS_NAMES[layer].format(kind=kind, cell=cell)
    place, side, part = layer.split(".")
    number = int(place.removeprefix("comb_iter_")) + 1
    if (kind, side, number) == ("reduction", "left", 5):
        # Keras calls the left operations of two sums the fourth; only this one has weights.
        number = 4
    norm = "bn_" if part.startswith("bn_") else ""
    return f"separable_conv_{part[-1]}_{norm}{kind}_{side}{number}_{cell}"


def _keras_cell(scope: str, cells: int) -> str:
    role, _, number = scope.rpartition("_")
    index = int(number)
    if role == "cell_stem":
        return f"stem_{index + 1}"
    if role == "reduction_cell":
        return f"reduce_{(index + 1) * cells // 3}"
    # One number is left out, for the first reduction; none is for the second.
    return str(index + (index >= cells // 3))


def nasnet_a(name: str, size: int, text: str, **knobs: Any) -> Application:
    """A builder of NASNet-A.

    Args:
        name: of the builder.
        size: height and width of the images that it is made for.
        text: one line about it.
        knobs: `channels`, `filters`, `cells` and `skips`; see `body`.
    """
    slim = slim_form(**knobs, border="same")
    keras = KerasH5(
        scaling="inception",
        classes=1000,
        style=STYLE,
        knobs={**knobs, "border": "zeros", "dropout": 0.0},
        matrices=CLASSIFIER,
        names=partial(_keras_name, cells=knobs["cells"]),
        head=r"(model_weights/)?predictions/.*",
    )
    network = Network(name, __name__, body, head, {"slim": slim, "keras": keras}, size=size)
    return Application(
        network,
        f"""{text}

    Reference: [Learning Transferable Architectures for Scalable Image
    Recognition](https://arxiv.org/abs/1707.07012).""",
    )


NASNetMobile = nasnet_a(
    "NASNetMobile",
    224,
    "NASNet-A for mobile devices (4 @ 1056).",
    channels=32,
    filters=44,
    cells=12,
    skips=False,
)
NASNetLarge = nasnet_a(
    "NASNetLarge",
    331,
    "NASNet-A large (6 @ 4032).",
    channels=96,
    filters=168,
    cells=18,
    skips=True,
)
