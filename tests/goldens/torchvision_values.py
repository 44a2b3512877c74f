"""Weights and images by rule, for programs that must compute with the same ones."""

from __future__ import annotations

import zlib

import numpy as np


def value(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor of this name in a state dictionary of torchvision.

    Scales of normalisations are below one on the average: sums of many units stay in range.
    """
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    leaf = name.rpartition(".")[2]
    if leaf == "num_batches_tracked":
        return np.full(shape, 7, np.int64)
    if leaf == "weight" and len(shape) > 1:
        made = generator.standard_normal(shape, np.float32)
        made *= np.float32((2 / np.prod(shape[1:])) ** 0.5)
    elif leaf == "weight":
        made = generator.uniform(0.3, 0.9, shape)
    elif leaf == "running_var":
        made = generator.uniform(0.5, 1.5, shape)
    elif leaf in ("bias", "running_mean"):
        made = generator.normal(0.0, 0.1, shape)
    else:
        raise ValueError(f"There is no rule for a tensor {name!r}.")
    return made.astype(np.float32, copy=False)


def images(height: int, width: int) -> np.ndarray:
    """Two images as networks see them: (2, height, width, 3), float32."""
    generator = np.random.default_rng(2016)
    coarse = generator.uniform(-2, 2, (2, 8, 8, 3))
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    fine = generator.uniform(-0.5, 0.5, (2, height, width, 3))
    return (coarse[:, rows][:, :, columns] + fine).astype(np.float32)
