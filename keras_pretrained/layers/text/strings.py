"""The string front of a text layer: texts instead of ids, on the TensorFlow backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_pretrained.tokenizers.inputs import read_pair, read_texts


def holds_strings(inputs: Any) -> bool:
    """Whether a layer's inputs are string tensors: one, or a pair."""
    return any(_is_string_tensor(each) for each in _sides(inputs))


def with_string_tensors(inputs: Any, layer_name: str, words: bool = False) -> Any:
    """Python and NumPy strings as tensors; all other inputs as they are.

    Args:
        words: whether texts may be split: lists of lists of words, which are filled up with `""`.

    Raises:
        ValueError: strings on a backend that has none.
        TypeError: strings among other things; the message names the element.
    """
    if not holds_python_strings(inputs):
        return inputs
    check_backend(layer_name)
    if isinstance(inputs, tuple):
        return tuple(side.strings for side in read_pair(inputs, is_split=False))
    if words and _is_nested(inputs):
        return _padded_words(inputs)
    return read_texts(inputs, is_split=False).strings


def holds_python_strings(inputs: Any) -> bool:
    """Whether inputs are Python's or NumPy's strings, or a list of none."""
    return _contains_strings(inputs) or _is_empty(inputs)


def check_backend(layer_name: str) -> None:
    """Raises ValueError when the backend has no strings."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"Layer {layer_name!r} received strings, which the Keras backend {backend} does not "
            "have. Use KERAS_BACKEND=tensorflow, or tokenize before the model: "
            "`layer(layer.tokenizer(texts))`, for instance inside `dataset.map`."
        )


def checked_strings(inputs: Any, layer_name: str, words: bool = False) -> tuple[Any, ...]:
    """One string tensor or a pair, each `(batch,)` or `(batch, 1)`.

    Args:
        words: whether one tensor `(batch, words)` of split texts is good too.

    Raises:
        ValueError: another rank, or more than a pair.
    """
    check_backend(layer_name)
    sides = _sides(inputs)
    wrong = [side for side in sides if not _is_string_tensor(side)]
    if len(sides) > 2 or wrong:
        raise ValueError(
            f"Layer {layer_name!r} takes one string tensor, or a pair (first, second) of two. "
            f"Received: {len(sides)} inputs{', not all of them strings' if wrong else ''}."
        )
    if words and len(sides) == 1 and is_split(sides[0]):
        return tuple(sides)
    for side in sides:
        shape = tuple(side.shape)
        if len(shape) != 1 and shape[1:] != (1,):
            raise ValueError(
                f"Layer {layer_name!r} takes strings of shape (batch,), as "
                f'`keras.Input((), dtype="string")` gives them. Received: shape {shape}'
            )
    return tuple(sides)


def is_split(strings: Any) -> bool:
    """Whether a string tensor holds words, `(batch, words)`; `(batch, 1)` holds texts."""
    return len(strings.shape) == 2 and strings.shape[1] != 1


def turn_whole_step_compilation_off(placeholders: Sequence[Any]) -> None:
    """Tells Keras that a model with these string inputs is not to be compiled as a whole.

    It is the input that XLA does not have: the text layer itself may serve another model on ids.
    """
    waiting, seen = list(placeholders), set()
    while waiting:
        history = waiting.pop()._keras_history
        if id(history.operation) in seen:
            continue
        seen.add(id(history.operation))
        if isinstance(history.operation, keras.layers.InputLayer):
            history.operation.supports_jit = False
        waiting += history.operation._inbound_nodes[history.node_index].input_tensors


def _sides(inputs: Any) -> Sequence[Any]:
    # A list of two tensors is what a saved model may make of a pair.
    return inputs if isinstance(inputs, tuple | list) else [inputs]


def _is_string_tensor(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return getattr(dtype, "name", dtype) == "string"


def _is_nested(inputs: Any) -> bool:
    """Whether Python's or NumPy's strings are words of texts that were split."""
    if isinstance(inputs, np.ndarray):
        return inputs.ndim == 2 and inputs.shape[1] != 1
    return isinstance(inputs, list) and any(isinstance(each, list | tuple) for each in inputs)


def _padded_words(inputs: Any) -> Any:
    import tensorflow as tf

    texts = read_texts(inputs, is_split=True)
    ragged = tf.RaggedTensor.from_row_splits(texts.strings, texts.row_splits)
    # One word a text would be taken for texts.
    width = tf.maximum(ragged.bounding_shape(axis=1), 2)
    return ragged.to_tensor("", shape=tf.stack([-1, tf.cast(width, tf.int32)]))


def _contains_strings(inputs: Any) -> bool:
    if isinstance(inputs, np.ndarray):
        return inputs.dtype.kind in "USO"
    if isinstance(inputs, tuple | list):
        return any(_contains_strings(each) for each in inputs)
    return isinstance(inputs, str | bytes)


def _is_empty(inputs: Any) -> bool:
    if isinstance(inputs, tuple):
        return bool(inputs) and all(_is_empty(each) for each in inputs)
    return isinstance(inputs, list) and all(_is_empty(each) for each in inputs)
