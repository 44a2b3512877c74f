"""Labels out: the thousand classes of ImageNet, and the best of a network's predictions."""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np


class ImageNetClass(NamedTuple):
    """One of the thousand classes: a synset of WordNet.

    Attributes:
        wordnet_id: `"n01440764"`.
        name: `"tench"`.
    """

    wordnet_id: str
    name: str


class Prediction(NamedTuple):
    """One class with what a network gave it, in the order of `keras.applications`."""

    wordnet_id: str
    name: str
    score: float


@cache
def imagenet_classes() -> tuple[ImageNetClass, ...]:
    """The thousand classes in the order of all published networks: that of their WordNet ids.

    Networks with 1001 columns have the background before them.

    Example:

    ```python
    from keras_pretrained import applications

    applications.imagenet_classes()[281]         # ('n02123045', 'tabby')
    ```
    """
    folder = files("keras_pretrained.applications.vision") / "data"
    text = (folder / "imagenet_classes.tsv").read_text(encoding="utf-8")
    lines = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return tuple(ImageNetClass(wordnet_id, name) for wordnet_id, name in lines)


def imagenet_labels(columns: int = 1000) -> list[str]:
    """A name for each column of a network's output, no two of them the same.

    Where two classes share a name (`crane`), the WordNet id stands behind it.

    Args:
        columns: 1000, or 1001 for the background before them.

    Raises:
        ValueError: another number.
    """
    classes = imagenet_classes()
    if columns not in (len(classes), len(classes) + 1):
        raise ValueError(f"`columns` must be 1000 or 1001. Received: {columns!r}")
    counts = Counter(each.name for each in classes)
    names = [
        each.name if counts[each.name] == 1 else f"{each.name} ({each.wordnet_id})"
        for each in classes
    ]
    return names if columns == len(classes) else ["background", *names]


def decode_predictions(predictions: Any, top: int = 5) -> list[list[Prediction]]:
    """The best classes of each image, as `keras.applications` gives them, for 1001 columns too.

    Args:
        predictions: an array or tensor (images, 1000), or (images, 1001) with the background
            first, which is no class and never among the best. Probabilities or logits.
        top: how many.

    Returns:
        For each image a list of `(wordnet_id, name, score)`, the best first; of equal ones that
        with the lower number.

    Raises:
        ValueError: another shape, no numbers, or `top` out of 1..1000.

    Example:

    ```python
    import numpy as np
    from keras_pretrained import applications

    predictions = np.zeros((1, 1001))
    predictions[0, 1 + 281] = 1.0
    applications.decode_predictions(predictions, top=1)
    # [[Prediction(wordnet_id='n02123045', name='tabby', score=1.0)]]
    ```
    """
    classes = imagenet_classes()
    scores = np.asarray(predictions)
    if scores.ndim != 2 or scores.shape[1] not in (len(classes), len(classes) + 1):
        raise ValueError(
            f"Expected predictions of shape (images, {len(classes)}), or (images, "
            f"{len(classes) + 1}) with the background first. Received: {scores.shape}. A network "
            "with classes of its own has none of these names."
        )
    if type(top) is not int or not 1 <= top <= len(classes):
        raise ValueError(f"top must be an int from 1 to {len(classes)}. Received: {top!r}")
    scores = scores[:, -len(classes) :].astype(np.float64)
    if np.isnan(scores).any():
        rows = ", ".join(map(str, np.flatnonzero(np.isnan(scores).any(axis=1))[:10]))
        raise ValueError(f"The predictions hold NaN, in these rows: {rows}.")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return [
        [
            Prediction(classes[number].wordnet_id, classes[number].name, float(row[number]))
            for number in numbers
        ]
        for row, numbers in zip(scores, best, strict=True)
    ]
