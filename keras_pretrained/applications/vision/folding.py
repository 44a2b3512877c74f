"""Batch normalisations folded into the convolutions before them: the same function, less work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_pretrained.applications.vision.making import make_model
from keras_pretrained.applications.vision.vision_model import VisionModel


def fold_batch_norm(model: VisionModel) -> VisionModel:
    """A copy for inference, whose convolutions hold the normalisations behind them.

    In inference a normalisation multiplies each channel and adds to it; the convolution before it
    can do both. Outputs differ by rounding alone. Normalisations that stand before a convolution
    (in ResNet V2, DenseNet, NASNet) stay.

    Args:
        model: of `keras_pretrained.applications`; it is not changed.

    Returns:
        A model of which nothing trains, because a folded normalisation cannot. It cannot be
        written in its publisher's form either; save it with Keras, or export it.

    Example:

    ```python
    fast = applications.fold_batch_norm(applications.MobileNetV2())
    export.to_saved_model(fast, "served")
    ```
    """
    if not isinstance(model, VisionModel):
        raise ValueError(
            "`model` must be one of keras_pretrained.applications. "
            f"Received: {model!r} of type {type(model).__name__}"
        )
    if model.plan.folded:
        return model
    plan = replace(model.plan, folded=True, trainable_from=None)
    folded = make_model(plan, name=model.name)
    given, made = model.graph, folded.graph
    for name, layer in made.layers.items():
        if not layer.weights:
            continue
        source = given.layers[name]
        norm = given.layers.get(given.norms.get(name, ""))
        layer.set_weights(source.get_weights() if norm is None else _folded(source, norm))
    return folded


def _folded(layer: Any, norm: Any) -> list[np.ndarray]:
    """Kernel and bias of a convolution with its normalisation, computed in double precision."""
    kernel, *rest = (keras.ops.convert_to_numpy(w).astype("float64") for w in layer.weights)
    mean, variance = _numpy(norm.moving_mean), _numpy(norm.moving_variance)
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale *= _numpy(norm.gamma)
    bias = rest[0] if rest else 0.0
    # The channels of a depthwise kernel are its last two axes.
    kernel = (kernel.reshape(*kernel.shape[:2], -1, len(scale)) * scale).reshape(kernel.shape)
    return [
        array.astype("float32") for array in (kernel, _numpy(norm.beta) + (bias - mean) * scale)
    ]


def _numpy(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype("float64")
