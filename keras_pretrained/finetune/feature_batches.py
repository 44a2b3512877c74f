"""Batches of cached features for `fit`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_pretrained.finetune.data import Layout, restored, varied_first
from keras_pretrained.finetune.feature_store import BatchRows, Rows


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
        self._plan = self._planned()

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        group, chosen = self._plan[index]
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
        begin = np.cumsum([0, *(each.count for each in self._rows.batches)])
        place = [np.empty(0, int) for _ in self._rows.groups]
        for start, each in zip(begin, self._rows.batches, strict=False):
            own = start + np.arange(each.count)
            place[each.group] = np.concatenate([place[each.group], own])
        order = [place[group][chosen] for group, chosen in self._plan]
        ends = np.cumsum([0, *map(len, order)])
        taken = [np.arange(a, b) for a, b in itertools.pairwise(ends)]
        return restored(predictions, taken, order)

    def on_epoch_end(self) -> None:
        if self._shuffle:
            self._plan = self._planned()

    def _planned(self) -> list[tuple[int, Any]]:
        """For each batch its group and which rows of it."""
        stored = self._rows.batches
        if not self._shuffle and self._batch_size is None:
            rows = [(each.group, slice(each.start, each.start + each.count)) for each in stored]
            return varied_first(rows)
        plan: list[tuple[int, Any]] = []
        for group in range(len(self._rows.groups)):
            own = [each for each in stored if each.group == group]
            plan += [(group, chosen) for chosen in self._chunks(own)]
        if self._shuffle:
            plan = [plan[index] for index in self._random.permutation(len(plan))]
        return varied_first(plan)

    def _chunks(self, own: list[BatchRows]) -> list[np.ndarray]:
        if not own:
            return []
        count = sum(each.count for each in own)
        size = self._batch_size or max(each.count for each in own)
        order = self._random.permutation(count) if self._shuffle else np.arange(count)
        # Within a batch the order says nothing, and files are best read forward.
        return [np.sort(order[start : start + size]) for start in range(0, count, size)]
