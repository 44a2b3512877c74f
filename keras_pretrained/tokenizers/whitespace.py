"""`WhitespaceTokenizer`: texts to ids of whole words, for tables of word vectors."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from keras_pretrained.tokenizers.lazy import tensorflow
from keras_pretrained.tokenizers.listed import ListedTokenizer
from keras_pretrained.tokenizers.packing import PadSide, PadTo, Template
from keras_pretrained.tokenizers.whitespace_ops import WhitespaceOps

PADDING, UNKNOWN = "", "[UNK]"
WORDS_FILE = "words.txt"
# No text is that long, and no position limits the layers behind it.
NO_LIMIT = 2**20


class _Words:
    """The words by id, with the two entries before them, and the ids by word."""

    def __init__(self, words: Sequence[str]) -> None:
        self.pieces = (PADDING, UNKNOWN, *words)

    @cached_property
    def ids(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.pieces)}


class WhitespaceTokenizer(ListedTokenizer):
    """Texts to ids of words, split at white space and at nothing else, also inside `tf.data`.

    The ids are those of `keras.layers.TextVectorization` and of `StringLookup(mask_token="")`: 0 is
    padding, 1 every word that the vocabulary lacks, and the words count from 2. Punctuation stays
    with its word; split texts beforehand where the vectors were trained on split ones. White
    space is ASCII's (space, tab, line feed, ...).

    Args:
        vocabulary: the words in the order of their ids, from 2 on; a list that begins with `""`
            and `"[UNK]"`, as Keras' layers give it, means the same. None if `load_assets` brings
            it later. Words may hold spaces; such are found in texts that are split already.
        lowercase: whether texts are lower-cased.
        max_length: the most words in a row; longer texts are cut.
        pad_to, pad_side: see `Tokenizer`.

    Example:
        >>> tokenizer = WhitespaceTokenizer(["the", "dog"])
        >>> tokenizer(["the big dog", "the"])["token_ids"]
        array([[2, 1, 3],
               [2, 0, 0]], dtype=int32)
    """

    def __init__(
        self,
        vocabulary: Sequence[str] | None,
        lowercase: bool = False,
        max_length: int = NO_LIMIT,
        pad_to: PadTo = None,
        pad_side: PadSide = "right",
    ) -> None:
        self.lowercase = lowercase
        super().__init__(max_length, pad_to, pad_side, Template((), (), (), 0, False))
        self._words_or_none: _Words | None = None
        if vocabulary is not None:
            self._words_or_none = _Words(checked_words(vocabulary))

    def lookup(self, words: Any) -> Any:
        """The ids of words one by one: strings of any shape to int32 of that shape.

        The empty string has the id 0. NumPy arrays, or tensors where a graph is traced.
        """
        tf = tensorflow()
        ops = self._ops
        with tf.device("CPU:0"):
            ids = ops.lookup(tf.convert_to_tensor(words, tf.string))  # type: ignore[attr-defined]
        return ids if tf.is_symbolic_tensor(ids) else ids.numpy()

    @property
    def pad_id(self) -> int:
        """The id of padding."""
        return 0

    @property
    def unknown_id(self) -> int:
        """The id of a word that the vocabulary lacks."""
        return 1

    def get_config(self) -> dict[str, Any]:
        """The options as plain data: no vocabulary (see `save_assets`) and no paths."""
        return {
            "lowercase": self.lowercase,
            "max_length": self.max_length,
            "pad_to": self.pad_to,
            "pad_side": self.pad_side,
        }

    def save_assets(self, folder: str | os.PathLike[str]) -> None:
        """Writes the words into the folder, one a line."""
        (Path(folder) / WORDS_FILE).write_bytes(self.published_files()[WORDS_FILE])

    def load_assets(self, folder: str | os.PathLike[str]) -> None:
        """Reads the words from the folder."""
        data = (Path(folder) / WORDS_FILE).read_bytes()
        words = data.decode("utf-8", "surrogateescape").split("\n")[:-1]
        with self._lock:
            self._words_or_none = _Words(checked_words([PADDING, UNKNOWN, *words]))
            self._forget_ops()

    def published_files(self) -> dict[str, bytes]:
        """What stands beside published weights: name -> content."""
        words = self._pieces[2:]
        return {WORDS_FILE: b"".join(encoded(word) + b"\n" for word in words)}

    @property
    def _words(self) -> _Words:
        if self._words_or_none is None:
            raise ValueError(
                "This WhitespaceTokenizer has no vocabulary yet. Construct it with one, or call "
                f"load_assets(folder) with a folder that holds {WORDS_FILE}."
            )
        return self._words_or_none

    @property
    def _pieces(self) -> Sequence[str]:
        return self._words.pieces

    @property
    def _ids(self) -> Mapping[str, int]:
        return self._words.ids

    @property
    def _template(self) -> Template:
        return Template((), (), (), self.pad_id, has_segments=False)

    def _make_ops(self) -> WhitespaceOps:
        ids = {encoded(word): index for index, word in enumerate(self._pieces) if index > 1}
        return WhitespaceOps(ids, self.unknown_id, self.lowercase)

    def _has_vocabulary(self) -> bool:
        return self._words_or_none is not None


def encoded(word: str) -> bytes:
    """A word's bytes; those that were no UTF-8 when they were read are what they were."""
    return word.encode("utf-8", "surrogateescape")


def checked_words(vocabulary: Sequence[str]) -> list[str]:
    """The words of a vocabulary, without the two entries that Keras' layers put before them.

    Raises:
        TypeError: an element is no str.
        ValueError: a word is there twice, is empty, or holds a line feed.
    """
    words = list(vocabulary)
    if words[:2] == [PADDING, UNKNOWN]:
        words = words[2:]
    elif words[:1] == [UNKNOWN]:
        raise ValueError(
            f"The vocabulary begins with {UNKNOWN!r}, so that the ids of its words count from 1. "
            "Here 0 is padding and the words count from 2, as TextVectorization and "
            "StringLookup(mask_token='') give them. Leave that entry out."
        )
    for index, word in enumerate(words):
        if not isinstance(word, str):
            raise TypeError(
                f"vocabulary[{index}] must be a str. Received: {word!r} ({type(word).__name__})."
            )
        if not word or "\n" in word:
            raise ValueError(
                f"vocabulary[{index}] is {word!r}. Expected words, without line feeds; '' and "
                f"{UNKNOWN!r} may stand at the start only, in this order."
            )
    if len(set(words)) < len(words):
        twice = next(word for word, count in Counter(words).items() if count > 1)
        raise ValueError(f"The vocabulary holds {twice!r} twice.")
    return words
