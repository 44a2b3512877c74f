"""How well a language model predicts: the number of tokens among which it is as unsure."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_pretrained")
class Perplexity(keras.metrics.SparseCategoricalCrossentropy):
    """The exponential of the mean surprise at a token, over all tokens seen.

    Args:
        name: of the metric.
        dtype: of the result.
        from_logits: whether predictions are logits.
        kwargs: of `keras.metrics.SparseCategoricalCrossentropy`.

    Example:

    ```python
    metric = Perplexity()
    metric.update_state([[1]], keras.ops.zeros((1, 1, 8)))
    metric.result()   # 8.0
    ```
    """

    def __init__(
        self, name: str = "perplexity", dtype: Any = None, from_logits: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(name=name, dtype=dtype, from_logits=from_logits, **kwargs)

    def result(self) -> Any:
        return keras.ops.exp(super().result())
