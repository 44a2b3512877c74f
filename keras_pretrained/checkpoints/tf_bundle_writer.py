"""Arrays -> a TensorFlow checkpoint, written by TensorFlow itself."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_tf_bundle(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray]) -> Path:
    """Writes a V2 checkpoint: the files `<path>.index` and `<path>.data-00000-of-00001`.

    Args:
        path: the prefix; its folder must exist.
        tensors: name -> array.

    Returns:
        The prefix.
    """
    import tensorflow as tf

    prefix, names = Path(path), sorted(tensors)
    with tempfile.TemporaryDirectory(dir=prefix.parent, prefix=f".{prefix.name}.") as folder:
        temporary = Path(folder) / prefix.name
        tf.raw_ops.SaveV2(
            prefix=str(temporary),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tf.constant(tensors[name]) for name in names],
        )
        # Data before index: a reader sees the old checkpoint until the new one is whole.
        for written in sorted(temporary.parent.iterdir()):
            written.replace(prefix.with_name(written.name))
    return prefix
