"""What the Inception networks share: blocks of branches, and the head of slim."""

from __future__ import annotations

from typing import Any

from keras_pretrained.applications.vision.graph import Graph, Padding

Branches = list[list[Any]]
"""The branches of a block.

A step of a branch is a pool of 3x3, `"AvgPool_..."`, `"MaxPool_..."` or
`("MaxPool_...", stride, padding)`; a convolution `(name, filters, size)` or
`(name, filters, size, stride, padding)`; or a list of convolutions that all read the step before,
side by side.
"""

AUXILIARY = "the auxiliary head, which only training used"


def mixed(
    graph: Graph, x: Any, name: str, branches: Branches, avg_padding: Padding = "same"
) -> Any:
    """A block: its branches read the same input and stand side by side in its output.

    Args:
        avg_padding: of its mean pools; see `Graph.avg_pool`.
    """
    with graph.stage(name), graph.scope(name):
        made = [
            branch(graph, x, f"Branch_{index}", steps, avg_padding)
            for index, steps in enumerate(branches)
        ]
        x = graph.concat(made, "concat")
    return graph.end(name, x)


def branch(graph: Graph, x: Any, name: str, steps: list[Any], avg_padding: Padding = "same") -> Any:
    """One branch of a block; see `Branches`."""
    with graph.scope(name):
        for step in steps:
            if isinstance(step, list):
                x = graph.concat([_step(graph, x, each, avg_padding) for each in step], "concat")
            else:
                x = _step(graph, x, step, avg_padding)
    return x


def _step(graph: Graph, x: Any, step: Any, avg_padding: Padding) -> Any:
    if isinstance(step, str):
        step = (step,)
    name, *numbers = step
    if name.startswith("MaxPool"):
        stride, padding = numbers or (1, "same")
        return graph.max_pool(x, name, 3, stride, padding)
    if name.startswith("AvgPool"):
        return graph.avg_pool(x, name, padding=avg_padding)
    filters, size, *rest = numbers
    stride, padding = rest or (1, "same")
    return graph.conv(x, name, filters, size, stride, padding)


def slim_head(graph: Graph, x: Any, classes: int, pool: str, logits: str, keep: float = 0.8) -> Any:
    """Mean over the image, dropout, and a 1x1 convolution under `Logits`."""
    with graph.scope("Logits"):
        x = graph.end(pool, graph.global_pool(x, pool))
        x = graph.dropout(x, "Dropout", 1 - keep)
        x = graph.conv(x, logits, classes, 1, norm=False, activation=False)
        return graph.flat(x, "SpatialSqueeze")
