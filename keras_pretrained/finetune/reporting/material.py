"""Validation data as users have them: batches, arrays, lists of texts, or a task's material."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class Material:
    """Data for a model.

    Attributes:
        batches: what `keras_pretrained.finetune.data.Batches` takes.
        texts: of each example in the order of the data, or None.
    """

    batches: Any
    texts: Sequence[str] | None

    def text(self, number: int) -> str | None:
        """Of an example, by its place in the data."""
        if self.texts is None:
            return None
        if number >= len(self.texts):
            raise ValueError(
                f"Received {len(self.texts)} texts, and the validation data have more examples."
            )
        return self.texts[number]

    def numbers(self, rows: int) -> np.ndarray:
        """For each row of the batches, its place in the data; -1 for one that fills a batch."""
        found = np.arange(rows)
        if hasattr(self.batches, "restore"):
            # Batches by length have an order of their own.
            order = self.batches.restore(found)
            found = np.full(rows, -1)
            found[order] = np.arange(len(order))
        return found


def material_of(model: keras.Model, data: Any, texts: Any, batch_size: int | None) -> Material:
    """The data of `validation=`, as a model takes them.

    A task of `keras_pretrained.applications` makes batches of texts and images by itself.
    """
    known = _joined(texts)
    if isinstance(data, tuple) and 1 < len(data) <= 3:
        inputs, *rest = data
        if hasattr(model, "is_material") and model.is_material(inputs):
            size = {} if batch_size is None else {"batch_size": batch_size}
            return Material(model.batches(inputs, *rest, **size), known or _joined(inputs))
        if _are_texts(inputs):
            # Keras takes a list for so many inputs.
            inputs = np.array(inputs, object)
        data = (inputs, *(np.asarray(x) if isinstance(x, list) else x for x in rest))
        count = len(keras.tree.flatten(inputs)[0])
        if known is not None and len(known) != count:
            raise ValueError(f"Received {len(known)} texts and {count} examples to validate with.")
    return Material(data, known)


def _joined(texts: Any) -> Sequence[str] | None:
    """One text an example; those of a pair on lines of their own. None for other material."""
    if texts is None:
        return None
    if isinstance(texts, str):
        raise TypeError(f"Expected a list of texts. Received one text: {texts[:40]!r}")
    if isinstance(texts, tuple) and len(texts) == 2 and not isinstance(texts[0], str):
        texts = list(zip(*texts, strict=True))
    found = [text if isinstance(text, str) else _lines(text) for text in texts]
    known = [text for text in found if text is not None]
    return known if len(known) == len(found) else None


def _lines(parts: Any) -> str | None:
    is_pair = isinstance(parts, tuple | list) and all(isinstance(part, str) for part in parts)
    return "\n".join(parts) if is_pair else None


def _are_texts(inputs: Any) -> bool:
    return isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], str)
