"""What a segmentation is measured by, where pixels of no known class do not count."""

from __future__ import annotations

from typing import Any

import keras

VOID = 255
"""The number in a mask that says: this pixel has no known class. As in PASCAL VOC."""


@keras.saving.register_keras_serializable(package="keras_pretrained")
class PixelAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of the pixels of known class whose largest score is that of their class.

    Args:
        name: of the metric.
        dtype: of its sums.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_true = keras.ops.cast(y_true, "int32")
        is_known = keras.ops.not_equal(y_true, VOID)
        weights = keras.ops.cast(is_known, self.dtype)
        if sample_weight is not None:
            weights = weights * keras.ops.cast(sample_weight, self.dtype)
        return super().update_state(keras.ops.where(is_known, y_true, 0), y_pred, weights)
