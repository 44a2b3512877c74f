"""Which of our own layers reads the variables of a SavedModel."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from keras_pretrained.checkpoints import Checkpoint, CheckpointError, open_checkpoint
from keras_pretrained.layers.text.encoder_source import read_source
from keras_pretrained.weights import WeightsError, select_map


def native_layer(source: str | os.PathLike[str]) -> type[Any] | None:
    """The layer of this library that loads a SavedModel natively, if there is one.

    Only the names, shapes and types of its variables are read: each must be one that the layer
    loads or knows to leave out, and they must tell the layer's sizes. `native_layer(path)(path)`
    then has the same weights, with all that a SavedModel lacks: depth, hidden states, XLA, other
    backends, a tokenizer.

    Args:
        source: the folder of a SavedModel.
    """
    folder = Path(source)
    try:
        checkpoint = open_checkpoint(folder)
    except (CheckpointError, FileNotFoundError):
        return None
    if checkpoint.format != "saved-model":
        return None
    found = {layer: _known(layer, checkpoint) for layer in _layers()}
    best = max(found.values())
    fitting = [layer for layer, count in found.items() if count == best and count > 0]
    return fitting[0] if len(fitting) == 1 and _tells_sizes(fitting[0], folder) else None


def native_advice(source: str | os.PathLike[str]) -> str:
    """A sentence for an error message, or nothing."""
    layer = native_layer(source)
    if layer is None:
        return ""
    return f" Its variables are those of a {layer.__name__}, which trains at any depth: use that."


@cache
def _layers() -> tuple[type[Any], ...]:
    # Not at the top: this file is imported with all layers.
    from keras_pretrained import layers

    found = [getattr(layers, name) for name in layers.__all__]
    return tuple(layer for layer in found if hasattr(layer, "reader"))


def _known(layer: type[Any], checkpoint: Checkpoint) -> int:
    """How many tensors a layer loads, or 0 if there are any that it does not know."""
    try:
        weight_map = select_map(checkpoint, layer.weight_maps, {})
    except WeightsError:
        return 0
    known = weight_map.known(checkpoint, {})
    others = (name for name in checkpoint if name not in known)
    return len(known) if all(map(weight_map.reason_to_ignore, others)) else 0


def _tells_sizes(layer: type[Any], folder: Path) -> bool:
    try:
        read_source(layer, folder)
    except (ValueError, OSError):
        return False
    return True
