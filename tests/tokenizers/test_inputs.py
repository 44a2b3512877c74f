"""What `texts` may be, and what the errors say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_pretrained.tokenizers.inputs import read_pair, read_texts


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", None], r"texts\[1\] must be a str. Received: None .*Fill in or drop missing"),
        (["a", float("nan")], r"texts\[1\] must be a str. Received: nan \(float\).*missing"),
        ([1, "a"], r"texts\[0\] must be a str. Received: 1 \(int\)\.$"),
        (np.array([1, 2]), r"texts\[0\] must be a str. Received: 1 \(int\)"),
        (None, r"texts must be a str, a list of str, .* Received: None"),
        (7, r"texts must be a str, a list of str, .* Received: 7 \(int\)"),
        ({"a"}, r"texts must be .* Received: \{'a'\} \(set\)"),
        ([["a", "b"]], r"texts\[0\] is a list, expected a str.*is_split=True.*a tuple of two"),
        ([("a", "b")], r"texts\[0\] is a tuple, expected a str"),
        (tf.constant([1]), r"texts must hold strings. Received: a tensor of int32"),
    ],
)
def test_no_strings(texts: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        read_texts(texts, is_split=False)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a b", r"must be a list of words, .* \(is_split=True\). Received: 'a b'"),
        ([["a"], "b"], r"texts\[1\] must be a list of words \(is_split=True\). Received: 'b'"),
        ([["a", 3]], r"texts\[0\]\[1\] must be a str. Received: 3"),
        ([["a"], None], r"texts\[1\] must be a list of words \(is_split=True\). Received: None"),
    ],
)
def test_no_words(texts: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        read_texts(texts, is_split=True)


@pytest.mark.parametrize(
    ("texts", "is_split", "message"),
    [
        (tf.constant([["a"]]), False, r"rank 0 or 1. Received: shape \(1, 1\).*is_split=True"),
        (tf.ragged.constant([["a"]]), False, r"rank 0 or 1. Received: shape \(1, None\)"),
        (tf.constant("a"), True, r"rank 1 or 2 \(is_split=True\). Received: shape \(\)"),
        (tf.ragged.constant([[["a"]]]), True, r"Received: shape \(1, None, None\)"),
        ([b"ok", b"\xff"], False, r"texts\[1\] is bytes that are no UTF-8 text .*byte 0.*replace"),
    ],
)
def test_wrong_ranks_and_bytes(texts: Any, is_split: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_texts(texts, is_split=is_split)


def test_wrong_pairs() -> None:
    with pytest.raises(ValueError, match="have different lengths: 2 and 1 texts"):
        read_pair((["a", "b"], ["c"]), is_split=False)
    with pytest.raises(ValueError, match="different lengths: 2 and 1"):
        read_pair(([["a"], ["b"]], [["c"]]), is_split=True)
    with pytest.raises(TypeError, match=r"two texts or two batches.*'a' \(str\) and \['b'\]"):
        read_pair(("a", ["b"]), is_split=False)
    with pytest.raises(ValueError, match=r"a tuple of 3. Write a batch as a list"):
        read_pair(("a", "b", "c"), is_split=False)
    with pytest.raises(TypeError, match=r"texts\[1\]\[0\] must be a str"):
        read_pair((["a"], [1]), is_split=False)


def test_errors_pass_through_a_dataset() -> None:
    from keras_pretrained.tokenizers import WordPieceTokenizer

    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    data = tf.data.Dataset.from_tensor_slices([1, 2])
    with pytest.raises(TypeError, match=r"texts must hold strings. Received: a tensor of int32"):
        data.map(tokenizer)
    unknown = tf.data.Dataset.from_generator(
        lambda: ["a"], output_signature=tf.TensorSpec(None, tf.string)
    )
    with pytest.raises(ValueError, match="Received: an unknown rank"):
        unknown.map(tokenizer)


def test_a_placeholder_of_a_keras_model() -> None:
    keras = pytest.importorskip("keras")
    with pytest.raises(TypeError, match=r"texts is a KerasTensor.*dataset.map"):
        read_texts(keras.KerasTensor((None,), "string"), is_split=False)


def test_array_likes_are_read() -> None:
    class Column:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
            return np.array(["a", "b"], object)

    read = read_texts(Column(), is_split=False)
    assert read.strings.numpy().tolist() == [b"a", b"b"]
    assert not read.is_single
    words = read_texts(np.array([["a", "b"], ["c", "d"]]), is_split=True)
    assert words.row_splits.numpy().tolist() == [0, 2, 4]
