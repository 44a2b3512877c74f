"""What tasks on images share: images as material, read batch by batch, and their augmentation."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from keras_pretrained.applications.tasks.image_batches import Example, ImageBatches
from keras_pretrained.applications.tasks.task import BATCH_SIZE, Task, batch_rows


@dataclass(frozen=True)
class Augmentation:
    """The layer that changes images at random: no part of the model, so Keras must not see it.

    Attributes:
        layer: None for no change.
    """

    layer: Any = None

    def __post_init__(self) -> None:
        if self.layer is not None and not isinstance(self.layer, keras.layers.Layer):
            raise ValueError(
                "`augment` must be a Keras layer; keras.layers.Pipeline([...]) makes one of "
                f"several. Received: {self.layer!r}"
            )


class ImageTask(Task):
    """A task whose material is images of any sizes."""

    has_masks: ClassVar[bool] = False
    _augmentation = Augmentation()

    @property
    def learning_rate(self) -> float:  # type: ignore[override]
        """Larger where nothing but a new layer trains."""
        return 1e-3 if self.backbone.trainable_variables else 1e-2

    @property
    def augment(self) -> Any:
        """The layer that changes the images which train, or None."""
        return self._augmentation.layer

    def is_material(self, x: Any) -> bool:
        if isinstance(x, str | os.PathLike) or _is_picture(x):
            raise TypeError(f"Expected a list of images. Received one: {x!r:.80}")
        if isinstance(x, np.ndarray):
            return x.dtype.kind in "USO"
        return isinstance(x, list | tuple) and (not x or _is_image(x[0]))

    @abstractmethod
    def loader(self, images: list[Any], y: Any) -> Callable[[int], Example]:
        """How an example is read: number -> `(image,)`, or `(image, target)`."""

    def batches(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = BATCH_SIZE,
        training: bool = False,
    ) -> Any:
        images = list(x)
        if not images:
            raise ValueError("Expected at least one image. Received: none")
        for name, given in (("answers", y), ("weights", sample_weight)):
            if given is not None and len(given) != len(images):
                raise ValueError(f"Received {len(images)} images and {len(given)} {name}.")
        return ImageBatches(
            self.loader(images, y),
            len(images),
            sample_weight,
            batch_rows(len(images), batch_size),
            # Copies have no weight in a step, but Keras would count them in the mean of an epoch.
            fill=training or y is None,
            shuffle=training,
            seed=int(np.random.randint(2**31)),
            augment=self.augment if training else None,
            masks=self.has_masks,
        )

    def augment_config(self) -> Any:
        """The augmentation as a configuration holds it."""
        return None if self.augment is None else keras.saving.serialize_keras_object(self.augment)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        augment = config.get("augment")
        if augment is not None:
            layer = keras.saving.deserialize_keras_object(augment, custom_objects)
            config = {**config, "augment": layer}
        return super().from_config(config, custom_objects)


def _is_picture(x: Any) -> bool:
    """Whether it is an image of Pillow, which need not be imported for this."""
    return hasattr(x, "convert") and hasattr(x, "mode")


def _is_image(x: Any) -> bool:
    if isinstance(x, str | os.PathLike) or _is_picture(x):
        return True
    return len(getattr(x, "shape", ())) in (2, 3)


def of_image(number: int, error: Exception) -> Exception:
    """The same error, with the number of the image that it is about."""
    return type(error)(f"Image {number}: {error}")
