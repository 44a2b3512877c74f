"""Small pictures of what an image network took."""

from __future__ import annotations

import io

import numpy as np


def thumbnail(picture: np.ndarray, side: int) -> np.ndarray:
    """(height, width, 3), uint8, no side longer than `side`.

    Args:
        picture: (height, width, 1 or 3). Values from 0 to 255 stay as they are; others, which were
            scaled before the network, are stretched from black to white.
    """
    from PIL import Image

    values = np.nan_to_num(np.asarray(picture, "float32"), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255 or (high <= 1 and np.asarray(picture).dtype.kind == "f"):
        values = (values - low) * (255 / max(high - low, 1e-12))
    pixels = np.broadcast_to(values.round().astype("uint8"), (*values.shape[:2], 3))
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Tiny pictures, such as digits, show their pixels.
    kind = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, kind))


def png_of(pixels: np.ndarray) -> bytes:
    """The file of a picture (height, width, 3), uint8."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()
