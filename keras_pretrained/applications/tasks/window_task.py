"""What tasks share whose texts may be longer than a row, and are cut into windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_pretrained.applications.tasks.task import batch_rows
from keras_pretrained.applications.tasks.text_task import TextTask
from keras_pretrained.finetune.lengths import best_lengths, real_lengths


class WindowTask(TextTask):
    """A task with outputs for each token, whose rows are windows of the material."""

    def row_outputs(
        self, arrays: Mapping[str, np.ndarray], batch_size: int, **kwargs: Any
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The network's outputs, length by length.

        Args:
            arrays: rows of the network's inputs, padded behind.
            kwargs: of `keras.Model.predict`.

        Yields:
            Which rows they are, and their outputs, cut to the longest of them.
        """
        kwargs.setdefault("verbose", 0)
        real = real_lengths(arrays)
        if not len(real):
            return
        bounds = best_lengths(arrays)
        bucket = np.searchsorted(bounds, real)
        for number, length in enumerate(bounds):
            rows = np.flatnonzero(bucket == number)
            if not len(rows):
                continue
            size = batch_rows(len(rows), batch_size)
            filled = np.concatenate([rows, np.repeat(rows[:1], -len(rows) % size)])
            inputs = {name: array[filled, :length] for name, array in arrays.items()}
            yield rows, self.predict(inputs, batch_size=size, **kwargs)[: len(rows)]
