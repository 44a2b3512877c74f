"""`CharacterTokenizer`: texts as words, and words as the bytes that ELMo reads."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from keras_pretrained.tokenizers.inputs import read_texts
from keras_pretrained.tokenizers.lazy import tensorflow
from keras_pretrained.tokenizers.packing import PadTo, Template, buckets
from keras_pretrained.tokenizers.tokenizer import Operations, Tokenizer

NO_WORD = 0
# bilm counts bytes and signs from 0 and adds one to all, so that 0 is left for "no word".
SENTENCE_BEGIN, SENTENCE_END = 257, 258
WORD_BEGIN, WORD_END, FILL = 259, 260, 261
FIRST_WORD, LAST_WORD = "<S>", "</S>"
_UNLIMITED = 2**31 - 1


class CharacterTokenizer(Tokenizer):
    """Texts to the character ids of ELMo, equal to bilm's, also inside `tf.data`.

    A word is what stands between white space; ELMo was trained on texts whose punctuation stands
    apart. A word's row is `begin of word, its bytes in UTF-8, end of word, fill ...`, cut at
    `max_characters - 2` bytes. The words `<S>` and `</S>` stand for the marks of a sentence's begin
    and end, which the layer adds by itself.

    Args:
        max_characters: length of a word's row.
        max_length: the most words of a text; longer texts are cut. None: no limit.
        pad_to: the number of words in the rows of a batch. None or `"longest"`: those of the
            longest text; an int: always that many; `"buckets"`: the smallest of 32, 64, 128, ...
            that fits.

    Example:
        >>> tokenizer = CharacterTokenizer()
        >>> inputs = tokenizer(["I ate .", "Yes"])
        >>> inputs["character_ids"].shape, inputs["padding_mask"].tolist()
        ((2, 3, 50), [[1, 1, 1], [1, 0, 0]])
        >>> inputs["character_ids"][0, 1, :6]
        array([259,  98, 117, 102, 260, 261], dtype=int32)

    Reference: `bilm.data.UnicodeCharsVocabulary` of bilm-tf, Peters et al. 2018.
    """

    def __init__(
        self,
        vocabulary: None = None,
        *,
        max_characters: int = 50,
        max_length: int | None = None,
        pad_to: PadTo = None,
    ) -> None:
        if vocabulary is not None:
            raise TypeError("A CharacterTokenizer has no vocabulary: words are read as bytes.")
        if not isinstance(max_characters, int) or max_characters < 4:
            raise ValueError(f"max_characters must be an int from 4 on. Received: {max_characters}")
        limit = _UNLIMITED if max_length is None else max_length
        super().__init__(limit, pad_to, "right", Template((), (), (), NO_WORD))
        self.max_characters = max_characters

    def _call(
        self, texts: Any, is_split: bool, max_length: int | None, pad_to: PadTo, pad_side: Any
    ) -> dict[str, Any]:
        if isinstance(texts, tuple):
            raise TypeError(
                "ELMo reads single texts, not pairs. Received a tuple: write a batch as a list."
            )
        if pad_side not in (None, "right"):
            raise ValueError(f"ELMo's rows are filled up on the right. Received: {pad_side!r}")
        pad_to = self.pad_to if pad_to is None else pad_to
        limit = min(self.max_length, max_length or self.max_length)
        limit = min(limit, pad_to) if isinstance(pad_to, int) else limit
        tf = tensorflow()
        with tf.device("CPU:0"):
            read = read_texts(texts, is_split=is_split)
            words = read.strings
            if is_split:
                words = tf.RaggedTensor.from_row_splits(words, read.row_splits, validate=False)
            else:
                words = tf.strings.split(words)
            words = words[:, :limit]
            length = _rows_length(tf, words, limit, pad_to)
            shape = (None, length) if isinstance(length, int) else tf.stack([-1, length])
            count = words.row_lengths()
            padded = words.to_tensor("", shape=shape)
            padded.set_shape([read.count(), None])
            made = self.from_words(padded, count)
        return {name: value[0] for name, value in made.items()} if read.is_single else made

    def from_words(self, words: Any, lengths: Any = None) -> dict[str, Any]:
        """Character ids of words in rows of equal length.

        Args:
            words: string tensor (batch, words).
            lengths: integers (batch,), how many words of each row are real; None: those that are
                not empty.

        Returns:
            int32 `character_ids` (batch, words, max_characters), 0 where there is no word, and
            `padding_mask` (batch, words): NumPy arrays, or tensors where a graph is traced.
        """
        tf = tensorflow()
        if lengths is None:
            real = tf.not_equal(words, "")
        else:
            places = tf.range(tf.shape(words)[1], dtype=lengths.dtype)
            real = places[None, :] < lengths[:, None]
        ids = tf.where(real[..., None], word_rows(words, self.max_characters), NO_WORD)
        ids.set_shape([words.shape[0], words.shape[1], self.max_characters])
        made = {"character_ids": ids, "padding_mask": tf.cast(real, tf.int32)}
        if tf.is_symbolic_tensor(ids):
            return made
        return {name: np.array(value) for name, value in made.items()}

    def decode(self, character_ids: Any) -> list[Any]:
        """The words of rows of ids (..., max_characters), as nested lists of str."""
        rows = np.asarray(character_ids)
        if rows.ndim > 1:
            return [self.decode(row) for row in rows]
        return self.id_to_token(rows)  # type: ignore[return-value]

    def tokenize(self, text: str) -> list[str]:
        """The words of one text."""
        if not isinstance(text, str):
            raise TypeError(f"text must be one str. Received: {type(text).__name__}.")
        words = tensorflow().strings.split(text).numpy()
        return [word.decode("utf-8", "replace") for word in words.tolist()]

    def id_to_token(self, token_id: Any) -> str:
        """The word of a row of ids; `""` for no word."""
        row = np.asarray(token_id)
        marks = {SENTENCE_BEGIN: FIRST_WORD, SENTENCE_END: LAST_WORD}
        signs = [marks[int(each)] for each in row if int(each) in marks]
        word = bytes(int(each) - 1 for each in row if 1 <= each <= 256)
        return signs[0] if signs else word.decode("utf-8", "replace")

    @property
    def vocabulary_size(self) -> int:
        """The number of ids: bytes, signs, and 0."""
        return FILL + 1

    def get_config(self) -> dict[str, Any]:
        """The options as plain data."""
        return {
            "max_characters": self.max_characters,
            "max_length": None if self.max_length == _UNLIMITED else self.max_length,
            "pad_to": self.pad_to,
        }

    def save_assets(self, folder: str | os.PathLike[str]) -> None:
        """Nothing: there is no vocabulary."""

    def load_assets(self, folder: str | os.PathLike[str]) -> None:
        """Nothing: there is no vocabulary."""

    def published_files(self) -> dict[str, bytes]:
        """Nothing stands beside the weights."""
        return {}

    @property
    def _template(self) -> Template:
        return Template((), (), (), NO_WORD)

    def _make_ops(self) -> Operations:
        raise NotImplementedError("A word is a row of ids; `from_words` makes them.")

    def _has_vocabulary(self) -> bool:
        return True


def mark_row(sign: int, max_characters: int) -> list[int]:
    """The row of the mark of a sentence's begin or end."""
    return [WORD_BEGIN, sign, WORD_END] + [FILL] * (max_characters - 3)


