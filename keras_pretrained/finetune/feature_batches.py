"""Batches of cached features for `fit`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_pretrained.finetune.data import Layout, restored, varied_first
from keras_pretrained.finetune.feature_store import Rows


class CachedFeatures(keras.utils.PyDataset):
    """Features of a data set, batch by batch, for the suffix of the model that they are of.

    `fit` itself takes batches in random order, unless it is told `shuffle=False`.

    Attributes:
        rows: number of examples.
        nbytes: size of the features, in memory or on disk.
        computed: number of examples that were run through the frozen stages for this; 0 when
            all were found on disk.
    """

    def __init__(
        self,
        rows: Rows,
        layout: Layout,
        dtypes: Mapping[str, str],
        computed: int,
        batch_size: int | None = None,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._rows = rows
        self._layout = layout
        self._dtypes = dict(dtypes)
        self.rows = rows.count
        self.nbytes = rows.nbytes
        self.computed = computed
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._random = np.random.default_rng(seed)
        # Of each example of the data, which row of its group it is.
        self._row_of = np.concatenate([own for _, own in rows.batches])
        ends = np.cumsum([0, *(len(own) for _, own in rows.batches)])
        spans = [np.arange(start, stop) for start, stop in itertools.pairwise(ends)]
        self._batches = [
            (group, span) for (group, _), span in zip(rows.batches, spans, strict=True)
        ]
        self._plan = self._planned()

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        group, examples = self._plan[index]
        chosen = self._row_of[examples]
        arrays = self._rows.groups[group].arrays
        features = {name: np.asarray(arrays[name][chosen], t) for name, t in self._dtypes.items()}

        def read(name: str) -> np.ndarray:
            return np.asarray(arrays[name][chosen])

        parts: tuple[Any, ...] = (self._layout.targets, self._layout.weights)
        while parts and parts[-1] is None:
            parts = parts[:-1]
        found = [None if part is None else keras.tree.map_structure(read, part) for part in parts]
        return (features, *found)

    def restore(self, predictions: Any) -> Any:
        """What `predict` returned for these features, in the order of the data they are of.

        It differs only where the data have rows of several shapes.

        Raises:
            ValueError: the features are shuffled, so that their order is another one by now.
        """
        if self._shuffle:
            raise ValueError("Predictions can be restored where shuffle=False only.")
        order = [examples for _, examples in self._plan]
        ends = np.cumsum([0, *map(len, order)])
        taken = [np.arange(start, stop) for start, stop in itertools.pairwise(ends)]
        return restored(predictions, taken, order)

    def on_epoch_end(self) -> None:
        if self._shuffle:
            self._plan = self._planned()

    def _planned(self) -> list[tuple[int, np.ndarray]]:
        """For each batch its group, and its examples by their places in the data."""
        if not self._shuffle and self._batch_size is None:
            return varied_first(self._batches)
        groups = sorted({group for group, _ in self._batches})
        plan = [(group, examples) for group in groups for examples in self._chunks(group)]
        if self._shuffle:
            plan = [plan[index] for index in self._random.permutation(len(plan))]
        return varied_first(plan)

    def _chunks(self, group: int) -> list[np.ndarray]:
        own = [examples for number, examples in self._batches if number == group]
        size = self._batch_size or max(map(len, own))
        order = np.concatenate(own)
        if self._shuffle:
            order = self._random.permutation(order)
        chunks = [order[start : start + size] for start in range(0, len(order), size)]
        if self._shuffle:
            # Within a batch the order says nothing, and files are best read forward.
            chunks = [chunk[np.argsort(self._row_of[chunk])] for chunk in chunks]
        return chunks
