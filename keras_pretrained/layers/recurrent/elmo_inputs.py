"""The texts that ELMo takes: sentences, or words in rows with their number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_pretrained.layers.text.strings import check_backend, checked_strings, holds_strings
from keras_pretrained.tokenizers.inputs import read_texts

WORDS, LENGTHS = "words", "lengths"


def holds_words(inputs: Any) -> bool:
    """Whether inputs are sentences or words, rather than character ids."""
    return WORDS in inputs if isinstance(inputs, Mapping) else holds_strings(inputs)


def with_word_tensors(inputs: Any, layer_name: str) -> Any:
    """Lists of words as rows of words with their number; all other inputs as they are.

    Raises:
        ValueError: words on a backend that has no strings.
        TypeError: something among the words is none; the message names it.
    """
    if isinstance(inputs, Mapping):
        if WORDS in inputs and not hasattr(inputs[WORDS], "_keras_history"):
            check_backend(layer_name)
            return _as_tensors(inputs)
        return inputs
    ragged = type(inputs).__name__ == "RaggedTensor"
    if not ragged and not _is_list_of_words(inputs):
        return inputs
    check_backend(layer_name)
    import tensorflow as tf

    read = read_texts(inputs, is_split=True)
    rows = tf.RaggedTensor.from_row_splits(read.strings, read.row_splits, validate=False)
    # As the tokenizer of sentences does: a place, also where no text has a word.
    width = tf.maximum(tf.cast(rows.bounding_shape(axis=1), tf.int32), 1)
    words = rows.to_tensor("", shape=tf.stack([-1, width]))
    return {WORDS: words, LENGTHS: tf.cast(rows.row_lengths(), tf.int32)}


def checked_words(inputs: Any, layer_name: str) -> tuple[Any, ...]:
    """The tensor of sentences `(batch,)`, or that of words `(batch, words)`, perhaps with lengths.

    Raises:
        ValueError: other shapes or types; the message has them.
    """
    if not isinstance(inputs, Mapping):
        found = checked_strings(inputs, layer_name, words=True)
        if len(found) != 1:
            raise ValueError(
                f"Layer {layer_name!r} reads single sentences, not pairs: call it on each of the "
                f"two. Received: {len(found)} string tensors"
            )
        return found
    check_backend(layer_name)
    words, lengths = inputs[WORDS], inputs.get(LENGTHS)
    unknown = sorted(set(inputs) - {WORDS, LENGTHS})
    if unknown or len(words.shape) != 2 or not holds_strings(words):
        raise ValueError(
            f"Layer {layer_name!r} takes a dictionary of {WORDS!r}, strings (batch, words), and "
            f"{LENGTHS!r}, integers (batch,), which may be left out where words that are not there "
            f"are empty. Received: {', '.join(map(str, inputs))}, with words of shape "
            f"{tuple(words.shape)}"
        )
    if lengths is None:
        return (words,)
    if len(lengths.shape) != 1 or "int" not in str(getattr(lengths.dtype, "name", lengths.dtype)):
        raise ValueError(
            f"Layer {layer_name!r} takes integer {LENGTHS!r} of shape (batch,). Received: "
            f"{lengths.dtype} of shape {tuple(lengths.shape)}"
        )
    return words, lengths


def _is_list_of_words(inputs: Any) -> bool:
    if not isinstance(inputs, list) or not inputs:
        return False
    if not all(isinstance(row, list | tuple | np.ndarray) for row in inputs):
        return False
    words = [word for row in inputs for word in row]
    return not words or any(isinstance(word, str | bytes) for word in words)


def _as_tensors(inputs: Mapping[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    made = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
    if LENGTHS in made:
        made[LENGTHS] = tf.cast(made[LENGTHS], tf.int32)
    return made
