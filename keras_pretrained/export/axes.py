"""Names for the free axes of a model: batch, length, height, width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_pretrained.export.interface import Port

_TEXT_INPUTS = ("token_ids", "segment_ids", "padding_mask", "character_ids")
Axes = tuple[int | str, ...]
BATCH = "batch"


def group(name: str) -> str:
    """What inputs of one length have in common.

    The inputs of a text layer share a length: `token_ids` and `padding_mask` are one group,
    `question_token_ids` and `question_padding_mask` another. Any other input is a group of
    its own.
    """
    for text_input in _TEXT_INPUTS:
        if name.endswith(text_input):
            return name.removesuffix(text_input)
    return name


def input_axes(inputs: Sequence[Port], shared: bool = False) -> dict[str, Axes]:
    """Input name -> its shape with names for free axes.

    An axis name stands for one size, because runtimes plan memory by it. With one group the
    names are `batch`, `length`, `height`, `width`; further groups put their own name before.

    Args:
        shared: give axes of one kind one name in all groups.
    """
    free = {group(port.name) for port in inputs if None in port.shape[1:]}
    named: dict[str, Axes] = {}
    for port in inputs:
        prefix = group(port.name).strip("_")
        qualifier = "" if shared or len(free) == 1 or not prefix else f"{prefix}_"
        axes: list[int | str] = []
        for axis, size in enumerate(port.shape):
            if size is not None:
                axes.append(size)
            else:
                axes.append(BATCH if axis == 0 else qualifier + _kind(axis, len(port.shape)))
        named[port.name] = tuple(axes)
    return named


def _kind(axis: int, rank: int) -> str:
    if rank == 4:
        first = 1 if keras.config.image_data_format() == "channels_last" else 2
        names = {first: "height", first + 1: "width"}
        return names.get(axis, "channels")
    return "length" if axis == 1 else f"axis_{axis}"


def output_axes(
    outputs: Sequence[Port],
    sizes: Sequence[Mapping[str, int]],
    predictions: Sequence[Mapping[str, np.ndarray]],
) -> dict[str, Axes]:
    """Output name -> its shape with names for free axes, from predictions on several sizes.

    A free axis has the name of the input axis that it equals in every prediction, else a name
    of its own.

    Args:
        sizes: axis name -> size, of each prediction's input.
        predictions: outputs by name.
    """
    named: dict[str, Axes] = {}
    for port in outputs:
        axes: list[Any] = []
        for axis, size in enumerate(port.shape):
            if size is not None:
                axes.append(size)
                continue
            seen = [int(values[port.name].shape[axis]) for values in predictions]
            equal = [
                name
                for name in sizes[0]
                if [each[name] for each in sizes] == seen and (name == BATCH) == (axis == 0)
            ]
            axes.append(equal[0] if equal else f"{port.name}_{axis}")
        named[port.name] = tuple(axes)
    return named
