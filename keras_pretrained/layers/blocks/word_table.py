"""One row a word: the table behind word vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_pretrained.layers.blocks.block import Block
from keras_pretrained.layers.blocks.tensorflow import take_summed


class WordTable(Block):
    """`table[ids]`; row 0 is padding and gives zeros, also where a table is trained.

    Args:
        rows: of the table, padding included.
        width: of a row.
        make_values: gives the first values, float32 (rows, width), in memory of their own; None
            for random ones.
    """

    def __init__(
        self,
        rows: int,
        width: int,
        make_values: Callable[[], np.ndarray] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rows = rows
        self.width = width
        self._make_values = make_values

    def build(self, input_shape: Any = None) -> None:
        make, self._make_values = self._make_values, None

        def stored(shape: Any, dtype: Any = None) -> np.ndarray:
            values = make() if make is not None else np.zeros(shape)
            return values.astype(np.dtype(dtype), copy=False)

        self.vectors = self.add_weight(
            shape=(self.rows, self.width),
            initializer="uniform" if make is None else stored,
            name="vectors",
        )

    def call(self, ids: Any, training: bool | None = None) -> Any:
        """int32 of any shape -> that shape and the width."""
        ops = keras.ops
        vectors = take_summed(self.vectors, ids, training)
        real = ops.cast(ops.expand_dims(ops.not_equal(ids, 0), -1), vectors.dtype)
        return vectors * real

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rows": self.rows, "width": self.width}
