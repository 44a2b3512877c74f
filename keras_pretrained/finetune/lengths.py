"""Batches of texts of like length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import keras
import numpy as np

from keras_pretrained.finetune.data import (
    check_counts,
    check_size,
    from_lists,
    numpy_of,
    restored,
    varied_first,
)


def bucket_by_length(
    inputs: Mapping[str, Any],
    targets: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    tokens: int | None = None,
    lengths: Sequence[int] | None = None,
    fill: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    rows_per_example: int = 1,
    per_token: bool = False,
) -> LengthBuckets:
    """Batches of texts of like length, cut to the length of their bucket.

    A row costs what its length is, padding included; of short texts padded to 128, most of a
    batch is padding. Outputs are those of the whole rows. There are only as many lengths as there
    are buckets, because a step is compiled anew for each shape.

    Args:
        inputs: what a tokenizer gives: arrays (texts, any length, ...) under
            `padding_mask`, `token_ids` and the like, padded behind the text.
        targets, sample_weight: arrays (texts, ...), or structures of them.
        batch_size: rows of a batch; 32 by default.
        tokens: places of a batch instead, padding included: batches of short texts have more
            rows, `tokens // length`.
        lengths: of the buckets; by default 16, 32, 64, ... up to the longest text.
        fill: whether the last batch of a bucket is filled up to the size of the others, with
            copies of its first row that have the weight 0: shapes are static then, as TPUs need
            them.
        shuffle: whether each epoch has other batches in another order.
        seed: of the shuffling.
        rows_per_example: how many rows that follow each other belong together, such as the two
            sides of a pair: they stay side by side, and `targets`, `sample_weight` and
            `batch_size` count examples.
        per_token: whether `targets` and `sample_weight` have one value a token, (texts, any
            length), and are cut as the inputs are.

    Returns:
        A `keras.utils.PyDataset` for `fit` and `predict`; `restore(predictions)` puts what
        `predict` returns into the order of `inputs`.

    Raises:
        ValueError: inputs that are not padded behind the text, or texts longer than any bucket;
            more or fewer targets or weights than texts.

    Example:

    ```python
    ids = encoder.tokenizer(texts, pad_to=128)
    model.fit(finetune.bucket_by_length(ids, labels, batch_size=32, shuffle=True), epochs=3)
    batches = finetune.bucket_by_length(ids)
    logits = batches.restore(model.predict(batches))
    ```
    """
    return LengthBuckets(
        inputs,
        targets,
        sample_weight,
        batch_size,
        tokens,
        lengths,
        fill,
        shuffle,
        seed,
        rows_per_example,
        per_token,
    )


def real_lengths(
    arrays: Mapping[str, np.ndarray], needed: Sequence[str] = ("padding_mask",)
) -> np.ndarray:
    """The number of real tokens of each row.

    Args:
        needed: the arrays that must be there, `padding_mask` among them.

    Raises:
        ValueError: inputs without a mask, or with padding before a real token.
    """
    missing = sorted(set(needed) - set(arrays))
    if missing:
        raise ValueError(
            f"Expected the arrays that a tokenizer gives. Missing: {', '.join(missing)}"
        )
    mask = np.asarray(arrays["padding_mask"]) != 0
    lengths = mask.sum(axis=1)
    before = (mask != (np.arange(mask.shape[1])[None] < lengths[:, None])).any(axis=1)
    if before.any():
        raise ValueError(
            f"Expected padding behind the text only. Row {int(before.argmax())} has some before a "
            "real token."
        )
    return np.asarray(lengths)


class LengthBuckets(keras.utils.PyDataset):
    """Batches of one length each; see `bucket_by_length`.

    Attributes:
        places: places of all batches of an epoch, padding included.
        real: real tokens among them.
    """

    def __init__(
        self,
        inputs: Mapping[str, Any],
        targets: Any,
        sample_weight: Any,
        batch_size: int | None,
        tokens: int | None,
        lengths: Sequence[int] | None,
        fill: bool,
        shuffle: bool,
        seed: int,
        rows_per_example: int,
        per_token: bool,
    ) -> None:
        super().__init__()
        if batch_size is not None and tokens is not None:
            raise ValueError("Expected `batch_size` or `tokens`, not both.")
        check_size("batch_size", batch_size)
        check_size("tokens", tokens)
        self._arrays = {name: numpy_of(array) for name, array in inputs.items()}
        rows = real_lengths(self._arrays)
        check_counts(len(rows), inputs=self._arrays)
        if rows_per_example < 1 or len(rows) % rows_per_example:
            raise ValueError(
                f"Expected a multiple of rows_per_example={rows_per_example} rows. "
                f"Received: {len(rows)} rows"
            )
        self._rows_per_example = rows_per_example
        self._per_token = per_token
        real = rows.reshape(-1, rows_per_example).max(axis=1)
        self._width = self._arrays["padding_mask"].shape[1]
        self._targets = _as_arrays(targets)
        self._weights = _as_arrays(sample_weight)
        check_counts(len(real), targets=self._targets, sample_weight=self._weights)
        self._fill, self._shuffle = fill, shuffle
        self._random = np.random.default_rng(seed)
        bounds = _bounds(real, lengths, self._width)
        bucket = np.searchsorted(bounds, real)
        self._buckets = [
            (length, np.flatnonzero(bucket == number), self._size(length, batch_size, tokens))
            for number, length in enumerate(bounds)
            if (bucket == number).any()
        ]
        self._plan = self._planned()
        self.real = int(rows.sum())
        self.places = rows_per_example * sum(
            length * (size if fill else len(own)) for length, own, size in self._plan
        )

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        length, rows, size = self._plan[number]
        count = len(rows)
        if self._fill:
            rows = np.concatenate([rows, np.repeat(rows[:1], size - count)])
        own = self._rows_of(rows)
        inputs = {name: self._cut(array[own], length) for name, array in self._arrays.items()}
        if self._targets is None:
            return (inputs,)
        targets = self._chosen(self._targets, rows, length)
        weights = self._weights_of(rows, count, length)
        return (inputs, targets) if weights is None else (inputs, targets, weights)

    def restore(self, predictions: Any) -> Any:
        """What `predict` returned for this data set, in the order of its inputs.

        Raises:
            ValueError: the data set shuffles, so that its order is another one by now.
        """
        if self._shuffle:
            raise ValueError("Predictions can be restored where shuffle=False only.")
        sizes = [size if self._fill else len(rows) for _, rows, size in self._plan]
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        examples = [rows for _, rows, _ in self._plan]
        taken = [start + np.arange(len(own)) for start, own in zip(starts, examples, strict=True)]
        return restored(predictions, [*map(self._rows_of, taken)], [*map(self._rows_of, examples)])

    def on_epoch_end(self) -> None:
        if self._shuffle:
            self._plan = self._planned()

    def _planned(self) -> list[tuple[int, np.ndarray, int]]:
        """For each batch its length, its rows, and how many rows its bucket's batches have."""
        plan = []
        for length, rows, size in self._buckets:
            order = self._random.permutation(rows) if self._shuffle else rows
            plan += [(length, order[i : i + size], size) for i in range(0, len(rows), size)]
        if self._shuffle:
            plan = [plan[number] for number in self._random.permutation(len(plan))]
        return varied_first(plan)

    def _size(self, length: int, batch_size: int | None, tokens: int | None) -> int:
        """How many examples a batch of this length has."""
        if tokens is None:
            return batch_size or 32
        return max(1, tokens // (length * self._rows_per_example))

    def _rows_of(self, examples: np.ndarray) -> np.ndarray:
        """The rows of examples, in order."""
        count = self._rows_per_example
        return (examples[:, None] * count + np.arange(count)).ravel()

    def _cut(self, array: np.ndarray, length: int) -> np.ndarray:
        is_row = array.ndim > 1 and array.shape[1] == self._width
        return array[:, :length] if is_row else array

    def _chosen(self, structure: Any, rows: np.ndarray, length: int) -> Any:
        def chosen(array: np.ndarray) -> np.ndarray:
            return self._cut(array[rows], length) if self._per_token else array[rows]

        return keras.tree.map_structure(chosen, structure)

    def _weights_of(self, rows: np.ndarray, count: int, length: int) -> Any:
        if self._weights is None and not self._fill:
            return None
        weights = self._weights
        if weights is None:
            count_all = len(self._arrays["padding_mask"]) // self._rows_per_example
            weights = np.ones(count_all, "float32")

        def without_copies(array: np.ndarray) -> np.ndarray:
            array[count:] = 0
            return array

        return keras.tree.map_structure(without_copies, self._chosen(weights, rows, length))


def _as_arrays(structure: Any) -> Any:
    if structure is None:
        return None
    return keras.tree.map_structure(numpy_of, from_lists(structure))


def _bounds(real: np.ndarray, lengths: Sequence[int] | None, width: int) -> list[int]:
    longest = int(real.max(initial=1))
    if lengths is None:
        bounds = [min(16, width)]
        while bounds[-1] < longest:
            bounds.append(min(bounds[-1] * 2, width))
        return bounds
    bounds = sorted(set(map(int, lengths)))
    if not bounds or bounds[0] < 1 or not longest <= bounds[-1] <= width:
        raise ValueError(
            f"Expected the last of `lengths` to lie between the longest text, {longest} tokens, "
            f"and the length of the inputs, {width}. Received: {lengths}"
        )
    return bounds


def best_lengths(arrays: Mapping[str, np.ndarray], count: int = 2) -> list[int]:
    """Lengths for `bucket_by_length` of which there are few: those with the fewest places.

    Each length costs a compilation, of seconds; a step costs what its places are.

    Args:
        arrays: what a tokenizer gives.
        count: the most lengths.
    """
    real, width = real_lengths(arrays), np.asarray(arrays["padding_mask"]).shape[1]
    choices = _bounds(real, None, width)
    top = choices.pop()
    plans = [[*some, top] for size in range(count) for some in combinations(choices, size)]

    def places(lengths: list[int]) -> int:
        return int(np.take(lengths, np.searchsorted(lengths, real)).sum())

    return min(plans, key=places)
