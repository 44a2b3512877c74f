"""A data set of batches, seen as rows that can be hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import keras
import numpy as np

DEFAULT_BATCH_SIZE = 32


@dataclass(frozen=True)
class Layout:
    """How targets and weights are put together from arrays: structures of names, or None."""

    targets: Any
    weights: Any


@dataclass(frozen=True)
class Example:
    """A batch.

    Attributes:
        inputs: as the model takes them.
        targets: targets and weights, flat, by name.
    """

    inputs: Any
    targets: Mapping[str, np.ndarray]

    def counted(self) -> np.ndarray:
        """(rows,) bool, which rows are examples: those of weight 0 fill a batch up."""
        rows = _rows(self.inputs)
        weights = [array for name, array in self.targets.items() if name.startswith("weight")]
        return (weights[0].reshape(rows, -1) != 0).any(axis=1) if weights else np.ones(rows, bool)

    def hashes(self) -> np.ndarray:
        """(rows, 2) of 64 bits each: the same for equal rows, in whatever batch they are."""
        check_counts(_rows(self.inputs), inputs=self.inputs, **self.targets)
        leaves = [numpy_of(leaf) for leaf in keras.tree.flatten(self.inputs)]
        leaves += [array for _, array in sorted(self.targets.items())]
        kinds = "".join(f"{leaf.dtype} {leaf.shape[1:]};" for leaf in leaves).encode()
        found = np.empty((len(leaves[0]), 2), "uint64")
        for row in range(len(found)):
            made = hashlib.blake2b(kinds, digest_size=16)
            for leaf in leaves:
                made.update(_bytes(leaf[row]))
            found[row] = np.frombuffer(made.digest(), "uint64")
        return found


class Batches:
    """Batches of `(inputs, targets, weights)` that can be iterated more than once.

    Args:
        dataset: a `tf.data.Dataset`, a `keras.utils.PyDataset`, another iterable, or arrays.
        batch_size: of arrays.

    Raises:
        ValueError: a data set that has no end, or that can be iterated once only; inputs, targets
            and weights of different numbers of rows.
    """

    def __init__(self, dataset: Any, batch_size: int | None = None) -> None:
        check_size("batch_size", batch_size)
        if isinstance(dataset, Mapping | np.ndarray):
            dataset = (dataset,)
        if isinstance(dataset, tuple):
            dataset = tuple(map(from_lists, dataset))
            inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(dataset)
            check_counts(_rows(inputs), inputs=inputs, targets=targets, sample_weight=weights)
        self._dataset = dataset
        self._batch_size = batch_size or DEFAULT_BATCH_SIZE
        self.layout = Layout(None, None)
        endless = isinstance(dataset, keras.utils.PyDataset) and dataset.num_batches is None
        cardinality = getattr(dataset, "cardinality", None)
        if endless or (callable(cardinality) and int(cardinality()) == -1):
            raise ValueError(
                "The data set has no end. Take a part of it first: `dataset.take(number)`."
            )
        if not hasattr(dataset, "__getitem__") and iter(dataset) is dataset:
            raise ValueError(
                f"The data can be iterated once only. Expected a tf.data.Dataset, a PyDataset or "
                f"arrays. Received: {type(dataset).__name__}"
            )

    def __iter__(self) -> Iterator[Example]:
        for batch in self._batches():
            inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(batch)
            self.layout = Layout(_named(targets, "target"), _named(weights, "weight"))
            arrays = _flat(targets, "target") | _flat(weights, "weight")
            yield Example(inputs, arrays)

    def on_epoch_end(self) -> None:
        """Lets a PyDataset make its next epoch, as `fit` does."""
        if isinstance(self._dataset, keras.utils.PyDataset):
            self._dataset.on_epoch_end()

    def _batches(self) -> Iterator[Any]:
        data = self._dataset
        if isinstance(data, keras.utils.PyDataset):
            yield from (data[index] for index in range(len(data)))
        elif isinstance(data, tuple):
            count = len(keras.tree.flatten(data[0])[0])
            for start in range(0, count, self._batch_size):
                stop = start + self._batch_size
                yield keras.tree.map_structure(lambda x, a=start, b=stop: x[a:b], data)
        else:
            yield from data


def from_lists(structure: Any) -> Any:
    """The same, with an array in place of each list of numbers or texts, which is no structure.

    A list of such lists is one array as well; a tuple of them is a structure.
    """

    def as_array(part: Any) -> Any:
        leaves = keras.tree.flatten(part) if isinstance(part, list | tuple) else []
        if isinstance(part, tuple) and len(leaves) != len(part):
            return None
        if not leaves or any(np.ndim(leaf) for leaf in leaves):
            return None
        return np.array(part, object if isinstance(leaves[0], str | bytes) else None)

    return keras.tree.traverse(as_array, structure)


def check_counts(expected: int, **parts: Any) -> None:
    """Raises ValueError where not all arrays of these structures have so many rows.

    Args:
        expected: number of examples.
        parts: structures of arrays, or None, by the names of the arguments that they are.
    """
    for name, part in parts.items():
        for leaf in keras.tree.flatten(part):
            shape = tuple(getattr(leaf, "shape", ()))
            if leaf is not None and shape[:1] != (expected,):
                raise ValueError(
                    f"Expected {expected} rows in `{name}`, one for each example. Received: an "
                    f"array of shape {shape}"
                )


def check_size(name: str, size: int | None) -> None:
    """Raises ValueError where the size of a batch is given and is none."""
    if size is not None and size < 1:
        raise ValueError(f"`{name}` must be at least 1. Received: {size!r}")


def digest_of(hashes: Iterable[np.ndarray]) -> str:
    """Of a set of rows, in whatever order: a data set that shuffles has the same rows."""
    total, count = np.zeros(2, "uint64"), 0
    for each in hashes:
        total += each.sum(axis=0, dtype="uint64")
        count += len(each)
    text = f"{total.tolist()} {count}".encode()
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def digest_in_order(hashes: np.ndarray) -> str:
    """Of the rows of a batch, and of how they follow each other."""
    return hashlib.blake2b(hashes.tobytes(), digest_size=12).hexdigest()


Planned = TypeVar("Planned", bound=tuple[Any, ...])


def varied_first(plan: list[Planned]) -> list[Planned]:
    """The same batches, the second of another kind than the first if there is one.

    On TensorFlow, Keras takes the shapes of a whole data set from its first two batches, and fails
    at the first one of another length.

    Args:
        plan: for each batch a tuple that begins with what its shape depends on.
    """
    for number in range(1, len(plan)):
        if plan[number][0] != plan[0][0]:
            return [plan[0], plan[number], *plan[1:number], *plan[number + 1 :]]
    return plan


def restored(predictions: Any, taken: Sequence[np.ndarray], order: Sequence[np.ndarray]) -> Any:
    """Rows that were predicted batch by batch, in the order of the data.

    Args:
        taken: of each batch, which rows of the predictions count.
        order: of each batch, which rows of the data they are.
    """
    back = np.concatenate(taken)[np.argsort(np.concatenate(order))]
    return keras.tree.map_structure(lambda x: np.asarray(x)[back], predictions)


def numpy_of(leaf: Any) -> np.ndarray:
    """A tensor as an array, also one of strings."""
    if isinstance(leaf, np.ndarray):
        return leaf
    converted = leaf.numpy() if hasattr(leaf, "numpy") else np.asarray(leaf)
    return np.asarray(converted)


def _bytes(row: Any) -> bytes:
    row = np.asarray(row)
    if row.dtype.kind not in "OU":
        return row.tobytes()
    # Strings: their lengths, too, or two texts could be told apart by nothing.
    texts = [x if isinstance(x, bytes) else str(x).encode() for x in row.ravel().tolist()]
    return b"".join(len(text).to_bytes(8, "big") + text for text in texts)


def _rows(inputs: Any) -> int:
    shape: Any = getattr(keras.tree.flatten(inputs)[0], "shape", ())
    return int(shape[0]) if len(shape) else 1


def _named(structure: Any, prefix: str) -> Any:
    if structure is None:
        return None
    names = [f"{prefix}_{index}" for index in range(len(keras.tree.flatten(structure)))]
    return keras.tree.pack_sequence_as(structure, names)


def _flat(structure: Any, prefix: str) -> dict[str, np.ndarray]:
    leaves = [] if structure is None else keras.tree.flatten(structure)
    arrays = {f"{prefix}_{index}": numpy_of(leaf) for index, leaf in enumerate(leaves)}
    for name, array in arrays.items():
        if array.dtype.hasobject or array.dtype.kind in "US":
            raise ValueError(
                f"Expected targets and weights of numbers. Received for {name}: {array.dtype}"
            )
    return arrays
