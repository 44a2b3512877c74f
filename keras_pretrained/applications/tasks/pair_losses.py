"""What trains sentence vectors: pairs that belong together, or scores of how alike two texts are.

The vectors of an example follow each other: (examples * texts of an example, width).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_package = keras.saving.register_keras_serializable(package="keras_pretrained")


@_package
class InBatchNegatives(keras.losses.Loss):
    """Each first text shall be closer to its second text than to all others of the batch.

    Cross-entropy of a softmax over scaled cosines: the loss of sentence-transformers'
    `MultipleNegativesRankingLoss`, and with `symmetric` of its `...SymmetricRankingLoss`. Further
    texts of an example are negatives for all.

    The targets are the numbers of the texts, (examples, texts of an example), equal for equal
    texts. A text counts once in a batch, and what answers a first text elsewhere in the batch is no
    negative for it. Without numbers, make all different:
    `np.arange(examples * 2).reshape(examples, 2)`.

    Args:
        scale: of the cosines; the inverse of a temperature.
        symmetric: whether each second text is compared with all first ones, too.
        kwargs: of `keras.losses.Loss`.

    References: [Efficient Natural Language Response Suggestion](https://arxiv.org/abs/1705.00652),
    section 4.4.
    """

    def __init__(
        self,
        scale: float = 20.0,
        symmetric: bool = False,
        name: str = "in_batch_negatives",
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"reduction": "mean_with_sample_weight", **kwargs}, name=name)
        self.scale = scale
        self.symmetric = symmetric

    def call(self, y_true: Any, y_pred: Any) -> Any:
        scores = candidate_cosines(y_true, y_pred)
        loss = _own_against_all(self.scale * scores)
        if self.symmetric:
            back = candidate_cosines(*_swapped(y_true, y_pred))
            loss = (loss + _own_against_all(self.scale * back)) / 2
        return loss

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "symmetric": self.symmetric}


@_package
class CosineRegression(keras.losses.Loss):
    """The squared difference between the cosine of two texts and their score, (examples,).

    The loss of sentence-transformers' `CosineSimilarityLoss`.
    """

    def __init__(self, name: str = "cosine_regression", **kwargs: Any) -> None:
        super().__init__(**{"reduction": "mean_with_sample_weight", **kwargs}, name=name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.square(pair_cosines(y_true, y_pred) - y_true)


def pair_cosines(scores: Any, vectors: Any) -> Any:
    """(examples,): the cosines of two texts each."""
    if len(scores.shape) != 1:
        raise ValueError(
            "Pairs with scores have one score each, (examples,). Received targets of shape "
            f"{tuple(scores.shape)}. Pairs without scores need the loss InBatchNegatives."
        )
    sides = ops.reshape(_unit(vectors), (-1, 2, vectors.shape[-1]))
    return ops.sum(sides[:, 0] * sides[:, 1], axis=-1)


def candidate_cosines(texts: Any, vectors: Any) -> Any:
    """(examples, candidates): cosines of first texts with all others, the own second text first.

    Candidates that are no negatives of an example have a cosine of -1e9 there.
    """
    if len(texts.shape) != 2 or (texts.shape[1] or 2) < 2:
        raise ValueError(
            "Pairs without scores have the numbers of their texts as targets, (examples, 2 or "
            f"more). Received targets of shape {tuple(texts.shape)}. Pairs with scores need the "
            "loss CosineRegression."
        )
    sides = ops.reshape(_unit(vectors), (-1, texts.shape[1], vectors.shape[-1]))
    others = ops.reshape(ops.transpose(sides[:, 1:], (1, 0, 2)), (-1, vectors.shape[-1]))
    cosines = ops.matmul(sides[:, 0], ops.transpose(others))
    return ops.where(_no_negatives(texts), -1e9, cosines)


def _no_negatives(texts: Any) -> Any:
    """bool (examples, candidates): copies of other candidates, and further answers."""
    first, second = texts[:, 0], texts[:, 1]
    others = ops.reshape(ops.transpose(texts[:, 1:]), (-1,))
    place = ops.arange(ops.shape(others)[0])
    equal = others[:, None] == others[None]
    is_copy = ops.any(ops.logical_and(equal, place[:, None] > place[None]), axis=1)
    same_first = ops.cast(first[:, None] == first[None], "float32")
    is_second = ops.cast(second[:, None] == others[None], "float32")
    is_answer = ops.matmul(same_first, is_second) > 0
    is_own = ops.arange(ops.shape(first)[0])[:, None] == place[None]
    return ops.logical_and(ops.logical_or(is_copy[None], is_answer), ops.logical_not(is_own))


def _own_against_all(scores: Any) -> Any:
    """(examples,): cross-entropy where candidate i is the right one for example i."""
    return ops.logsumexp(scores, axis=1) - ops.diagonal(scores)


def _swapped(texts: Any, vectors: Any) -> tuple[Any, Any]:
    """The same with second texts as first ones, and without further ones."""
    sides = ops.reshape(vectors, (-1, texts.shape[1], vectors.shape[-1]))
    swapped = ops.reshape(ops.flip(sides[:, :2], axis=1), (-1, vectors.shape[-1]))
    return ops.flip(texts[:, :2], axis=1), swapped


def _unit(vectors: Any) -> Any:
    return ops.normalize(ops.cast(vectors, "float32"), axis=-1, order=2, epsilon=1e-12)
