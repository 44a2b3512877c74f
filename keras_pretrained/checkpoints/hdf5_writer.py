"""Arrays -> an HDF5 file, each a plain dataset at the path that is its name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_hdf5(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray]) -> Path:
    """Writes arrays as contiguous datasets in nested groups.

    Args:
        path: the file; its folder must exist.
        tensors: name -> array; `/` in a name stands for a group.

    Returns:
        The path.
    """
    import h5py

    target = Path(path)
    # A reader sees the old file until the new one is whole.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        temporary = Path(folder) / target.name
        with h5py.File(temporary, "w") as file:
            for name in sorted(tensors):
                file.create_dataset(name, data=tensors[name])
        temporary.replace(target)
    return target
