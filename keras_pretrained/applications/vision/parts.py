"""The layers that image networks are made of; a checkpoint fills them as they are built."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.layers.blocks.block import Block

PACKAGE = "keras_pretrained"


@keras.saving.register_keras_serializable(package=PACKAGE)
class Conv2D(Block, keras.layers.Conv2D):
    """`keras.layers.Conv2D` that can be created from a checkpoint."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthwiseConv2D(Block, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` that can be created from a checkpoint."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class BatchNormalization(Block, keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` that can be created from a checkpoint.

    Args:
        keep_statistics: whether it runs in inference mode even where its stage trains. Its scale
            and offset train all the same.
    """

    def __init__(self, *args: Any, keep_statistics: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keep_statistics = keep_statistics

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        training = bool(training) and not self.keep_statistics
        return super().call(inputs, training=training, mask=mask)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "keep_statistics": self.keep_statistics}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout` that is off while it is frozen."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return super().call(inputs, training=bool(training) and self.trainable)


@keras.saving.register_keras_serializable(package=PACKAGE)
class ScaledSum(keras.layers.Layer):
    """The first input plus the second one times a number."""

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        first, second = inputs
        return first + keras.ops.cast(self.scale, self.compute_dtype) * second

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ZeroBorder(keras.layers.Layer):
    """Zeros around a feature map, as many as TensorFlow's padding `"same"` stands for.

    How many depends on the size of the map, which need not be known before it is called.

    Args:
        size, stride: of the window that goes over it, in pixels; the stride is not larger.
    """

    def __init__(self, size: int, stride: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 1 <= stride <= size:
            raise ValueError(
                f"`stride` must be from 1 to `size`. Received: stride={stride!r}, size={size!r}"
            )
        self.size = size
        self.stride = stride

    def call(self, inputs: Any) -> Any:
        _, height, width, _ = keras.ops.shape(inputs)
        rows, columns = self._added(height), self._added(width)
        border = [[rows // 2, rows - rows // 2], [columns // 2, columns - columns // 2]]
        return keras.ops.pad(inputs, [[0, 0], *border, [0, 0]])

    def _added(self, length: Any) -> Any:
        steps = (length + self.stride - 1) // self.stride
        return (steps - 1) * self.stride + self.size - length

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *sides, channels = input_shape
        grown = [None if side is None else side + self._added(side) for side in sides]
        return (batch, *grown, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "stride": self.stride}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ImageScaling(keras.layers.Layer):
    """Values 0..255 in RGB -> what a network was trained on.

    Args:
        kind: `"inception"`: x / 127.5 - 1. `"vgg"`: minus 123.68, 116.78, 103.94. `"caffe"`: turned
            into BGR, then minus 103.939, 116.779, 123.68. `"torch"`: x / 255, minus the mean
            0.485, 0.456, 0.406, divided by the standard deviation 0.229, 0.224, 0.225.
    """

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if kind not in SCALINGS:
            raise ValueError(f"`kind` must be one of {', '.join(SCALINGS)}. Received: {kind!r}")
        self.kind = kind

    def call(self, images: Any) -> Any:
        _check_images(images.shape)
        if images.shape[-1] is None:
            # `predict` forgets the channels after images of another shape.
            images = keras.ops.reshape(images, (*keras.ops.shape(images)[:-1], 3))
        flipped, mean, deviation = SCALINGS[self.kind]
        images = keras.ops.cast(images, self.compute_dtype)
        images = keras.ops.flip(images, axis=-1) if flipped else images
        mean = keras.ops.convert_to_tensor(mean, self.compute_dtype)
        deviation = keras.ops.convert_to_tensor(deviation, self.compute_dtype)
        return (images - mean) / deviation

    def compute_output_shape(self, input_shape: Any) -> Any:
        _check_images(input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}


def _check_images(shape: Any) -> None:
    """Means of three channels would spread a grey image over three without a word."""
    if len(shape) != 4 or shape[-1] not in (3, None):
        raise ValueError(
            "Expected images of shape (batch, height, width, 3) with values 0 to 255 in RGB. "
            f"Received: shape {tuple(shape)}. `prepare_images` makes them of files, grey images "
            "and images of any size."
        )


# Whether channels are turned round, the mean, and the deviation, of values 0..255.
SCALINGS: dict[str, tuple[bool, list[float], list[float]]] = {
    "inception": (False, [127.5] * 3, [127.5] * 3),
    "vgg": (False, [123.68, 116.78, 103.94], [1.0] * 3),
    "caffe": (True, [103.939, 116.779, 123.68], [1.0] * 3),
    "torch": (
        False,
        [255 * mean for mean in (0.485, 0.456, 0.406)],
        [255 * deviation for deviation in (0.229, 0.224, 0.225)],
    ),
}
