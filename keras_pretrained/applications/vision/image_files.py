"""Images of any kind as RGB arrays, masks as numbers: files, Pillow images, arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Those that people keep photos in. Pillow knows others, some of which run programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """The pixels of an image file.

    They are as the file stores them: a note that the camera was turned is not followed, and
    transparency is dropped. The evaluation programs of the published networks do the same. Of
    an animation it is the first picture.

    Args:
        path: a JPEG, PNG, WebP, GIF, BMP, TIFF or PPM file.

    Returns:
        (height, width, 3), uint8, RGB.

    Raises:
        ValueError: no file, not such an image, damaged, or more pixels than Pillow opens.
    """
    return _read(path, lambda image: np.asarray(image.convert("RGB")))


def _read(path: str | os.PathLike[str], pixels: Callable[[Any], np.ndarray]) -> np.ndarray:
    """What a function makes of an image file that was opened and found to be harmless."""
    from PIL import Image, UnidentifiedImageError

    file = Path(path)
    if not file.is_file():
        raise ValueError(f"{str(file)!r} is not a file. Expected an image: {', '.join(_FORMATS)}.")
    try:
        with Image.open(file, formats=_FORMATS) as image:
            # Above this number Pillow only warns, and above twice as many it refuses.
            if (limit := Image.MAX_IMAGE_PIXELS) and image.width * image.height > limit:
                raise Image.DecompressionBombError(f"{image.width} x {image.height}")
            return pixels(image)
    except UnidentifiedImageError:
        raise ValueError(
            f"{str(file)!r} is not an image of a known format. Expected: {', '.join(_FORMATS)}."
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{str(file)!r} has too many pixels: {error}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        # Pillow reports broken PNG files as syntax errors.
        raise ValueError(f"{str(file)!r} is damaged: {error}") from error


def as_rgb(image: Any) -> np.ndarray:
    """One image as an array of three channels.

    Args:
        image: the path of a file, a Pillow image, or an array or tensor: (height, width) or
            (height, width, channels) with 1 (grey), 3 (RGB) or 4 (RGB and alpha, which is
            dropped) channels; uint8, or any other number from 0 to 255.

    Returns:
        (height, width, 3), uint8 or float32.

    Raises:
        TypeError: not an image.
        ValueError: a wrong shape, or a file that cannot be read.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if hasattr(image, "convert") and hasattr(image, "mode"):
        image = image.convert("RGB")
    array = np.asarray(image)
    if array.dtype.kind not in "uif" or array.dtype.itemsize > 8:
        raise TypeError(
            "An image is a path, a Pillow image or an array of numbers from 0 to 255. "
            f"Received: {type(image).__name__} of dtype {array.dtype}"
        )
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or not array.size:
        raise ValueError(
            "Expected an image of shape (height, width), or (height, width, channels) with 1, 3 "
            f"or 4 channels. Received: {array.shape}"
        )
    if array.dtype != np.uint8:
        array = array.astype(np.float32)
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array[..., :3]


def as_mask(mask: Any) -> np.ndarray:
    """A picture whose pixels are numbers of classes, as an array of whole numbers.

    Args:
        mask: the path of a file or a Pillow image with one channel, grey or of a palette, whose
            indices count then (as the masks of PASCAL VOC have it); or an array (height, width) or
            (height, width, 1) of integers or booleans.

    Returns:
        (height, width), of integers.

    Raises:
        TypeError: not such a picture.
        ValueError: a wrong shape, or a file that cannot be read.
    """
    if isinstance(mask, str | os.PathLike):
        array = _read(mask, np.asarray)
    else:
        array = np.asarray(mask)
    array = array.astype(np.uint8) if array.dtype == bool else array
    if array.dtype.kind not in "ui":
        raise TypeError(
            "A mask is a path, a Pillow image or an array of whole numbers. Received: "
            f"{type(mask).__name__} of dtype {array.dtype}"
        )
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 2 or not array.size:
        raise ValueError(
            "Expected a mask of shape (height, width), with the number of a class in each pixel. "
            f"Received: {array.shape}"
        )
    return array