def word_rows(words: Any, max_characters: int) -> Any:
    """A string tensor of any shape -> int32 ids of that shape and `max_characters`."""
    tf = tensorflow()
    room = max_characters - 2
    # Halves of surrogate pairs, and bytes that are no UTF-8, are left out as bilm does.
    words = tf.strings.unicode_transcode(words, "UTF-8", "UTF-8", errors="ignore")
    data = tf.cast(tf.io.decode_raw(words, tf.uint8, fixed_length=room), tf.int32)
    data = data[..., :room]
    length = tf.minimum(tf.strings.length(words), room)[..., None]
    # One place more than there are bytes, for the end of the longest word.
    places = tf.range(room + 1)
    data = tf.concat([data, tf.zeros_like(data[..., :1])], -1)
    row = tf.where(places < length, data + 1, tf.where(places == length, WORD_END, FILL))
    row = tf.concat([tf.fill(tf.shape(length), WORD_BEGIN), row], -1)
    for word, sign in ((FIRST_WORD, SENTENCE_BEGIN), (LAST_WORD, SENTENCE_END)):
        row = tf.where((words == word)[..., None], mark_row(sign, max_characters), row)
    return row


def _rows_length(tf: Any, words: Any, limit: int, pad_to: PadTo) -> Any:
    if isinstance(pad_to, int):
        return pad_to
    longest = tf.maximum(tf.cast(words.bounding_shape(axis=1), tf.int32), 1)
    if pad_to != "buckets":
        return longest
    lengths = tf.constant(buckets(limit), tf.int32)
    return lengths[tf.searchsorted(lengths, longest[None])[0]]
