"""Names of classes and their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keras_pretrained.applications.tasks.labels import Labels


def test_a_number_of_classes_has_numbers_for_names() -> None:
    labels = Labels.of(3)
    assert labels.names == (0, 1, 2)
    assert labels.numbers(np.array([2, 0])).tolist() == [2, 0]
    assert labels.named_by([0, 1]) is labels


def test_names_come_from_the_data_sorted_where_there_are_none() -> None:
    labels = Labels.of(2).named_by(["yes", "no", np.str_("yes")])
    assert labels.names == ("no", "yes")
    assert labels.named_by(["other"]) is labels
    assert labels.numbers(["yes", b"no"]).tolist() == [1, 0]


def test_several_labels_are_indicators() -> None:
    found = Labels.of(["a", "b", "c"]).indicators([["c", "a"], [], ["b", "b"]])
    assert found.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (0, "one class or more"),
        (["a", "a"], "each once"),
        ("ab", "number or a list"),
        (None, "number or a list"),
        (True, "number or a list"),
    ],
)
def test_wrong_classes_are_an_error(classes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Labels.of(classes)


def test_wrong_labels_are_an_error_that_names_them() -> None:
    with pytest.raises(ValueError, match=r"Label 1 is 'x'. Expected one of: 'a', 'b'"):
        Labels.of(["a", "b"]).numbers(["a", "x"])
    with pytest.raises(ValueError, match=r"2 classes without names, and the data 3 labels"):
        Labels.of(2).named_by(["a", "b", "c"])
    with pytest.raises(ValueError, match=r"a list of labels. Received: 'ab'"):
        Labels.of(["a", "b"]).indicators(["ab"])
    with pytest.raises(ValueError, match=r"Label 0 is 2"):
        Labels.of(2).numbers([2])
