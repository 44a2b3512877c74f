"""Resizing and cropping, each as the programs did with which networks were published."""

from __future__ import annotations

import numpy as np


def resize(image: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    """An image of another size.

    Args:
        image: (height, width, 3), uint8 or float32.
        height: the new one.
        width: the new one.
        interpolation: see `keras_pretrained.presets.ImageSpec`.

    Returns:
        (height, width, 3): float32 for `"bilinear"`, else as the image.
    """
    if interpolation == "bilinear":
        return _between_rows(_between_columns(image, width), height)
    from PIL import Image

    nearest = interpolation == "nearest"
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize((width, height), method))
    # Pillow has no images of three channels of floats.
    channels = (Image.fromarray(np.ascontiguousarray(each)) for each in np.moveaxis(image, -1, 0))
    return np.stack([np.asarray(each.resize((width, height), method)) for each in channels], -1)


def resize_shorter_side(image: np.ndarray, side: int, interpolation: str) -> np.ndarray:
    """An image of the same proportions whose shorter side has a given length.

    The longer side is rounded in slim's way for `"bilinear"`, else in torchvision's.
    """
    height, width = image.shape[:2]
    if interpolation == "bilinear":
        # In float32, as slim computes it: the product may fall on either side of a half.
        scale = np.float32(side) / np.float32(min(height, width))
        new_height, new_width = (int(np.rint(np.float32(each) * scale)) for each in (height, width))
    else:
        longer = side * max(height, width) // min(height, width)
        new_height, new_width = (longer, side) if height > width else (side, longer)
    return resize(image, new_height, new_width, interpolation)


def crop_centre(image: np.ndarray, size: int, interpolation: str) -> np.ndarray:
    """The square in the middle. An odd pixel is left over as slim or torchvision leaves it."""
    rounded = int if interpolation == "bilinear" else round
    top, left = (rounded((side - size) / 2) for side in image.shape[:2])
    return image[top : top + size, left : left + size]


def crop_fraction(image: np.ndarray, fraction: float) -> np.ndarray:
    """The middle, with this fraction of each side, as `tf.image.central_crop` has it."""
    height, width = image.shape[:2]
    top, left = (int((side - side * fraction) / 2) for side in (height, width))
    return image[top : height - top, left : width - left]


def _between_columns(image: np.ndarray, width: int) -> np.ndarray:
    lower, upper, weight = _neighbours(image.shape[1], width)
    left, right = image[:, lower].astype(np.float32), image[:, upper].astype(np.float32)
    return left + (right - left) * weight[:, np.newaxis]


def _between_rows(image: np.ndarray, height: int) -> np.ndarray:
    lower, upper, weight = _neighbours(image.shape[0], height)
    above, below = image[lower], image[upper]
    return above + (below - above) * weight[:, np.newaxis, np.newaxis]


def _neighbours(length: int, new_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two pixels between which each new one lies, and how far from the first."""
    scale = np.float32(length) / np.float32(new_length)
    position = np.arange(new_length, dtype=np.float32) * scale
    lower = np.minimum(position.astype(np.int64), length - 1)
    return lower, np.minimum(lower + 1, length - 1), position - lower.astype(np.float32)
