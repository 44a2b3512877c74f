"""Images by rule, for programs that must see the same pixels without a file between them."""

from __future__ import annotations

import numpy as np


def pattern(height: int, width: int) -> np.ndarray:
    """(height, width, 3), uint8: slow waves, fine stripes and sharp edges, in integers alone."""
    y, x = np.mgrid[:height, :width]
    red = (x * 3 + y * 5) // 4
    green = (x ^ y) * 3 + (x * y) // 61
    blue = np.where((x // 9 + y // 7) % 2 == 0, 230, 15) + x // 16
    return (np.stack([red, green, blue], axis=-1) & 255).astype(np.uint8)
