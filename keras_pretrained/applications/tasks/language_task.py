"""What language models share as tasks: texts alone are their material, and hold the answers."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.applications.tasks.perplexity import Perplexity
from keras_pretrained.applications.tasks.text_task import TextTask


class LanguageTask(TextTask):
    """A model of texts whose outputs are logits of tokens, (texts, length, vocabulary)."""

    def default_loss(self) -> Any:
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )

    def default_metrics(self) -> list[Any]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy"), Perplexity()]

    def texts_of(self, x: Any, y: Any) -> list[str]:
        """The texts to learn from.

        Raises:
            ValueError: answers beside them, pairs, or none.
        """
        if y is not None:
            raise ValueError(
                f"{type(self).__name__} learns from texts alone: fit(texts). Received labels, too."
            )
        self.check_counts(x)
        return self.sides(x)

    def _validation(self, data: Any) -> Any:
        if isinstance(data, tuple) and len(data) == 1:
            (data,) = data
        return self.batches(data) if self.is_material(data) else super()._validation(data)
