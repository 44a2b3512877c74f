"""PNASNet-5, in the files of TensorFlow-Slim.

Stages: `stem` (the first convolution and the two cells of the stem), then one per cell under its
name in the checkpoint. Results bear these names, and slim's names of end points, which differ in
capitals alone. The large network was trained with paths dropped at random; here none is.
"""

from __future__ import annotations

from typing import Any

from keras_pretrained.applications.vision.application import Application
from keras_pretrained.applications.vision.graph import Graph
from keras_pretrained.applications.vision.nasnet_cells import Cell, Tower, head, slim_form, stem
from keras_pretrained.applications.vision.plan import Network

CELL = Cell(
    (
        (("separable_5x5", 1), ("max_pool_3x3", 1)),
        (("separable_7x7", 0), ("max_pool_3x3", 0)),
        (("separable_5x5", 0), ("separable_3x3", 0)),
        (("separable_3x3", 4), ("max_pool_3x3", 0)),
        (("separable_3x3", 1), ("identity", 0)),
    ),
    (2, 3, 4, 5, 6),
)


def body(graph: Graph, x: Any, channels: int, filters: int, cells: int, **knobs: Any) -> Any:
    """Up to the last cell, a 32nd of the size.

    Args:
        channels: of the first convolution.
        filters: the width of the first cells; it doubles with each of the two that halve the size.
        cells: their number; the first one of the second and of the last third halves.
    """
    tower = Tower(graph, stem(graph, x, channels))
    tower.add("cell_stem_0", CELL, filters // 4, 2)
    x = tower.add("cell_stem_1", CELL, filters // 2, 2)
    graph.end("Stem", graph.end("stem", x))
    for index in range(cells):
        halves = index > 0 and index % (cells // 3) == 0
        filters *= 2 if halves else 1
        with graph.stage(f"cell_{index}"):
            x = tower.add(f"cell_{index}", CELL, filters, 2 if halves else 1)
        graph.end(f"Cell_{index}", x)
    with graph.stage(f"cell_{cells - 1}"):
        return graph.activation(x, "final_layer.relu")


def pnasnet_5(name: str, size: int, text: str, **knobs: Any) -> Application:
    """A builder of PNASNet-5.

    Args:
        name: of the builder.
        size: height and width of the images that it is made for.
        text: one line about it.
        knobs: `channels`, `filters` and `cells`; see `body`.
    """
    return Application(
        Network(name, __name__, body, head, {"slim": slim_form(**knobs)}, size=size),
        f"""{text}

    Reference: [Progressive Neural Architecture Search](https://arxiv.org/abs/1712.00559).""",
    )


PNASNetMobile = pnasnet_5(
    "PNASNetMobile",
    224,
    "PNASNet-5 for mobile devices.",
    channels=32,
    filters=54,
    cells=9,
)
PNASNetLarge = pnasnet_5(
    "PNASNetLarge",
    331,
    "PNASNet-5 large.",
    channels=96,
    filters=216,
    cells=12,
)
