"""Work that is done once for equal rows, and a part of the rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras

_FIXED: ContextVar[bool] = ContextVar("fixed_shapes", default=False)


@contextmanager
def fixed_shapes() -> Iterator[None]:
    """Within the block no shape depends on values, as formats other than TensorFlow's want it."""
    token = _FIXED.set(True)
    try:
        yield
    finally:
        _FIXED.reset(token)


def has_free_shapes() -> bool:
    """Whether shapes may depend on values here: on TensorFlow, outside of XLA."""
    if keras.backend.backend() != "tensorflow" or _FIXED.get():
        return False
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    # In an eager call there is a graph, too, but an empty one.
    return not GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def distinct_rows(rows: Any) -> tuple[Any, Any]:
    """The rows (count, width) without repetitions, and for each row the place of its like."""
    import tensorflow as tf

    found, places = tf.raw_ops.UniqueV2(x=rows, axis=[0])
    found.set_shape([None, rows.shape[1]])
    return found, places


def in_parts(work: Callable[[Any], Any], rows: Any, size: int) -> Any:
    """`work(rows)`, at most `size` rows at a time, so that memory does not grow with their number.

    Args:
        work: (count, width) -> (count, features), each row for itself.
        rows: (count, width).
    """
    import tensorflow as tf

    count = tf.shape(rows)[0]
    parts = (count + size - 1) // size
    first = work(rows[:size])
    results = tf.TensorArray(
        first.dtype,
        size=tf.maximum(parts, 1),
        element_shape=[None, first.shape[-1]],
        infer_shape=False,
    )

    def step(index: Any, results: Any) -> tuple[Any, Any]:
        part = rows[index * size : (index + 1) * size]
        return index + 1, results.write(index, work(part))

    _, results = tf.while_loop(
        lambda index, _: index < parts,
        step,
        (tf.constant(1), results.write(0, first)),
        parallel_iterations=1,
    )
    return results.concat()
