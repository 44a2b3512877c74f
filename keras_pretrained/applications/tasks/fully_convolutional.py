"""The head of FCN: scores on feature maps of several strides, summed from coarse to fine.

Reference: [Fully Convolutional Networks for Semantic
Segmentation](https://arxiv.org/abs/1411.4038), section 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_pretrained.layers.frozen_backbone import FrozenBackbone


def maps_by_stride(backbone: FrozenBackbone, height: int, width: int) -> dict[int, str]:
    """Stride -> the last stage whose result is a feature map of that stride, fine ones first.

    A stride is a power of two: networks without padding lose some pixels at the border.

    Raises:
        ValueError: no stage gives a feature map.
    """
    images = keras.KerasTensor((1, height, width, 3), "float32")
    results = backbone.compute_output_spec(images, features=True)
    # The results of all stages come in an order of the backend's own.
    stages = [stage.name for stage in backbone.stages if not stage.head]
    found = {
        _stride(height, results[name].shape[1]): name
        for name in stages
        if name in results and len(results[name].shape) == 4
    }
    if not found:
        raise ValueError(
            f"No stage of {backbone.model.name!r} gives a feature map (batch, height, width, "
            f"channels). Its stages are: {', '.join(stages)}"
        )
    return dict(sorted(found.items()))


def chosen_maps(found: Mapping[int, str], skips: Sequence[int] | None) -> dict[int, str]:
    """Those maps that are scored: the coarsest and the skips, fine ones first.

    Args:
        skips: strides; None for those of FCN-8s that the network has.

    Raises:
        ValueError: a skip of a stride that the network does not have.
    """
    *finer, coarsest = found
    if skips is None:
        skips = [stride for stride in (8, 16) if stride in finer]
    wrong = [stride for stride in skips if stride not in finer]
    if wrong or len(set(skips)) < len(skips):
        raise ValueError(
            f"`skips` must be strides below {coarsest}, that of the network's last feature map, "
            f"each once: {', '.join(map(str, finer)) or 'it has none'}. Received: {tuple(skips)}"
        )
    return {stride: found[stride] for stride in sorted([*skips, coarsest])}


def scored(maps: Mapping[int, Any], classes: int, size: tuple[int, int], dropout: float) -> Any:
    """Logits at the size of the images, from feature maps by their strides.

    Each map is scored by a convolution of 1 x 1, which begins at zero as in the original; scores
    are resized bilinearly to those of the next finer map, and added.
    """
    total: Any = None
    for stride in sorted(maps, reverse=True):
        features = maps[stride]
        if total is None:
            features = keras.layers.Dropout(dropout, name="dropout")(features)
        score = keras.layers.Conv2D(classes, 1, kernel_initializer="zeros", name=f"score_{stride}")(
            features
        )
        if total is not None:
            resized = keras.layers.Resizing(*score.shape[1:3], name=f"to_stride_{stride}")(total)
            score = keras.layers.Add(name=f"sum_{stride}")([resized, score])
        total = score
    return keras.layers.Resizing(*size, name="logits")(total)


def _stride(size: int, reduced: int) -> int:
    return int(2 ** round(math.log2(size / reduced)))
