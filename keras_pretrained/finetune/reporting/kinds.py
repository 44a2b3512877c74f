"""Which kind of answers a model gives: a class, several labels, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_pretrained.finetune.reporting.answers import Answers, Classes, Numbers, SeveralLabels


def answers_for(
    outputs: np.ndarray, targets: np.ndarray, loss: Any, labels: Sequence[Any] | None
) -> Answers:
    """The kind that a loss, or without one the first batch, tells.

    Args:
        loss: as `compile` was given it, or None.
        labels: names of the classes; numbers by default.

    Raises:
        ValueError: a wrong number of labels.
    """
    name, width = _name(loss), outputs.shape[1]
    if not _is_of_classes(name, outputs, targets):
        return Numbers()
    single = width == 1
    several = not single and (
        "binary" in name
        or (not name and targets.shape == outputs.shape and (targets.sum(axis=1) != 1).any())
    )
    count = 2 if single else width
    names = [str(label) for label in (range(count) if labels is None else labels)]
    if len(names) != count:
        raise ValueError(
            f"The model tells {count} classes. Received {len(names)} labels: {names[:10]}"
        )
    logits = getattr(loss, "from_logits", None) or _are_logits(outputs, single or several)
    return SeveralLabels(names, logits) if several else Classes(names, single, logits)


def _is_of_classes(name: str, outputs: np.ndarray, targets: np.ndarray) -> bool:
    if "crossentropy" in name:
        return True
    if targets.size == len(targets) and outputs.shape[1] > 1:
        return bool((targets == targets.astype(int)).all())
    return not name and bool(np.isin(targets, (0, 1)).all())


def _name(loss: Any) -> str:
    """`sparse_categorical_crossentropy` and the like; `""` for a loss that Keras does not know."""
    parts = keras.tree.flatten(loss)
    found = parts[0] if len(parts) == 1 else None
    if isinstance(found, str):
        found = keras.losses.get(found)
    name = getattr(found, "name", None) or getattr(found, "__name__", "")
    return str(name) if hasattr(keras.losses, str(name)) else ""


def _are_logits(outputs: np.ndarray, each: bool) -> bool:
    """Whether outputs are no probabilities, one for each or with the sum 1."""
    is_one = each or np.allclose(outputs.sum(axis=1), 1, atol=1e-2)
    return bool((outputs < 0).any() or (outputs > 1).any() or not is_one)
