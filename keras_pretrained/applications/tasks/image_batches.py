"""Images that are read and prepared as they are needed, in batches of one size."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from keras_pretrained.finetune.data import restored

Example = tuple[np.ndarray, ...]
_THREADS = min(os.cpu_count() or 1, 8)


class ImageBatches(keras.utils.PyDataset):
    """Batches of examples, of which no more are in memory than are being worked on.

    Any batch may be taken at any time, from several threads.

    Args:
        load: number of an example -> `(image,)`, or `(image, target)`.
        count: how many examples there are.
        weights: (count,), or None.
        batch_size: examples of a batch.
        fill: whether the last batch is filled up to the size of the others with copies of weight
            0: a step is compiled anew for each shape.
        shuffle: whether each epoch has another order.
        seed: of these orders.
        augment: a Keras layer that changes images of 0 to 255 at random, and masks with them.
        masks: whether a target is a mask; its weight is then one number a pixel.
    """

    def __init__(
        self,
        load: Callable[[int], Example],
        count: int,
        weights: Any = None,
        batch_size: int = 32,
        fill: bool = True,
        shuffle: bool = False,
        seed: int = 0,
        augment: Any = None,
        masks: bool = False,
    ) -> None:
        super().__init__()
        self._load = load
        self._count = count
        self._weights = np.ones(count) if weights is None else np.asarray(weights)
        self._batch_size = batch_size
        self._fill = fill
        self._shuffle = shuffle
        self._random = np.random.default_rng(seed)
        self._augment = augment
        # A layer draws its random numbers from a state that is not made for several threads.
        self._augmenting = threading.Lock()
        self._masks = masks
        self._order = self._ordered()

    def __len__(self) -> int:
        return -(-self._count // self._batch_size)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        start = number * self._batch_size
        rows = self._order[start : start + self._batch_size]
        # Reading and resizing files leaves Python's lock to others.
        with ThreadPoolExecutor(_THREADS) as pool:
            examples = list(pool.map(self._load, rows.tolist()))
        missing = self._batch_size - len(rows) if self._fill else 0
        arrays = [np.stack(each) for each in zip(*examples, *examples[:1] * missing, strict=True)]
        if self._augment is not None:
            arrays = self._augmented(*arrays)
        if len(arrays) == 1:
            return (arrays[0],)
        weights = np.pad(self._weights[rows], (0, missing)).astype("float32")
        if self._masks:
            weights = np.broadcast_to(weights[:, None, None], arrays[1].shape)
        return arrays[0], arrays[1], weights

    def restore(self, predictions: Any) -> Any:
        """What `predict` returned for this data set, without the copies."""
        return restored(predictions, [np.arange(self._count)], [np.arange(self._count)])

    def on_epoch_end(self) -> None:
        self._order = self._ordered()

    def _ordered(self) -> np.ndarray:
        rows = np.arange(self._count)
        return self._random.permutation(rows) if self._shuffle else rows

    def _augmented(self, images: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
        with self._augmenting:
            if self._masks:
                given = {"images": images, "segmentation_masks": targets[..., None]}
                made = self._augment(given, training=True)
                masks = keras.ops.convert_to_numpy(made["segmentation_masks"])[..., 0]
                targets = np.rint(masks).astype(targets.dtype)
                made = made["images"]
            else:
                made = self._augment(images, training=True)
        changed = keras.ops.convert_to_numpy(made)
        if changed.shape != images.shape or targets.shape[:1] != images.shape[:1]:
            raise ValueError(
                f"`augment` must keep the shape of images, {images.shape}. Received: "
                f"{changed.shape} from {self._augment!r}"
            )
        return [changed, targets]
