"""`Tokenizer`: what all tokenizers share, from texts of any kind to rows of ids."""

from __future__ import annotations

import functools
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np

from keras_pretrained.tokenizers.inputs import read_pair, read_texts
from keras_pretrained.tokenizers.lazy import tensorflow
from keras_pretrained.tokenizers.packing import (
    PadSide,
    PadTo,
    Pieces,
    Template,
    check_lengths,
    check_side,
    pack,
)


class Operations(Protocol):
    """Strings of shape `(count,)` to a RaggedTensor of int32 ids, `(count, None)`."""

    def __call__(self, strings: Any, is_split: bool = False) -> Any:
        """`is_split` tells that each string is a word of a text."""


class Tokenizer(ABC):
    """Texts to the inputs of a model. Subclasses make the ids; this class makes rows of them.

    Args:
        max_length: the most tokens in a row; longer texts are cut, pairs longest first.
        pad_to: the length of the rows: None or `"longest"`, an int, or `"buckets"`.
        pad_side: where rows are filled up, `"right"` or `"left"`.
        template: the special tokens that rows must have room for.

    Attributes:
        runs_in_python: the ids are made by a Python function, which graphs call back, instead of
            by TensorFlow operations: such graphs cannot be saved.
    """

    runs_in_python = False

    def __init__(
        self, max_length: int, pad_to: PadTo, pad_side: PadSide, template: Template
    ) -> None:
        check_lengths(max_length, pad_to, template, is_pair=False)
        check_side(pad_side)
        self.max_length = max_length
        self.pad_to = pad_to
        self.pad_side = pad_side
        self._ops_or_none: Operations | None = None
        self._graphs: dict[tuple, Any] = {}
        self._lock = threading.Lock()

    def __call__(
        self,
        texts: Any,
        *,
        is_split: bool = False,
        max_length: int | None = None,
        pad_to: PadTo = None,
        pad_side: PadSide | None = None,
    ) -> dict[str, Any]:
        """Tokenizes one text, a batch, or a pair of either.

        Args:
            texts: a str, a list or NumPy array of str, or a string tensor of rank 0 or 1. A
                tuple of two of them is a pair. One text gives rows without a batch axis, so
                that `dataset.map` works before and after `batch`.
            is_split: texts are lists of words (or a RaggedTensor of words), and the result also
                says to which word each token belongs.
            max_length, pad_to, pad_side: instead of the tokenizer's own; None keeps these.

        Returns:
            A dict of int32 arrays `(batch, length)`: `token_ids`; `segment_ids`, 1 on the second
            text of a pair, where the family has them; `padding_mask`, 1 on tokens and 0 on
            padding; with `is_split` also `word_ids`, the index of each token's word and -1 on
            special tokens and padding. NumPy arrays, or tensors where a graph is traced
            (`tf.data`, `tf.function`).

        Raises:
            TypeError: texts are no strings; the message names the element.
            ValueError: wrong ranks, sides of different lengths, a length that is too small,
                bytes that are no UTF-8, or no vocabulary yet.
        """
        # AutoGraph would rewrite all of this code when `dataset.map` traces it.
        call = tensorflow().autograph.experimental.do_not_convert(self._call)
        return call(texts, is_split, max_length, pad_to, pad_side)

    def _call(
        self,
        texts: Any,
        is_split: bool,
        max_length: int | None,
        pad_to: PadTo,
        pad_side: PadSide | None,
    ) -> dict[str, Any]:
        tf = tensorflow()
        ops, template = self._ops, self._template
        is_pair = isinstance(texts, tuple)
        pad_to = self.pad_to if pad_to is None else pad_to
        pad_side = self.pad_side if pad_side is None else pad_side
        max_length = self.max_length if max_length is None else max_length
        check_side(pad_side)
        limit = check_lengths(max_length, pad_to, template, is_pair)
        with tf.device("CPU:0"):
            if is_pair:
                sides = list(read_pair(texts, is_split=is_split))
            else:
                sides = [read_texts(texts, is_split=is_split)]
            tensors = [side.tensors() for side in sides]
            if any(side.is_symbolic for side in sides):
                packed = _tokenize(ops, template, limit, pad_to, pad_side, tensors)
            else:
                if self.runs_in_python:
                    # Outside of a graph its errors reach the caller as they are.
                    tensors = [_pieces(ops, *side).tensors() for side in tensors]
                graph = self._graph(is_pair, is_split, limit, pad_to, pad_side)
                packed = {name: np.array(value) for name, value in graph(tensors).items()}
        if sides[0].is_single:
            packed = {name: value[0] for name, value in packed.items()}
        return packed

    def tokenize(self, text: str) -> list[str]:
        """The tokens of one text, without special tokens."""
        sides = read_texts(text, is_split=False, name="text")
        if not sides.is_single:
            raise TypeError(f"text must be one str. Received: {type(text).__name__}.")
        if sides.is_symbolic:
            raise TypeError("tokenize returns a list of str: call it outside of a graph.")
        ids = self._ops(sides.strings).flat_values.numpy()
        return [self.id_to_token(index) for index in ids.tolist()]

    def pieces(self, words: Sequence[str], is_split: bool = True) -> list[np.ndarray]:
        """The ids of each word of a split text, int32 (pieces,), without special tokens.

        A word of characters that the tokenizer drops has none.

        Args:
            words: the words of one text; or, with `is_split=False`, whole texts.

        Raises:
            TypeError: not a list of str.
        """
        if not len(words):
            return []
        given = list(words)
        read = read_texts([given] if is_split else given, is_split=is_split, name="words")
        ids = self._ops(read.strings, is_split=is_split)
        return np.split(ids.flat_values.numpy(), ids.row_splits.numpy()[1:-1])

    def room(self, is_pair: bool = False) -> int:
        """How many pieces a row holds beside its special tokens."""
        return self.max_length - self._template.special_count(is_pair)

    def pack_pieces(
        self,
        first: Sequence[np.ndarray],
        second: Sequence[np.ndarray] | None = None,
        *,
        words: tuple[Sequence[np.ndarray], ...] | None = None,
        pad_to: PadTo = None,
    ) -> dict[str, np.ndarray]:
        """Rows with special tokens of `pieces` that the caller has cut himself.

        Args:
            first, second: the ids of each text; of the other side of a pair.
            words: for each side a number for each piece, which comes back as `word_ids`.
            pad_to: instead of the tokenizer's own.

        Returns:
            int32 arrays (texts, length), as a call on texts gives them.

        Raises:
            ValueError: rows longer than `max_length`.
        """
        tf = tensorflow()
        ids = [first] if second is None else [first, second]
        pad_to = self.pad_to if pad_to is None else pad_to
        limit = check_lengths(self.max_length, pad_to, self._template, second is not None)
        special = self._template.special_count(second is not None)
        longest = max((sum(map(len, row)) for row in zip(*ids, strict=True)), default=0) + special
        if longest > limit:
            raise ValueError(f"A row has {longest} tokens. Expected at most {limit}.")
        numbers = [None] * len(ids) if words is None else words
        with tf.device("CPU:0"):
            sides = [Pieces(*_joined(*side)) for side in zip(ids, numbers, strict=True)]
            other = sides[1] if len(sides) == 2 else None
            made = pack(sides[0], other, self._template, limit, pad_to)
        return {name: np.array(value) for name, value in made.items()}

    @abstractmethod
    def id_to_token(self, token_id: int) -> str:
        """The token of an id; ValueError if the vocabulary does not have it."""

    @property
    @abstractmethod
    def vocabulary_size(self) -> int:
        """How many ids there are."""

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """The options as plain data: no vocabulary (see `save_assets`) and no paths."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A tokenizer with these options and no vocabulary: `load_assets` brings it."""
        return cls(None, **config)  # type: ignore[arg-type]

    @abstractmethod
    def save_assets(self, folder: str | os.PathLike[str]) -> None:
        """Writes the vocabulary's files into the folder."""

    @abstractmethod
    def load_assets(self, folder: str | os.PathLike[str]) -> None:
        """Reads the vocabulary's files from the folder."""

    @abstractmethod
    def published_files(self) -> dict[str, bytes]:
        """What stands beside published weights: name -> content."""

    @property
    @abstractmethod
    def _template(self) -> Template:
        """The special tokens of a row."""

    @abstractmethod
    def _make_ops(self) -> Operations:
        """What makes ids of texts; called once for a vocabulary."""

    @abstractmethod
    def _has_vocabulary(self) -> bool:
        """Whether a vocabulary is there."""

    def _forget_ops(self) -> None:
        """To be called, under the lock, when the vocabulary changes."""
        self._ops_or_none = None
        self._graphs = {}

    @property
    def _ops(self) -> Operations:
        with self._lock:
            if self._ops_or_none is None:
                self._ops_or_none = self._make_ops()
            return self._ops_or_none

    def _graph(
        self, is_pair: bool, is_split: bool, limit: int, pad_to: PadTo, pad_side: PadSide
    ) -> Any:
        """For eager calls: one graph costs a tenth of fifty operations called one by one."""
        tf = tensorflow()
        ops, template = self._ops, self._template
        key = (is_pair, is_split, limit, pad_to, pad_side)
        with self._lock:
            if key not in self._graphs:
                if self.runs_in_python:
                    function = functools.partial(_pack, template, limit, pad_to, pad_side)
                    side = [tf.RaggedTensorSpec([None, None], tf.int32)]
                    side += [tf.TensorSpec([None], tf.int32)] if is_split else []
                else:
                    function = functools.partial(_tokenize, ops, template, limit, pad_to, pad_side)
                    side = [tf.TensorSpec([None], tf.string)]
                    side += [tf.TensorSpec([None], tf.int64)] if is_split else []
                self._graphs[key] = tf.function(
                    function,
                    input_signature=[[side, side] if is_pair else [side]],
                    autograph=False,
                )
            return self._graphs[key]

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        name = type(self).__name__
        if not self._has_vocabulary():
            return f"<{name} without vocabulary, {options}>"
        return f"<{name} of {self.vocabulary_size} pieces, {options}>"

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles build their own operations, in their own process.
        return {**self.__dict__, "_ops_or_none": None, "_graphs": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def id_rows(token_ids: Any) -> tuple[list[list[int]], bool]:
    """Rows of ids, for decoding, and whether they were a batch."""
    rows = token_ids.to_list() if hasattr(token_ids, "to_list") else token_ids
    rows = rows.tolist() if hasattr(rows, "tolist") else list(np.asarray(rows, object))
    if any(isinstance(row, list | tuple | np.ndarray) for row in rows):
        return rows, True
    return [rows], False


def _tokenize(
    ops: Operations,
    template: Template,
    limit: int,
    pad_to: PadTo,
    pad_side: PadSide,
    tensors: list[list[Any]],
) -> dict[str, Any]:
    pieces = [_pieces(ops, *side).tensors() for side in tensors]
    return _pack(template, limit, pad_to, pad_side, pieces)


def _pack(
    template: Template, limit: int, pad_to: PadTo, pad_side: PadSide, tensors: list[list[Any]]
) -> dict[str, Any]:
    sides = [Pieces(*side) for side in tensors]
    second = sides[1] if len(sides) == 2 else None
    return pack(sides[0], second, template, limit, pad_to, pad_side)


def _joined(rows: Sequence[np.ndarray], numbers: Sequence[np.ndarray] | None) -> tuple[Any, Any]:
    """Rows of ids as a RaggedTensor, and their numbers one behind the other."""
    tf = tensorflow()
    none = [np.zeros(0, np.int32)]
    ids = tf.RaggedTensor.from_row_lengths(
        np.concatenate([*rows, *none]), [len(row) for row in rows]
    )
    if numbers is None:
        return ids, None
    return ids, tf.constant(np.concatenate([*numbers, *none]), tf.int32)


def _pieces(ops: Operations, strings: Any, text_splits: Any = None) -> Pieces:
    ids = ops(strings, is_split=text_splits is not None)
    if text_splits is None:
        return Pieces(ids)
    tf = tensorflow()
    in_texts = tf.RaggedTensor.from_row_splits(
        ids.flat_values, tf.gather(ids.row_splits, text_splits), validate=False
    )
    # Each piece's word, counted from the first word of its text.
    first_words = tf.gather(text_splits, in_texts.value_rowids())
    return Pieces(in_texts, tf.cast(ids.value_rowids() - first_words, tf.int32))
