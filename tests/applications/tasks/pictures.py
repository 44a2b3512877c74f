"""Small image networks, and pictures of shapes with their masks, for tests of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

SHARED = Path(__file__).parents[4] / "shared"
SHAPES = ["background", "square", "disc"]


def tiny_network(size: int | None = 32, strides: tuple[int, ...] = (2, 4, 8)) -> keras.Model:
    """Convolutions `conv_2`, `conv_4`, ... with random weights, named by their strides."""
    inputs = keras.Input((size, size, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    for stride in strides:
        x = keras.layers.Conv2D(
            12,
            3,
            2,
            "same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"conv_{stride}",
        )(x)
    return keras.Model(inputs, x, name="tiny")


def scene(random: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with one square or disc on it, brighter or darker, and the class of each pixel."""
    image = random.uniform(90, 160, (height, width, 3))
    mask = np.zeros((height, width), "uint8")
    number = int(random.integers(1, 3))
    radius = int(random.integers(6, 10))
    row = int(random.integers(radius, height - radius))
    column = int(random.integers(radius, width - radius))
    rows, columns = np.abs(np.mgrid[:height, :width] - np.array([row, column])[:, None, None])
    inside = (rows <= radius) & (columns <= radius)
    if SHAPES[number] == "disc":
        inside = rows**2 + columns**2 <= radius**2
    mask[inside] = number
    image[inside] = random.choice([20, 235]) + random.uniform(-15, 15, (int(inside.sum()), 3))
    return image.astype("uint8"), mask


def scenes(count: int, seed: int = 0) -> tuple[list[Any], list[np.ndarray]]:
    """Pictures of different sizes, and their masks."""
    random = np.random.default_rng(seed)
    sizes = [(32, 32), (40, 32), (32, 36)]
    made = [scene(random, *sizes[number % len(sizes)]) for number in range(count)]
    return [image for image, _ in made], [mask for _, mask in made]


def mean_overlap(found: list[np.ndarray], expected: list[np.ndarray], classes: int) -> float:
    """Mean intersection over union, counted by hand, over all pixels of all pictures."""
    ours = np.concatenate([mask.ravel() for mask in found])
    theirs = np.concatenate([mask.ravel() for mask in expected])
    both = [np.sum((ours == n) & (theirs == n)) for n in range(classes)]
    either = [np.sum((ours == n) | (theirs == n)) for n in range(classes)]
    return float(np.mean(np.divide(both, either)))


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits as RGB pictures of 64 x 64, and their numbers."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = (data.images * (255 / 16)).astype("uint8").repeat(8, axis=1).repeat(8, axis=2)
    return np.repeat(images[..., None], 3, axis=-1), data.target
