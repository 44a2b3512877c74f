"""The thousand classes and the best of them."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.applications.vision.imagenet import decode_predictions, imagenet_classes

PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "imagenet_63"
# SHA-256 of the ids, sorted, a line each: of tensorflow_datasets 4.9.10, the file
# image_classification/imagenet_resized_labels.txt.
SORTED_IDS = "385e0240499426c022b773be1ae4da780f057b89c9694c7f47199f62746b6edd"


def test_the_ids_are_those_of_the_challenge_in_their_order() -> None:
    ids = [each.wordnet_id for each in imagenet_classes()]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000
    assert hashlib.sha256("\n".join(ids).encode()).hexdigest() == SORTED_IDS


@pytest.mark.parametrize(
    ("number", "wordnet_id", "name"),
    [
        (0, "n01440764", "tench"),
        (207, "n02099601", "golden_retriever"),
        (281, "n02123045", "tabby"),
        (386, "n02504458", "African_elephant"),
        # Two words that have two senses each among the classes.
        (134, "n02012849", "crane"),
        (517, "n03126707", "crane"),
        (638, "n03710637", "maillot"),
        (639, "n03710721", "maillot"),
        (999, "n15075141", "toilet_tissue"),
    ],
)
def test_known_classes(number: int, wordnet_id: str, name: str) -> None:
    assert imagenet_classes()[number] == (wordnet_id, name)


def test_names_are_words_joined_by_underscores() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9'._-]+", each.name) for each in imagenet_classes())


@pytest.mark.parity
@pytest.mark.skipif(not PHOTOS.is_dir(), reason="absent: ../shared/data/imagenet_63")
def test_photos_that_carry_their_class_in_their_names() -> None:
    names = [path.stem for path in sorted(PHOTOS.glob("*.jpg"))]
    assert len(names) == 63
    for name in names:
        number, wordnet_id, label = name.split("_", 2)
        assert imagenet_classes()[int(number)] == (wordnet_id, label)


def scores(seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random((3, 1000)).astype(np.float32)
    return values / values.sum(axis=1, keepdims=True)


@pytest.mark.parity
def test_keras_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own list of classes is on the network; the ranking is its code."""
    from keras.src.applications import imagenet_utils

    index = {str(number): list(each) for number, each in enumerate(imagenet_classes())}
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", index)
    theirs = imagenet_utils.decode_predictions(scores(), top=7)
    ours = decode_predictions(scores(), top=7)
    assert [[tuple(each) for each in row] for row in theirs] == ours


def test_the_background_is_left_out() -> None:
    with_background = np.concatenate([np.full((3, 1), 9.0), scores()], axis=1)
    assert decode_predictions(with_background) == decode_predictions(scores())


def test_order_and_fields() -> None:
    values = np.zeros((2, 1000))
    values[0, [7, 3, 5]] = 0.2, 0.5, 0.2
    values[1, 999] = -1.0
    first, second = decode_predictions(values, top=4)
    classes = imagenet_classes()
    assert [each.name for each in first] == [classes[n].name for n in (3, 5, 7, 0)]
    assert first[0].score == 0.5
    assert type(first[0].score) is float
    wordnet_id, name, score = first[0]
    assert (wordnet_id, name, score) == (*classes[3], 0.5)
    assert [each.wordnet_id for each in second] == [each.wordnet_id for each in classes[:4]]
    assert len(decode_predictions(values)[0]) == 5
    assert len(decode_predictions(values, top=1000)[1]) == 1000
    assert decode_predictions(values, top=1000)[1][-1].name == "toilet_tissue"


def test_tensors_and_empty_batches() -> None:
    import keras

    tensor = keras.ops.convert_to_tensor(scores())
    assert decode_predictions(tensor, top=2) == decode_predictions(scores(), top=2)
    assert decode_predictions(np.zeros((0, 1001))) == []


@pytest.mark.parametrize("shape", [(1000,), (2, 10), (2, 999), (2, 1002), (2, 2, 1000), ()])
def test_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"background first. Received: {re.escape(str(shape))}"):
        decode_predictions(np.zeros(shape))


@pytest.mark.parametrize("top", [0, -1, 1001, 2.0, True, None])
def test_wrong_numbers_of_classes(top: object) -> None:
    with pytest.raises(ValueError, match="top must be an int from 1 to 1000"):
        decode_predictions(scores(), top=top)  # type: ignore[arg-type]


def test_what_is_no_number() -> None:
    values = scores()
    values[2, 5] = math.nan
    with pytest.raises(ValueError, match=r"hold NaN, in these rows: 2\."):
        decode_predictions(values)
