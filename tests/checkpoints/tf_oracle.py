"""TensorFlow's own checkpoint reader as the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_pretrained.checkpoints.checkpoint import LazyArray
from keras_pretrained.checkpoints.object_graph import OBJECT_GRAPH_KEY, VALUE_SUFFIX

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures"


def tensorflow_tensors(prefix: Path) -> dict[str, np.ndarray]:
    """All tensors as TensorFlow reads them, under their keys."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    names = reader.get_variable_to_shape_map()
    values = {name: reader.get_tensor(name) for name in names}
    # A string scalar comes as Python bytes, of which NumPy would strip trailing zeros.
    return {
        name: np.array(value, object) if isinstance(value, bytes) else np.asarray(value)
        for name, value in values.items()
    }


def assert_equal_tensors(arrays: Mapping[str, LazyArray], expected: dict[str, np.ndarray]) -> None:
    """Names, shapes, dtypes and bits."""
    expected = {
        name.removesuffix(VALUE_SUFFIX): value
        for name, value in expected.items()
        if name != OBJECT_GRAPH_KEY
    }
    assert sorted(arrays) == sorted(expected)
    for name, value in expected.items():
        lazy = arrays[name]
        read = lazy.read()
        assert lazy.name == name
        assert lazy.shape == read.shape == value.shape, name
        assert lazy.dtype == read.dtype, name
        assert not read.flags.writeable, name
        if value.dtype == object:
            assert read.tolist() == value.tolist(), name
        else:
            assert read.tobytes() == value.tobytes(), name
