"""Several short texts in one row, so that a batch is work and not padding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_pretrained.finetune.data import check_counts
from keras_pretrained.finetune.lengths import real_lengths


@dataclass(frozen=True)
class PackedTexts:
    """Texts side by side in rows of one length; `pack` makes it.

    Attributes:
        inputs: for an encoder: `token_ids`, `padding_mask` and the like (rows, length), and
            `text_starts` (rows, texts), where each text begins.
        index: (rows, texts), the number of each text in the original order; -1 for none.
    """

    inputs: dict[str, np.ndarray]
    index: np.ndarray

    def targets(self, values: Any) -> tuple[np.ndarray, np.ndarray]:
        """One value a text -> targets (rows, texts, ...) and their weights (rows, texts).

        Both are for `fit(packed.inputs, targets, sample_weight=weights)`. Places
        without a text have the weight 0.

        Raises:
            ValueError: more or fewer values than texts.
        """
        values = np.asarray(values)
        there = self.index >= 0
        check_counts(int(there.sum()), values=values)
        targets = np.zeros((*self.index.shape, *values.shape[1:]), values.dtype)
        targets[there] = values[self.index[there]]
        return targets, there.astype("float32")

    def unpack(self, outputs: Any) -> np.ndarray:
        """Outputs (rows, texts, ...) of a model -> one for each text, in the original order."""
        outputs = np.asarray(outputs)
        there = self.index >= 0
        found = np.empty((int(there.sum()), *outputs.shape[2:]), outputs.dtype)
        found[self.index[there]] = outputs[there]
        return found

    def symbolic_inputs(self) -> dict[str, Any]:
        """Keras inputs of these shapes, for a model."""
        return {
            name: keras.Input(array.shape[1:], dtype="int32", name=name)
            for name, array in self.inputs.items()
        }


def pack(
    inputs: Mapping[str, Any], length: int | None = None, texts_per_row: int = 8
) -> PackedTexts:
    """Puts several texts into each row, so that few places are padding.

    An encoder that is given `text_starts` lets every text attend to itself only, counts its
    positions anew, and pools text by text: its outputs are those of one text a row. All rows
    have one shape.

    Args:
        inputs: what a tokenizer gives: arrays (texts, any length) under `token_ids`,
            `padding_mask` and the like, padded behind the text.
        length: of a row; by default that of `inputs`.
        texts_per_row: the most texts in one row, which is a size of the outputs.

    Raises:
        ValueError: a text longer than a row; inputs that are not padded behind the text.

    Example:

    ```python
    ids = encoder.tokenizer(texts, pad_to=128)
    packed = finetune.pack(ids, texts_per_row=8)
    inputs = packed.symbolic_inputs()
    model = keras.Model(inputs, keras.layers.Dense(2)(encoder(inputs)))
    model.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    targets, weights = packed.targets(labels)
    model.fit(packed.inputs, targets, sample_weight=weights, epochs=3)
    logits = packed.unpack(model.predict(packed.inputs))
    ```
    """
    arrays = {name: np.asarray(array) for name, array in inputs.items()}
    lengths = real_lengths(arrays, ("token_ids", "padding_mask"))
    width = arrays["token_ids"].shape[1] if length is None else length
    if texts_per_row < 1:
        raise ValueError(f"`texts_per_row` must be at least 1. Received: {texts_per_row!r}")
    if len(lengths) == 0 or lengths.max() > width:
        found = "no text" if len(lengths) == 0 else f"a text of {lengths.max()} tokens"
        raise ValueError(f"Expected texts of at most length={width} tokens. Received: {found}")
    rows = _rows(lengths, width, texts_per_row)
    index = np.full((len(rows), texts_per_row), -1)
    starts = np.full((len(rows), texts_per_row), width, "int32")
    packed = {name: np.zeros((len(rows), width), "int32") for name in arrays}
    packed["token_ids"] += _pad_id(arrays)
    for row, texts in enumerate(rows):
        begin = 0
        for place, text in enumerate(texts):
            end = begin + lengths[text]
            index[row, place], starts[row, place] = text, begin
            for name, array in arrays.items():
                packed[name][row, begin:end] = array[text, : lengths[text]]
            begin = end
    return PackedTexts({**packed, "text_starts": starts}, index)


def _rows(lengths: np.ndarray, width: int, limit: int) -> list[list[int]]:
    """Which texts share a row: the longest first, each into the fullest row that has room."""
    room: dict[int, list[list[int]]] = {}
    rows = []
    for text in np.argsort(-lengths, kind="stable").tolist():
        size = int(lengths[text])
        free = next((free for free in range(size, width + 1) if room.get(free)), None)
        if free is None:
            row: list[int] = []
            rows.append(row)
            free = width
        else:
            row = room[free].pop()
        row.append(text)
        if len(row) < limit:
            room.setdefault(free - size, []).append(row)
    return rows


def _pad_id(arrays: Mapping[str, np.ndarray]) -> int:
    """What the tokenizer filled rows up with."""
    padding = arrays["token_ids"][arrays["padding_mask"] == 0]
    return int(padding[0]) if padding.size else 0
