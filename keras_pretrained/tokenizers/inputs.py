"""What users pass as texts, checked and turned into string tensors (for every tokenizer)."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_pretrained.tokenizers.lazy import tensorflow

_KINDS = "a str, a list of str, a NumPy array of strings or a string tensor"
_SPLIT_KINDS = "a list of words, a list of lists of words, or a RaggedTensor of words"


@dataclass(frozen=True)
class Texts:
    """A batch of texts, or of texts that are split into words.

    Attributes:
        strings: string tensor `(texts,)`, or `(words,)` where texts are split.
        row_splits: int64 tensor `(texts + 1,)`, where each text's words begin; None if not split.
        is_single: the user passed one text instead of a batch.
        is_symbolic: the strings are part of a graph that is being traced.
    """

    strings: Any
    row_splits: Any
    is_single: bool
    is_symbolic: bool

    def tensors(self) -> list[Any]:
        """The strings, and the row splits where texts are split."""
        return [self.strings] if self.row_splits is None else [self.strings, self.row_splits]

    def count(self) -> Any:
        """The static number of texts, or None."""
        if self.row_splits is None:
            return self.strings.shape[0]
        return None if self.row_splits.shape[0] is None else self.row_splits.shape[0] - 1


def read_texts(texts: Any, *, is_split: bool, name: str = "texts") -> Texts:
    """Checks one argument of texts and converts it.

    Args:
        texts: with `is_split=False` a str, a list or array of str, or a string tensor of rank 0
            or 1; with `is_split=True` one level deeper, where the words of a text are str.
        is_split: whether texts are split into words.
        name: the argument's name, for errors.

    Raises:
        TypeError: not strings; the message names the element.
        ValueError: a rank that does not fit, or bytes that are no UTF-8.
    """
    if _is_tensor(texts):
        return _read_tensor(texts, is_split, name)
    if type(texts).__name__ == "KerasTensor":
        raise TypeError(
            f"{name} is a KerasTensor, a placeholder of a Keras model: tokenizers run outside the "
            "model. Tokenize in `dataset.map`, or call the encoder itself on the string input."
        )
    if isinstance(texts, np.ndarray) or hasattr(texts, "__array__"):
        texts = np.asarray(texts).tolist()
    if isinstance(texts, tuple) and is_split is False:
        raise TypeError(
            f"{name} is a tuple of {len(texts)}: a tuple is a pair of texts or of batches. "
            "Write a batch as a list."
        )
    if is_split:
        return _read_words(texts, name)
    if isinstance(texts, str | bytes):
        return Texts(_constant([_encode(texts, name)]), None, True, _in_graph())
    if not isinstance(texts, Sequence):
        raise TypeError(f"{name} must be {_KINDS}. Received: {_describe(texts)}.")
    for index, text in enumerate(texts):
        if isinstance(text, list | tuple | np.ndarray):
            raise TypeError(
                f"{name}[{index}] is a {type(text).__name__}, expected a str. For texts that are "
                "split into words pass is_split=True; for pairs pass a tuple of two batches, "
                "(first texts, second texts)."
            )
    strings = [_encode(text, f"{name}[{index}]") for index, text in enumerate(texts)]
    return Texts(_constant(strings), None, False, _in_graph())


def read_pair(texts: tuple, *, is_split: bool) -> tuple[Texts, Texts]:
    """Checks a pair: a tuple of two arguments of equal length.

    Raises:
        TypeError: one is a text, the other a batch; or an element is no string.
        ValueError: not two, or of different lengths.
    """
    if len(texts) != 2:
        raise ValueError(
            f"A tuple is a pair, (first texts, second texts). Received: a tuple of {len(texts)}. "
            "Write a batch as a list."
        )
    first = read_texts(texts[0], is_split=is_split, name="texts[0]")
    second = read_texts(texts[1], is_split=is_split, name="texts[1]")
    if first.is_single != second.is_single:
        raise TypeError(
            "The two sides of a pair must be two texts or two batches. Received: "
            f"{_describe(texts[0])} and {_describe(texts[1])}."
        )
    counts = first.count(), second.count()
    if None not in counts and counts[0] != counts[1]:
        raise ValueError(
            f"The two sides of a pair have different lengths: {counts[0]} and {counts[1]} texts."
        )
    return first, second


def _read_tensor(texts: Any, is_split: bool, name: str) -> Texts:
    tf = tensorflow()
    if texts.dtype != tf.string:
        raise TypeError(f"{name} must hold strings. Received: a tensor of {texts.dtype.name}.")
    rank = texts.shape.rank
    ranks = (1, 2) if is_split else (0, 1)
    if rank not in ranks or (isinstance(texts, tf.RaggedTensor) and not is_split):
        hint = "" if is_split else " For texts that are split into words pass is_split=True."
        received = "an unknown rank" if rank is None else f"shape {texts.shape}"
        raise ValueError(
            f"{name} must be a string tensor of rank {ranks[0]} or {ranks[1]}"
            f"{' (is_split=True)' if is_split else ''}. Received: {received}.{hint}"
        )
    is_single = rank == ranks[0]
    row_splits = None
    if is_split and is_single:
        row_splits = tf.stack([0, tf.size(texts, tf.int64)])
    elif is_split:
        if not isinstance(texts, tf.RaggedTensor):
            texts = tf.RaggedTensor.from_tensor(texts)
        row_splits = tf.cast(texts.row_splits, tf.int64)
        texts = texts.flat_values
    elif is_single:
        texts = texts[None]
    return Texts(texts, row_splits, is_single, tf.is_symbolic_tensor(texts) or _in_graph())


def _read_words(texts: Any, name: str) -> Texts:
    tf = tensorflow()
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        raise TypeError(
            f"{name} must be {_SPLIT_KINDS} (is_split=True). Received: {_describe(texts)}."
        )
    is_single = len(texts) > 0 and all(isinstance(word, str | bytes) for word in texts)
    strings: list[bytes] = []
    row_splits = [0]
    for index, words in enumerate([texts] if is_single else texts):
        place = name if is_single else f"{name}[{index}]"
        if isinstance(words, np.ndarray):
            words = words.tolist()
        if isinstance(words, str | bytes) or not isinstance(words, Sequence):
            raise TypeError(
                f"{place} must be a list of words (is_split=True). Received: {_describe(words)}."
            )
        strings += [_encode(word, f"{place}[{number}]") for number, word in enumerate(words)]
        row_splits.append(len(strings))
    splits = tf.constant(row_splits, tf.int64)
    return Texts(_constant(strings), splits, is_single, _in_graph())


def _encode(text: Any, place: str) -> bytes:
    if isinstance(text, str):
        # Half a surrogate pair becomes invalid UTF-8, which each tokenizer treats in its own way.
        return text.encode("utf-8", "surrogatepass")
    if isinstance(text, bytes):
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{place} is bytes that are no UTF-8 text ({error.reason} at byte {error.start}). "
                "Decode it first: text.decode(encoding, errors='replace')."
            ) from None
        return bytes(text)
    missing = text is None or (isinstance(text, numbers.Real) and text != text)
    hint = " Fill in or drop missing texts first." if missing else ""
    raise TypeError(f"{place} must be a str. Received: {_describe(text)}.{hint}")


def _constant(strings: list[bytes]) -> Any:
    tf = tensorflow()
    return tf.constant(strings, tf.string, shape=(len(strings),))


def _in_graph() -> bool:
    return not tensorflow().executing_eagerly()


def _is_tensor(value: Any) -> bool:
    tf = tensorflow()
    return isinstance(value, tf.Tensor | tf.RaggedTensor)


def _describe(value: Any) -> str:
    text = repr(value)
    if len(text) > 60:
        text = f"{text[:57]}..."
    return f"{text} ({type(value).__name__})"
