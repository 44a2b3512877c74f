"""The head of a fine-tuned checkpoint, for a task of the same kind."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_pretrained.checkpoints import open_checkpoint
from keras_pretrained.presets import read_json, resolve


@dataclass(frozen=True)
class PublishedHead:
    """A dense layer on the vectors of tokens.

    Attributes:
        kernel, bias: (hidden size, outputs) and (outputs,).
        labels: the names of the outputs, where the checkpoint's configuration has them.
    """

    kernel: np.ndarray
    bias: np.ndarray
    labels: tuple[str, ...] | None = None


def published_head(
    source: Any, options: Mapping[str, Any], names: Sequence[tuple[str, str]], kind: str
) -> PublishedHead | None:
    """The head that stands in a source's checkpoint beside the network; None where there is none.

    Args:
        source: a preset, a path, or a layer, which has none.
        options: of the layer; `weights` names another checkpoint, or none.
        names: of the tensors, (weights, bias), in each dialect; weights are (outputs, hidden size).
        kind: what Hugging Face calls the task, e.g. `"TokenClassification"`.
    """
    weights = options.get("weights", "auto")
    if weights is None or not isinstance(source, str | os.PathLike):
        return None
    located = resolve(source if weights == "auto" else weights)
    config = read_json(located.config) if located.config else {}
    made_for = config.get("architectures")
    # A classifier of whole texts has tensors of the same names.
    if made_for and not any(str(each).endswith(f"For{kind}") for each in made_for):
        return None
    checkpoint = open_checkpoint(located.weights)
    for kernel, bias in names:
        if kernel in checkpoint and bias in checkpoint and len(checkpoint[kernel].shape) == 2:
            held = np.array(checkpoint[kernel].read().T), np.array(checkpoint[bias].read())
            return PublishedHead(*held, _labels(config, len(held[1])))
    return None


def _labels(config: Mapping[str, Any], count: int) -> tuple[str, ...] | None:
    """Of `id2label`, if it names each output once."""
    stored = config.get("id2label")
    if not isinstance(stored, Mapping):
        return None
    named = [stored.get(str(number)) for number in range(count)]
    if len(set(named)) != count or not all(isinstance(name, str) for name in named):
        return None
    return tuple(map(str, named))
