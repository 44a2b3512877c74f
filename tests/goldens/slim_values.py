"""Weights and images by rule, for programs that must compute with the same ones.

Every tensor of a slim checkpoint is a function of its name and shape, so whole networks take no
room here: what is kept is their names and what the original program made of them.
"""

from __future__ import annotations

import zlib

import numpy as np

CLASSES = 11
"""Fewer than published: a checkpoint says itself how many it has."""


def value(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor of this name, float32."""
    # The streams of RandomState are frozen: NumPy promises them for ever.
    random = np.random.RandomState(zlib.crc32(name.encode()))
    leaf = name.rpartition("/")[2]
    if leaf in ("moving_variance", "gamma"):
        made = random.uniform(0.7, 1.3, shape)
        # What is added to a shortcut is small, or else sums would grow from unit to unit.
        made *= 0.3 if name.endswith("conv3/BatchNorm/gamma") else 1
        made *= 0.6 if leaf == "gamma" and "comb_iter" in name else 1
    elif leaf.endswith("weights"):
        inputs = int(np.prod(shape[:2] if leaf.startswith("depthwise") else shape[:-1]))
        made = random.standard_normal(shape) * np.sqrt(2 / inputs)
        made *= 0.3 if "bottleneck_v2/conv3" in name else 1
    else:
        made = 0.1 * random.standard_normal(shape)
    return made.astype("float32")


def images(size: int) -> np.ndarray:
    """(2, size, size, 3), values from -1 to 1: coarse squares and noise."""
    random = np.random.RandomState(20160828)
    squares = random.uniform(-1, 1, (2, 5, 5, 3))
    place = np.arange(size) * 5 // size
    noise = random.uniform(-1, 1, (2, size, size, 3))
    return (0.7 * squares[:, place][:, :, place] + 0.3 * noise).astype("float32")


def sample(values: np.ndarray, count: int = 24) -> np.ndarray:
    """As many values of an array, evenly spread over it."""
    flat = np.asarray(values).reshape(-1)
    return flat[np.linspace(0, flat.size - 1, count).astype(int)]
