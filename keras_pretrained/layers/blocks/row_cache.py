"""Results that were computed beforehand for rows of ids, found again by the rows themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_OFF: ContextVar[bool] = ContextVar("without_caches", default=False)


@contextmanager
def without_caches() -> Iterator[None]:
    """Within the block nothing is looked up, so that what is traced stands alone."""
    token = _OFF.set(True)
    try:
        yield
    finally:
        _OFF.reset(token)


class RowCache:
    """Rows of ids, each with its vector. It runs on TensorFlow.

    Args:
        rows: (count, width) ids from 0 to 50,000, no row twice.
        work: rows -> (count, features).
    """

    def __init__(self, rows: Any, work: Callable[[Any], Any]) -> None:
        import tensorflow as tf

        self._rows, self._work = rows, work
        self._vectors = tf.Variable(work(rows), trainable=False)
        places = tf.range(tf.shape(rows)[0])
        known = tf.lookup.KeyValueTensorInitializer(_keys(rows), places)
        self._table = tf.lookup.StaticHashTable(known, default_value=-1)

    def __call__(self, rows: Any) -> Any:
        """The vectors (count, features) of rows; those that are not known are worked out."""
        import tensorflow as tf

        if _OFF.get():
            return self._work(rows)
        places = self._table.lookup(_keys(rows))
        vectors = tf.gather(self._vectors, tf.maximum(places, 0))
        unknown = tf.where(places < 0)
        made = self._work(tf.gather(rows, unknown[:, 0]))
        return tf.tensor_scatter_nd_update(vectors, unknown, made)

    def refresh(self) -> None:
        """Works all vectors out again, for functions that were traced with them, too."""
        self._vectors.assign(self._work(self._rows))

    def __len__(self) -> int:
        return int(self._rows.shape[0])


def _keys(rows: Any) -> Any:
    """Each row as a text whose characters have the ids as code points."""
    import tensorflow as tf

    return tf.strings.unicode_encode(tf.cast(rows, tf.int32), "UTF-8")
