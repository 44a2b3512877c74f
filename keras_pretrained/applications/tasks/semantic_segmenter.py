"""`SemanticSegmenter`: images -> the class of each pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from keras_pretrained.applications.tasks.fully_convolutional import (
    chosen_maps,
    maps_by_stride,
    scored,
)
from keras_pretrained.applications.tasks.image_batches import Example
from keras_pretrained.applications.tasks.image_source import (
    backbone_options,
    check_given,
    image_network,
    image_size,
    preparation,
)
from keras_pretrained.applications.tasks.image_task import Augmentation, ImageTask, of_image
from keras_pretrained.applications.tasks.labels import Label, Labels
from keras_pretrained.applications.tasks.segmentation_metrics import VOID, PixelAccuracy
from keras_pretrained.applications.tasks.task import BATCH_SIZE
from keras_pretrained.applications.vision.image_files import as_mask, as_rgb
from keras_pretrained.applications.vision.parts import ImageScaling
from keras_pretrained.applications.vision.resampling import resize
from keras_pretrained.layers.frozen_backbone import FrozenBackbone

# Half-pixel centres, as those of the masks and of the scores: nothing moves.
_INTERPOLATION = "antialiased-bilinear"


@keras.saving.register_keras_serializable(package="keras_pretrained")
class SemanticSegmenter(ImageTask):
    """Images in; a mask each out, with the number of a class in every pixel.

    A functional model on images of one size with values 0 to 255, with the head of FCN: the
    pretrained network's last feature map and those of `skips` are each scored by a convolution of
    1 x 1, the scores are added from coarse to fine and resized to the images. Its outputs are
    logits (images, height, width, classes).

    Args:
        source: a preset name; an image network of `keras_pretrained.applications` or any other
            `keras.Model`, of which a copy is taken; a `.keras` file; or a `FrozenBackbone` around
            one of these.
        classes: their number, or their names, in the order of the numbers in masks; 255 at most.
        skips: strides of the feature maps that refine the last one: `(8, 16)` of a network that
            ends at stride 32 is FCN-8s, `(16,)` FCN-16s and `()` FCN-32s. None for as many of 8
            and 16 as the network has.
        size: height and width of the images that go in, or one number for both; by default those
            of the network.
        scaling: how values of 0 to 255 are scaled for a network that does not do it itself; see
            `ImageClassifier`.
        dropout: rate before the scores of the last feature map.
        augment: a Keras layer that changes the images which train and their masks, at random, in
            the data: not in the graph. `keras.layers.Pipeline([...])` makes one of several.
        name: of the model.
        options: of the network: `trainable_from` and `keep_statistics` of `FrozenBackbone` (all
            is frozen by default), and of a preset's builder (`weights`, ...).

    Material: `fit(images, masks)` with a list of paths, Pillow images or arrays of any sizes, and
    for each a mask of the same size: a path or Pillow image with one channel, or an array of
    integers. Pixels of 255 have no known class and do not count. Whole images are resized to the
    network's size, masks to the nearest pixel; losses and metrics are of that size. An array
    (images, height, width, 3) goes to Keras as it is, with masks (images, height, width).
    `predict(images)` returns a list of uint8 masks, each of its own image's size; `legend` says
    what the numbers mean.

    Example:

    ```python
    segmenter = SemanticSegmenter("resnet-50-torchvision", ["background", "cat"], size=512)
    segmenter.fit(["tom.jpg"], ["tom_mask.png"], epochs=5)
    mask = segmenter.predict(["new.jpg"])[0]
    [segmenter.legend[number] for number in set(mask.ravel())]
    ```

    Raises:
        ValueError: a wrong argument, a network that gives no feature maps, a mask of another size
            or with a number that is no class.

    References: [Fully Convolutional Networks](https://arxiv.org/abs/1411.4038).
    """

    has_masks: ClassVar[bool] = True

    def __init__(
        self,
        source: Any,
        classes: int | Sequence[Label],
        *,
        skips: Sequence[int] | None = None,
        size: int | tuple[int, int] | None = None,
        scaling: str | None = None,
        dropout: float = 0.2,
        augment: Any = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        labels = Labels.of(classes)
        if len(labels) > VOID:
            raise ValueError(f"A mask has at most {VOID} classes. Received: {len(labels)}")
        backbone = _backbone(source, options)
        published = preparation(None, source, backbone).size
        height, width = image_size(backbone, size, published)
        maps = chosen_maps(maps_by_stride(backbone, height, width), skips)
        if backbone.outputs != tuple(maps.values()):
            backbone = backbone.with_outputs(list(maps.values()))
        inputs = keras.Input((height, width, 3), name="images")
        scaled = inputs if scaling is None else ImageScaling(scaling, name="scaling")(inputs)
        features = backbone(scaled)
        by_stride = {stride: features[stage] for stride, stage in maps.items()}
        logits = scored(by_stride, len(labels), (height, width), dropout)
        super().__init__(inputs=inputs, outputs=logits, name=name or "semantic_segmenter")
        self._labels = labels
        self._size = (height, width)
        self._skips = tuple(maps)[:-1]
        self._scaling = scaling
        self._dropout = dropout
        self._augmentation = Augmentation(augment)

    @property
    def labels(self) -> list[Label]:
        """The classes in the order of their numbers."""
        return list(self._labels.names)

    @property
    def legend(self) -> dict[int, Label]:
        """Number in a mask -> class."""
        return dict(enumerate(self._labels.names))

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images that go into the network."""
        return self._size

    def default_loss(self) -> Any:
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=VOID, reduction="mean_with_sample_weight"
        )

    def default_metrics(self) -> list[Any]:
        overlap = keras.metrics.MeanIoU(
            len(self._labels),
            ignore_class=VOID,
            sparse_y_pred=False,
            # By default it counts in integers, which cuts the weights of examples off.
            dtype="float32",
            name="mean_iou",
        )
        return [PixelAccuracy(name="accuracy"), overlap]

    def loader(self, images: list[Any], y: Any) -> Callable[[int], Example]:
        def load(number: int) -> Example:
            image = _read(images, number)
            resized = resize(image, *self._size, _INTERPOLATION).astype(np.float32)
            if y is None:
                return (resized,)
            try:
                return resized, self._mask(y[number], image.shape[:2])
            except (TypeError, ValueError) as error:
                raise of_image(number, error) from error

        return load

    def answers(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> list[np.ndarray]:
        images = list(x)
        found: list[np.ndarray] = []
        # The logits of many images would not fit into memory.
        for start in range(0, len(images), batch_size):
            read = [_read(images, number) for number in range(len(images))[start:][:batch_size]]
            logits = self.outputs_of(read, batch_size, **kwargs)
            masks = logits.argmax(axis=-1).astype(np.uint8)
            found += [
                resize(mask, image.shape[0], image.shape[1], "nearest")
                for mask, image in zip(masks, read, strict=True)
            ]
        return found

    def _mask(self, given: Any, shape: tuple[int, ...]) -> np.ndarray:
        mask = as_mask(given)
        if mask.shape != shape:
            raise ValueError(
                f"its mask has another size, {mask.shape}. Expected that of the image, {shape}"
            )
        is_wrong = (mask != VOID) & ((mask < 0) | (mask >= len(self._labels)))
        if is_wrong.any():
            row, column = np.argwhere(is_wrong)[0]
            raise ValueError(
                f"its mask has {mask[row, column]} at row {row}, column {column}. Expected a class "
                f"from 0 to {len(self._labels) - 1}, or {VOID} for none"
            )
        return resize(mask.astype(np.uint8), *self._size, "nearest")

    def get_config(self) -> dict[str, Any]:
        return {
            "source": keras.saving.serialize_keras_object(self.backbone),
            "classes": self.labels,
            "skips": list(self._skips),
            "size": list(self._size),
            "scaling": self._scaling,
            "dropout": self._dropout,
            "augment": self.augment_config(),
            "name": self.name,
        }


def _read(images: list[Any], number: int) -> np.ndarray:
    try:
        return as_rgb(images[number])
    except (TypeError, ValueError) as error:
        raise of_image(number, error) from error


def _backbone(source: Any, options: Any) -> FrozenBackbone:
    if isinstance(source, FrozenBackbone):
        check_given(source, options)
        return source
    return FrozenBackbone(image_network(source, options), **backbone_options(options))
