"""`SentenceEmbedder`: texts -> vectors whose cosines tell how alike the texts are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_pretrained.applications.tasks.pair_losses import CosineRegression, InBatchNegatives
from keras_pretrained.applications.tasks.pair_metrics import CosineCorrelation, InBatchAccuracy
from keras_pretrained.applications.tasks.task import BATCH_SIZE
from keras_pretrained.applications.tasks.text_source import published_embedding, text_encoder
from keras_pretrained.applications.tasks.text_task import TextTask, of_several_texts, row_batches
from keras_pretrained.applications.tasks.vector_search import Match, cosines, nearest, unit

TEXTS = 65536
"""Texts that are tokenized at a time, so that a corpus need not fit into memory as ids."""


@keras.saving.register_keras_serializable(package="keras_pretrained")
class SentenceEmbedder(TextTask):
    """Texts in, vectors out, whose cosines tell how alike the texts are.

    A functional model on the token ids of one text: the pretrained encoder with its vector of a
    text, brought to length 1.

    Args:
        source: a preset name, a path, or a text layer with `pooling`.
        pooling: the vector of a text; `"auto"` for that of the authors (of a preset, or of a folder
            that sentence-transformers wrote), else the mean of the tokens.
        normalize: whether vectors have the length 1.
        scale: of the cosines in the contrastive loss, see `InBatchNegatives`.
        symmetric: whether the contrastive loss looks from both texts of a pair.
        score_range: the lowest and the highest score that people give; a cosine of 0 stands for
            the lowest, of 1 for the highest.
        name: of the model.
        options: of the encoder: `trainable_from`, `max_length`, `weights`, ... With
            `pooling="auto"`, `max_length` is the authors' own.

    Material: `predict(texts)` returns float32 (texts, width); of pairs, their scores. `fit(pairs)`
    takes a list of `(text, text that belongs to it)`, also with further texts that do not, or a
    tuple of lists, and trains each pair against the other texts of its batch: a larger batch
    teaches more. `fit(pairs, scores)` trains the cosine of each pair.

    Example:

    ```python
    embedder = SentenceEmbedder("minilm-l6")
    embedder.similarity(["A dog barks."], ["A hound howls.", "Tea is hot."])
    embedder.search(["Who barks?"], ["Tea is hot.", "A dog."], top_k=1)
    embedder.fit([("A dog barks.", "A hound howls."), ("Hot tea.", "Tea is served.")])
    ```

    Raises:
        ValueError: a wrong argument, texts where `fit` needs pairs, or scores out of their range.

    References: [Sentence-BERT](https://arxiv.org/abs/1908.10084);
    [MiniLM](https://arxiv.org/abs/2002.10957).
    """

    learning_rate = 2e-5

    def __init__(
        self,
        source: Any,
        *,
        pooling: str = "auto",
        normalize: bool = True,
        scale: float = 20.0,
        symmetric: bool = False,
        score_range: tuple[float, float] = (0.0, 1.0),
        name: str | None = None,
        **options: Any,
    ) -> None:
        low, high = map(float, score_range)
        if not low < high:
            raise ValueError(f"`score_range` must be (lowest, highest). Received: {score_range!r}")
        if not scale > 0:
            raise ValueError(f"`scale` must be positive. Received: {scale!r}")
        published = published_embedding(source) if pooling == "auto" else {}
        if "max_length" in published:
            options.setdefault("max_length", published["max_length"])
        encoder = text_encoder(source, pooling, options, families={})
        inputs = encoder.symbolic_inputs()
        vector = encoder(inputs)
        if normalize:
            # Half precision has no room for the squares.
            vector = keras.layers.UnitNormalization(dtype="float32", name="vector")(vector)
        super().__init__(inputs=inputs, outputs=vector, name=name or "sentence_embedder")
        self.normalize = normalize
        self.scale = scale
        self.symmetric = symmetric
        self.score_range = (low, high)

    # --- vectors --------------------------------------------------------------------------------

    def answers(self, x: Any, batch_size: int = BATCH_SIZE, **kwargs: Any) -> np.ndarray:
        if not of_several_texts(x):
            parts = [x[start : start + TEXTS] for start in range(0, max(len(x), 1), TEXTS)]
            found = [self.outputs_of(part, batch_size, **kwargs) for part in parts]
            return np.concatenate(found, dtype="float32")
        columns = self.columns(x)
        if len(columns) != 2:
            raise ValueError(f"Pairs have a score. Received: examples of {len(columns)} texts")
        low, high = self.score_range
        first, second = (unit(self.answers(side, batch_size, **kwargs)) for side in columns)
        return low + (high - low) * (first * second).sum(axis=1)

    def similarity(self, first: Any, second: Any) -> np.ndarray:
        """The cosine of each text with each.

        Args:
            first, second: lists of texts, or vectors (texts, width).

        Returns:
            float32 (first, second).
        """
        return cosines(self._vectors(first), self._vectors(second))

    def search(self, queries: Any, corpus: Any, top_k: int = 10) -> list[list[Match]]:
        """The texts that are most like each query.

        All texts are compared, a part at a time. Who searches often makes the corpus' vectors once:
        `vectors = embedder.predict(corpus)`; they may lie in a file (`np.memmap`).

        Args:
            queries: a list of texts, or vectors (queries, width).
            corpus: a list of texts, or vectors (texts, width).
            top_k: how many a query.

        Returns:
            For each query its matches (position, score, text), the best first.
        """
        if top_k < 1:
            raise ValueError(f"`top_k` must be 1 or more. Received: {top_k!r}")
        positions, scores = nearest(self._vectors(queries), self._parts(corpus), top_k)
        texts = corpus if self.is_material(corpus) else None
        return [
            [
                Match(int(position), float(score), None if texts is None else str(texts[position]))
                for position, score in zip(*row, strict=True)
            ]
            for row in zip(positions, scores, strict=True)
        ]

    def _vectors(self, x: Any) -> np.ndarray:
        return self.answers(x) if self.is_material(x) else self._checked(x)

    def _parts(self, corpus: Any) -> Iterator[np.ndarray]:
        if not self.is_material(corpus):
            yield self._checked(corpus)
            return
        for start in range(0, len(corpus), TEXTS):
            yield self.answers(corpus[start : start + TEXTS])

    def _checked(self, vectors: Any) -> np.ndarray:
        width = self.output_shape[-1]
        if len(getattr(vectors, "shape", ())) != 2 or vectors.shape[1] != width:
            raise ValueError(
                f"Expected a list of texts, or vectors (texts, {width}). Received: "
                f"{getattr(vectors, 'shape', type(vectors).__name__)}"
            )
        return vectors

    # --- training -------------------------------------------------------------------------------

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        self._use_objective(x, y)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`, also on pairs, with or without scores."""
        self._use_objective(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def compile(
        self, optimizer: Any = "auto", loss: Any = "auto", metrics: Any = "auto", **kwargs: Any
    ) -> None:
        """As `keras.Model.compile`; `"auto"` is what pairs need that have scores, or have none.

        Which of both they are, `fit` and `evaluate` see in the data.
        """
        self._compile_again = None
        if loss == "auto":
            self._compile_again = partial(self.compile, metrics=metrics, **kwargs)
        else:
            self._has_scores = isinstance(loss, CosineRegression)
            if metrics == "auto" and not isinstance(loss, CosineRegression | InBatchNegatives):
                metrics = None
        super().compile(optimizer, loss, metrics, **kwargs)

    _has_scores: bool | None = None
    _compile_again: Callable[[Any], None] | None = None
    """Takes the optimizer; None where `compile` was given a loss."""

    def _use_objective(self, x: Any, y: Any) -> None:
        if not self.is_material(x):
            return
        if not of_several_texts(x):
            raise ValueError(
                f"{type(self).__name__} {self.name!r} learns from pairs: [(text, text), ...] or a "
                "tuple of lists. Received: single texts"
            )
        has_scores = y is not None
        if has_scores == self._has_scores:
            return
        self._has_scores = has_scores
        is_own = self._is_own_compile
        compile_again = self.compile if is_own else self._compile_again
        if self.compiled and compile_again is not None:
            compile_again(self.optimizer)
            self._is_own_compile = is_own

    def default_loss(self) -> Any:
        if self._has_scores:
            return CosineRegression()
        return InBatchNegatives(self.scale, self.symmetric)

    def default_metrics(self) -> list[Any]:
        return [CosineCorrelation() if self._has_scores else InBatchAccuracy()]

    # --- material -------------------------------------------------------------------------------

    def is_material(self, x: Any) -> bool:
        if isinstance(x, tuple):
            return len(x) > 1 and all(super(SentenceEmbedder, self).is_material(side) for side in x)
        return super().is_material(x)

    def columns(self, x: Any) -> list[list[str]]:
        """Pairs, or examples of more texts, as lists of first texts, second texts and so on.

        Raises:
            ValueError: examples of different numbers of texts, or lists of different lengths.
        """
        widths = {len(x)} if isinstance(x, tuple) else {len(example) for example in x}
        if len(widths) > 1 or min(widths) < 2:
            raise ValueError(
                "Expected pairs of texts, or examples of more texts, all of one number. Received: "
                f"examples of {' and '.join(map(str, sorted(widths)))} texts"
            )
        columns = [list(side) for side in (x if isinstance(x, tuple) else zip(*x, strict=True))]
        if len({len(side) for side in columns}) > 1:
            raise ValueError(
                "Expected lists of one length. Received: lists of "
                f"{', '.join(str(len(side)) for side in columns)} texts"
            )
        return columns

    def batches(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = BATCH_SIZE,
        training: bool = False,
    ) -> Any:
        self.check_counts(x, scores=y, weights=sample_weight)
        if not of_several_texts(x):
            return row_batches(self.arrays_of(list(x)), None, sample_weight, batch_size, training)
        columns = self.columns(x)
        texts = [text for example in zip(*columns, strict=True) for text in example]
        targets = self._numbers(texts, len(columns)) if y is None else self._shares(y, columns)
        return row_batches(
            self.arrays_of(texts),
            targets,
            sample_weight,
            batch_size,
            training,
            rows_per_example=len(columns),
        )

    def _numbers(self, texts: list[str], width: int) -> np.ndarray:
        """int32 (examples, width): equal for equal texts."""
        known: dict[str, int] = {}
        numbers = [known.setdefault(text, len(known)) for text in texts]
        return np.array(numbers, "int32").reshape(-1, width)

    def _shares(self, scores: Any, columns: Sequence[Any]) -> np.ndarray:
        """float32 (examples,): the cosines that pairs should have."""
        if len(columns) != 2:
            raise ValueError(
                f"Pairs have scores. Received: scores of examples of {len(columns)} texts"
            )
        low, high = self.score_range
        shares = (np.asarray(scores, "float32") - low) / (high - low)
        wrong = ~((shares >= 0) & (shares <= 1))
        if wrong.any():
            place = int(wrong.argmax())
            raise ValueError(
                f"Score {place} is {scores[place]!r}. Expected numbers from {low} to {high}: "
                "`score_range=` of the constructor."
            )
        return shares

    def get_config(self) -> dict[str, Any]:
        return {
            "source": keras.saving.serialize_keras_object(self.backbone),
            "normalize": self.normalize,
            "scale": self.scale,
            "symmetric": self.symmetric,
            "score_range": self.score_range,
            "name": self.name,
        }
