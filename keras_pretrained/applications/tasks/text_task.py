"""What tasks on whole texts share: texts or pairs as material, and their batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_pretrained.applications.tasks.task import BATCH_SIZE, Task, batch_rows
from keras_pretrained.finetune.lengths import best_lengths, bucket_by_length


class TextTask(Task):
    """A task whose material is texts, or pairs of texts.

    Attributes:
        pairs: whether an example is a pair.
    """

    pairs: bool = False

    @property
    def tokenizer(self) -> Any:
        """Texts -> the network's arrays."""
        return self.backbone.tokenizer

    @property
    def text_names(self) -> tuple[str, ...]:
        """What an exported model calls its texts."""
        return ("first", "second") if self.pairs else ("texts",)

    def is_material(self, x: Any) -> bool:
        if isinstance(x, str):
            raise TypeError(f"Expected a list of texts. Received one text: {x[:40]!r}")
        if isinstance(x, np.ndarray):
            return x.dtype.kind in "USO"
        if isinstance(x, tuple):
            return len(x) == 2 and all(self.is_material(side) for side in x)
        return isinstance(x, list) and (not x or isinstance(x[0], str) or of_several_texts(x))

    def sides(self, x: Any) -> Any:
        """Texts as a tokenizer takes them: a list, or a tuple of two.

        Raises:
            ValueError: single texts for a task on pairs, or the other way round.
        """
        is_pairs = of_several_texts(x)
        if is_pairs != self.pairs:
            wanted = (
                "pairs of texts: [(first, second), ...] or two lists" if self.pairs else "texts"
            )
            raise ValueError(
                f"{type(self).__name__} {self.name!r} takes {wanted}. Received: "
                f"{'pairs' if is_pairs else 'single texts'}. `pairs=` of its constructor tells."
            )
        if self.pairs and not isinstance(x, tuple):
            widths = {len(example) for example in x}
            if widths != {2}:
                raise ValueError(
                    f"Expected pairs of texts. Received: {max(widths - {2})} texts in an example"
                )
            return [first for first, _ in x], [second for _, second in x]
        return x if self.pairs else list(x)

    def count(self, x: Any) -> int:
        return len(x[0]) if isinstance(x, tuple) else len(x)

    def chosen(self, x: Any, rows: np.ndarray) -> Any:
        if isinstance(x, tuple):
            return tuple(super(TextTask, self).chosen(side, rows) for side in x)
        return super().chosen(x, rows)

    def targets(self, y: Any) -> Any:
        """Answers as the numbers that the loss takes, one row an example."""
        raise NotImplementedError

    def batches(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = BATCH_SIZE,
        training: bool = False,
    ) -> Any:
        self.check_counts(x, labels=y, weights=sample_weight)
        arrays = self.arrays_of(self.sides(x))
        targets = None if y is None else self.targets(y)
        return row_batches(arrays, targets, sample_weight, batch_size, training)

    def check_counts(self, x: Any, **given: Any) -> None:
        """Raises a ValueError where there are not as many labels or weights as texts, or none."""
        count = self.count(x)
        if not count:
            raise ValueError("Expected at least one text. Received: none")
        for name, values in given.items():
            if values is not None and len(values) != count:
                raise ValueError(f"Received {count} texts and {len(values)} {name}.")

    def arrays_of(self, texts: Any) -> dict[str, np.ndarray]:
        """The network's inputs, padded to one of a few lengths: each is compiled anew."""
        return self.inputs_of(self.tokenizer(texts, pad_to="buckets"))

    def inputs_of(self, made: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The network's inputs among a tokenizer's arrays."""
        return {name: made[name] for name in self.backbone.input_names if name in made}


def of_several_texts(x: Any) -> bool:
    """Whether material is a tuple of columns, or examples of several texts: tuples, or lists."""
    if isinstance(x, tuple) or not len(x):
        return isinstance(x, tuple)
    first = x[0]
    return isinstance(first, tuple) or (
        isinstance(first, list) and bool(first) and all(isinstance(text, str) for text in first)
    )


def row_batches(
    arrays: Any,
    targets: Any,
    sample_weight: Any,
    batch_size: int,
    training: bool,
    **options: Any,
) -> Any:
    """A tokenizer's arrays in batches of at most two lengths; all of one size, but in validation.

    Args:
        options: of `bucket_by_length`.
    """
    count = len(arrays["padding_mask"]) // options.get("rows_per_example", 1)
    return bucket_by_length(
        arrays,
        targets,
        None if sample_weight is None else np.asarray(sample_weight, "float32"),
        batch_size=batch_rows(count, batch_size),
        lengths=best_lengths(arrays),
        shuffle=training,
        seed=int(np.random.randint(2**31)),
        # Copies have no weight in a step, but Keras would count them in the mean of an epoch.
        **{"fill": training or targets is None, **options},
    )
