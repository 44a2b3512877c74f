"""Images in: resized and cropped as a network's publisher did."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_pretrained.applications.vision.image_files import as_rgb
from keras_pretrained.applications.vision.resampling import (
    crop_centre,
    crop_fraction,
    resize,
    resize_shorter_side,
)
from keras_pretrained.presets import ImageSpec, Preset, PresetError, preset_info


def prepare_images(
    preset: str | Preset | ImageSpec, images: Any, *, size: int | None = None
) -> np.ndarray:
    """Resizes and crops images as those were with which a network's accuracy was measured.

    What comes out goes into the network as it is: scaling and the order of channels are inside.

    - slim, Inception and its successors: the central 87.5 % of each side, then resized.
    - slim, VGG and ResNet V1; torchvision: the shorter side resized, then the square in the middle.
    - Keras: resized to a square, as `keras.utils.load_img(path, target_size=...)` does.

    Args:
        preset: an image network, by name or record, or its `image` record.
        images: one image or a list of them, of any sizes: paths of files, Pillow images, arrays
            (height, width) or (height, width, channels) with 1, 3 or 4 channels; or one array
            (images, height, width, channels). Values run from 0 to 255 in any type.
        size: height and width of the result, for a network that was built for others than the
            published ones; the shorter side before a crop changes in proportion.

    Returns:
        (images, size, size, 3), float32, 0 to 255, RGB; always with the first dimension.

    Raises:
        PresetError: unknown, or a network that takes no images.
        TypeError: something that is no image.
        ValueError: a wrong shape, a file that cannot be read, or no image at all.

    Example:

    ```python
    import numpy as np
    from keras_pretrained import applications

    photo = np.zeros((375, 500, 3), "uint8")
    batch = applications.prepare_images("inception-v3", [photo, photo[:200]])
    batch.shape                                  # (2, 299, 299, 3)
    ```
    """
    spec = image_spec(preset)
    if size is not None and (type(size) is not int or size < 1):
        raise ValueError(f"size must be a positive number of pixels. Received: {size!r}")
    prepared = [_prepared(spec, image, size or spec.size) for image in _each(images)]
    if not prepared:
        raise ValueError(f"Expected at least one image. Received: {images!r}")
    return np.stack(prepared)


def image_spec(preset: str | Preset | ImageSpec) -> ImageSpec:
    """How images are prepared for a preset.

    Raises:
        PresetError: unknown, or a network that takes no images.
    """
    if isinstance(preset, ImageSpec):
        return preset
    record = preset_info(preset) if isinstance(preset, str) else preset
    if record.image is None:
        raise PresetError(
            f"Preset {record.name!r} is of family {record.family!r}, which takes no images. "
            "Expected an image network, such as 'inception-v3'."
        )
    return record.image


def _each(images: Any) -> Iterator[np.ndarray]:
    if isinstance(images, str | os.PathLike):
        yield as_rgb(images)
        return
    if isinstance(images, list | tuple):
        # A nested list of numbers would be taken for a list of images, each a list.
        for number, image in enumerate(images):
            try:
                yield as_rgb(image)
            except (TypeError, ValueError) as error:
                raise type(error)(f"Image {number}: {error}") from error
        return
    if len(getattr(images, "shape", ())) == 4:
        yield from map(as_rgb, np.asarray(images))
        return
    yield as_rgb(images)


def _prepared(spec: ImageSpec, image: np.ndarray, size: int) -> np.ndarray:
    if spec.crop_fraction is not None:
        image = crop_fraction(image, spec.crop_fraction)
    if spec.resize is None:
        image = resize(image, size, size, spec.interpolation)
    else:
        side = round(spec.resize * size / spec.size)
        image = resize_shorter_side(image, side, spec.interpolation)
        image = crop_centre(image, size, spec.interpolation)
    return image.astype(np.float32)
