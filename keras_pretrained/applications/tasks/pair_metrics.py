"""How well sentence vectors tell which texts belong together, or how alike they are."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_pretrained.applications.tasks.pair_losses import candidate_cosines, pair_cosines

_package = keras.saving.register_keras_serializable(package="keras_pretrained")


@_package
class InBatchAccuracy(keras.metrics.Mean):
    """The share of first texts that lie closest to their own second text, of those of a batch."""

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        best = ops.argmax(candidate_cosines(ops.cast(y_true, "float32"), y_pred), axis=1)
        is_own = best == ops.arange(ops.shape(best)[0], dtype=best.dtype)
        super().update_state(ops.cast(is_own, self.dtype), sample_weight)


@_package
class CosineCorrelation(keras.metrics.Metric):
    """Pearson's correlation of cosines and scores, over all examples of an epoch.

    Keras' own `PearsonCorrelation` is one of each batch.
    """

    def __init__(self, name: str = "correlation", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self._sums = self.add_variable((6,), "zeros", name="sums")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        scores = ops.cast(y_true, self.dtype)
        cosines = ops.cast(pair_cosines(scores, y_pred), self.dtype)
        ones = ops.ones_like(scores)
        weights = ones if sample_weight is None else ops.cast(sample_weight, self.dtype)
        products = (ones, scores, cosines, scores * scores, cosines * cosines, scores * cosines)
        self._sums.assign_add(ops.sum(ops.stack(products) * weights, axis=1))

    def result(self) -> Any:
        count, x, y, xx, yy, xy = (self._sums[index] for index in range(6))
        spread = (count * xx - x * x) * (count * yy - y * y)
        return ops.where(
            spread > 0, (count * xy - x * y) / ops.sqrt(ops.maximum(spread, 1e-12)), 0.0
        )
