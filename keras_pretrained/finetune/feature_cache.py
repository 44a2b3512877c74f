"""The frozen part of a network computed once for a whole data set."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import filelock
import keras
import numpy as np

from keras_pretrained.finetune.cut import Cut
from keras_pretrained.finetune.data import Batches, Example, digest_in_order, digest_of
from keras_pretrained.finetune.feature_batches import CachedFeatures
from keras_pretrained.finetune.feature_store import (
    INDEX,
    DiskStore,
    MemoryStore,
    Rows,
    Store,
    dtype_of,
    opened,
)

_IRRELEVANT = ("name", "trainable", "trainable_from", "jit_compile")
"""What a configuration says that does not change the features."""


def cache_features(
    dataset: Any,
    network: Any,
    path: str | os.PathLike[str] | None = None,
    dtype: str | None = None,
    batch_size: int | None = None,
    shuffle: bool = False,
    seed: int = 0,
) -> CachedFeatures:
    """Runs the frozen stages of a model once over a data set, and keeps what they give.

    Training goes on from there with `suffix(model)`, which shares the model's layers, at the cost
    of the stages that train: the frozen ones give the same features in every epoch. Losses are
    those of training the whole model, but for the rounding of a smaller `dtype`.

    Args:
        dataset: batches of `(inputs, targets)` or `(inputs, targets, sample_weights)` for the
            model: a `tf.data.Dataset`, a `keras.utils.PyDataset`, any other object that gives the
            same batches each time it is iterated; or a tuple of arrays.
        network: a functional model that calls one pretrained layer, whose `trainable_from` says
            what is frozen, or that layer alone.
        path: a folder for the features, which stay there for later runs; None keeps them in
            memory. They are read as they are needed, so they may be larger than the memory. The
            folder may hold those of several data sets and depths: each is known by a hash of the
            frozen weights, the configuration, the depth and the data, and is made anew when one
            of these has changed. A run that was broken off goes on where it was.
        dtype: `"float16"` or `"bfloat16"` to keep numbers in half the space.
        batch_size: rows of a batch; by default the batches of `dataset`, or 32 for arrays.
        shuffle: whether each epoch has other batches of rows in another order. Rows of a batch are
            of one shape.
        seed: of the shuffling.

    Returns:
        A `keras.utils.PyDataset` for `suffix(network)`.

    Raises:
        ValueError: nothing is frozen; dropout, augmentation or trainable layers before the
            backbone, frozen layers that keep states between batches, or data that differ in each
            epoch, would change the features; numbers too large for `dtype`; inputs, targets and
            weights of different numbers of rows.

    Example:

    ```python
    encoder = BertEncoder("minilm-l6", trainable_from=4, pooling="mean")
    inputs = encoder.symbolic_inputs()
    model = keras.Model(inputs, keras.layers.Dense(2)(encoder(inputs)))
    features = finetune.cache_features(dataset, model, path="features")
    head = finetune.suffix(model)
    head.compile("adamw", "mse")
    head.fit(features, epochs=10)
    model.predict(inputs)  # It has learned what the suffix has.
    ```
    """
    if dtype not in (None, "float16", "bfloat16", "float32"):
        raise ValueError(
            f"`dtype` must be None, 'float16', 'bfloat16' or 'float32'. Received: {dtype!r}"
        )
    _check_not_material(dataset, network)
    batches = Batches(dataset, batch_size)
    cut = Cut(network)
    task = _Task(cut, batches, dtype)
    rows = task.in_memory() if path is None else task.on_disk(Path(path))
    return CachedFeatures(rows, task.layout, task.dtypes, task.computed, batch_size, shuffle, seed)


def _check_not_material(dataset: Any, network: Any) -> None:
    """Raises ValueError for texts or images that only a task itself makes batches of."""
    inputs = dataset[0] if isinstance(dataset, tuple) and dataset else dataset
    if hasattr(network, "is_material") and network.is_material(inputs):
        raise ValueError(
            f"Expected batches or arrays for the network of {network.name!r}. Received: its "
            "material. Pass `model.batches(x, y)`; its `restore` then puts predictions into the "
            "order of the material, after that of the features."
        )


class _Task:
    """The features of one data set being made.

    Attributes:
        computed: number of rows for which the frozen stages were run.
        layout: how a batch is put together from arrays.
        dtypes: name -> type that the suffix takes.
    """

    def __init__(self, cut: Cut, batches: Batches, dtype: str | None) -> None:
        self._cut = cut
        self._batches = batches
        self._dtype = dtype
        self.computed = 0
        self.dtypes = {tensor.name: tensor.dtype for tensor in cut.suffix.inputs}

    @property
    def layout(self) -> Any:
        return self._batches.layout

    def in_memory(self) -> Rows:
        store = MemoryStore()
        return store.finish("", self._write(store))

    def on_disk(self, folder: Path) -> Rows:
        folder.mkdir(parents=True, exist_ok=True)
        key = self._key()
        # One process computes; another that wants the same waits, and finds it done.
        with filelock.FileLock(folder / f"{key}.lock"):
            done = [each for each in folder.glob(f"{key}-*") if (each / INDEX).is_file()]
            if done:
                seen = [example.hashes() for example in self._batches]
                target = folder / f"{key}-{digest_of(seen)}"
                rows = opened(target, seen) if target in done else None
                if rows is not None:
                    return rows
            first = [digest_in_order(example.hashes()) for example in islice(self._batches, 1)]
            store = DiskStore(folder / f"{key}.{''.join(first)}.partial")
            try:
                seen = self._write(store)
            except BaseException:
                store.close()
                raise
            return store.finish(f"{key}-{digest_of(seen)}", seen)

    def _write(self, store: Store) -> list[np.ndarray]:
        """Computes what is not there yet; the hashes of the data, batch by batch."""
        seen: list[np.ndarray] = []
        for index, example in enumerate(self._batches):
            hashes = example.hashes()
            seen.append(hashes)
            digest = digest_in_order(hashes)
            if not store.kept(index, digest):
                store.add(self._stored(example), digest)
                self.computed += len(hashes)
        # Nothing behind the last batch: it was there if the data set was longer once.
        store.kept(len(seen), "")
        self._check_again(seen)
        return seen

    def _stored(self, example: Example) -> dict[str, np.ndarray]:
        arrays = dict(example.targets)
        for name, value in self._cut.features(example.inputs).items():
            array = np.asarray(value)
            floating = np.issubdtype(array.dtype, np.floating) or array.dtype.name == "bfloat16"
            arrays[name] = self._narrowed(name, array) if floating and self._dtype else array
        return arrays

    def _narrowed(self, name: str, array: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            small = array.astype(dtype_of(str(self._dtype)))
        if not np.isfinite(small.astype("float32")).all() and np.isfinite(array).all():
            raise ValueError(
                f"The feature {name!r} has values up to {np.abs(array).max():.3g}, which "
                f"dtype={self._dtype!r} cannot hold. Use 'bfloat16'."
            )
        return small

    def _check_again(self, seen: list[np.ndarray]) -> None:
        """Raises ValueError when the data are others in a second epoch."""
        self._batches.on_epoch_end()
        again = next(iter(self._batches), None)
        if again is None:
            raise ValueError("The data set is empty.")
        known = np.concatenate(seen)[:, 0]
        # What fills a batch up is another row when the batches are shuffled.
        if np.isin(again.hashes()[again.counted(), 0], known).all():
            return
        raise ValueError(
            "The data set gives other rows in each epoch, so that cached features would stand for "
            "the first one only. If it augments its inputs at random, train without "
            "the cache, or fix the augmented rows with `dataset.cache()` before. If it shuffles "
            "and drops a remainder, do not let it drop any: shuffle=True is an argument here."
        )

    def _key(self) -> str:
        """A hash of all that makes the features of given data."""
        cut = self._cut
        found = hashlib.blake2b(digest_size=12)
        layers = [node.operation for node in cut.upstream]
        configs = [_plain(keras.saving.serialize_keras_object(each)) for each in layers]
        configs.append(_plain(keras.saving.serialize_keras_object(cut.backbone)))
        where = [cut.boundary, sorted(self.dtypes.items()), self._dtype]
        found.update(json.dumps([configs, where], sort_keys=True, default=str).encode())
        for layer in cut.frozen_layers():
            for variable in layer.weights:
                value = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
                found.update(f"{value.dtype.name}{value.shape}".encode())
                found.update(value.tobytes())
        if cut.takes_texts:
            with tempfile.TemporaryDirectory() as folder:
                cut.backbone.tokenizer.save_assets(folder)
                for file in sorted(Path(folder).rglob("*")):
                    found.update(file.read_bytes() if file.is_file() else b"")
        return found.hexdigest()


def _plain(config: Any) -> Any:
    """A configuration without what does not change the features."""
    if isinstance(config, Mapping):
        if str(config.get("class_name")).endswith("DTypePolicy"):
            return config  # Its name is all that it says.
        return {key: _plain(value) for key, value in config.items() if key not in _IRRELEVANT}
    if isinstance(config, list | tuple):
        return [_plain(each) for each in config]
    return config
