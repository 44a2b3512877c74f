"""`WordPieceTokenizer`: the tokenizer of BERT and its relatives."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_pretrained.tokenizers.bert_normalizer import BertNormalizer
from keras_pretrained.tokenizers.inputs import read_pair, read_texts
from keras_pretrained.tokenizers.lazy import tensorflow
from keras_pretrained.tokenizers.packing import PadTo, Pieces, Template, check_lengths, pack
from keras_pretrained.tokenizers.vocabulary import Vocabulary, read_vocabulary, vocabulary_of
from keras_pretrained.tokenizers.wordpiece_ops import WordPieceOps

VOCABULARY_FILE = "vocab.txt"
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Closed up to the piece before, as the decoder of Hugging Face's tokenizers does it.
_CLEAN_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


class WordPieceTokenizer:
    """Texts to WordPiece ids, equal to Hugging Face's fast BERT tokenizer, also inside `tf.data`.

    A text is data: `"[SEP]"` typed in it is read as three words, never as the special token.
    Bytes that are no UTF-8, in string tensors, are dropped as U+FFFD is. The differences from
    the two reference programs are listed in docs/tokenizers.md.

    Args:
        vocabulary: the pieces in the order of their ids, or the path of a `vocab.txt`. None if
            `load_assets` brings it later.
        lowercase: whether the checkpoint was trained on small letters. None: decided from the
            vocabulary, which is cased when a piece (not a bracketed one, as `[CLS]`) has a
            capital A-Z.
        strip_accents: whether accents are removed. None: as `lowercase`.
        split_chinese: whether each Chinese character is a word.
        max_length: the most tokens in a row; longer texts are cut, pairs longest first.
        pad_to: the length of the rows. None or `"longest"`: the longest row of the batch; an
            int: always that length, and texts are cut to it; `"buckets"`: the smallest of
            32, 64, 128, ..., `max_length` that fits.

    Example:
        >>> tokenizer = WordPieceTokenizer("uncased_L-12_H-768_A-12/vocab.txt", max_length=128)
        >>> tokenizer(["One text.", "And another one."])["token_ids"].shape
        (2, 6)
        >>> dataset.map(lambda text, label: (tokenizer(text), label))

    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805
    """

    def __init__(
        self,
        vocabulary: Sequence[str] | str | os.PathLike[str] | None,
        lowercase: bool | None = None,
        strip_accents: bool | None = None,
        split_chinese: bool = True,
        max_length: int = 512,
        pad_to: PadTo = None,
    ) -> None:
        self._lowercase = lowercase
        self._strip_accents = strip_accents
        self._split_chinese = split_chinese
        self.max_length = max_length
        self.pad_to = pad_to
        check_lengths(max_length, pad_to, Template((0,), (0,), (0,), 0), is_pair=False)
        self._vocabulary_or_none: Vocabulary | None = None
        self._ops_or_none: WordPieceOps | None = None
        self._graphs: dict[tuple, Any] = {}
        self._lock = threading.Lock()
        if isinstance(vocabulary, str | os.PathLike):
            self._vocabulary_or_none = read_vocabulary(vocabulary)
        elif isinstance(vocabulary, Sequence) and not isinstance(vocabulary, bytes):
            self._vocabulary_or_none = vocabulary_of(vocabulary)
        elif vocabulary is not None:
            raise TypeError(
                "vocabulary must be a sequence of str or the path of a vocab.txt. "
                f"Received: {type(vocabulary).__name__}."
            )

    def __call__(
        self,
        texts: Any,
        *,
        is_split: bool = False,
        max_length: int | None = None,
        pad_to: PadTo = None,
    ) -> dict[str, Any]:
        """Tokenizes one text, a batch, or a pair of either.

        Args:
            texts: a str, a list or NumPy array of str, or a string tensor of rank 0 or 1. A
                tuple of two of them is a pair, `[CLS] a [SEP] b [SEP]`. One text gives rows
                without a batch axis, so that `dataset.map` works before and after `batch`.
            is_split: texts are lists of words (or a RaggedTensor of words), and the result also
                says to which word each token belongs.
            max_length, pad_to: instead of the tokenizer's own; None keeps these.

        Returns:
            A dict of int32 arrays `(batch, length)`: `token_ids`; `segment_ids`, 1 on the second
            text of a pair; `padding_mask`, 1 on tokens and 0 on padding; with `is_split` also
            `word_ids`, the index of each token's word and -1 on special tokens and padding.
            NumPy arrays, or tensors where a graph is traced (`tf.data`, `tf.function`).

        Raises:
            TypeError: texts are no strings; the message names the element.
            ValueError: wrong ranks, sides of different lengths, a length that is too small,
                bytes that are no UTF-8, or no vocabulary yet.
        """
        # AutoGraph would rewrite all of this code when `dataset.map` traces it.
        call = tensorflow().autograph.experimental.do_not_convert(self._call)
        return call(texts, is_split, max_length, pad_to)

    def _call(
        self, texts: Any, is_split: bool, max_length: int | None, pad_to: PadTo
    ) -> dict[str, Any]:
        tf = tensorflow()
        ops, template = self._ops, self._template
        is_pair = isinstance(texts, tuple)
        pad_to = self.pad_to if pad_to is None else pad_to
        max_length = self.max_length if max_length is None else max_length
        limit = check_lengths(max_length, pad_to, template, is_pair)
        with tf.device("CPU:0"):
            if is_pair:
                sides = list(read_pair(texts, is_split=is_split))
            else:
                sides = [read_texts(texts, is_split=is_split)]
            tensors = [side.tensors() for side in sides]
            if any(side.is_symbolic for side in sides):
                packed = _tokenize(ops, template, limit, pad_to, tensors)
            else:
                graph = self._graph(is_pair, is_split, limit, pad_to)
                packed = {name: np.array(value) for name, value in graph(tensors).items()}
        if sides[0].is_single:
            packed = {name: value[0] for name, value in packed.items()}
        return packed

    def tokenize(self, text: str) -> list[str]:
        """The pieces of one text, without special tokens; unknown words are `[UNK]`."""
        sides = read_texts(text, is_split=False, name="text")
        if not sides.is_single:
            raise TypeError(f"text must be one str. Received: {type(text).__name__}.")
        if sides.is_symbolic:
            raise TypeError("tokenize returns a list of str: call it outside of a graph.")
        pieces = self._vocabulary.pieces
        return [pieces[index] for index in self._ops(sides.strings).flat_values.numpy()]

    def decode(
        self, token_ids: Any, *, skip_special_tokens: bool = False, clean_up: bool = True
    ) -> str | list[str]:
        """Joins pieces to text: `##` pieces without a space, all others after one.

        Args:
            token_ids: ids of one row, or of a batch of rows (a list or an integer array).
            skip_special_tokens: leave out `[PAD] [UNK] [CLS] [SEP] [MASK]`.
            clean_up: close punctuation up to the word before it.

        Returns:
            A str for one row, a list of str for a batch.

        Raises:
            ValueError: an id that the vocabulary does not have.
        """
        rows = token_ids.to_list() if hasattr(token_ids, "to_list") else token_ids
        rows = rows.tolist() if hasattr(rows, "tolist") else list(np.asarray(rows, object))
        if any(isinstance(row, list | tuple | np.ndarray) for row in rows):
            return [self._decode_row(row, skip_special_tokens, clean_up) for row in rows]
        return self._decode_row(rows, skip_special_tokens, clean_up)

    def token_to_id(self, token: str) -> int:
        """The id of a piece; `unknown_id` if the vocabulary does not have it."""
        return self._vocabulary.ids.get(token, self.unknown_id)

    def id_to_token(self, token_id: int) -> str:
        """The piece of an id.

        Raises:
            ValueError: an id that the vocabulary does not have.
        """
        if not 0 <= int(token_id) < self.vocabulary_size:
            raise ValueError(
                f"Token ids are 0 to {self.vocabulary_size - 1} here. Received: {token_id}."
            )
        return self._vocabulary.pieces[int(token_id)]

    @property
    def vocabulary(self) -> list[str]:
        """The pieces in the order of their ids."""
        return list(self._vocabulary.pieces)

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are."""
        return len(self._vocabulary.pieces)

    @property
    def lowercase(self) -> bool:
        """Whether texts are lower-cased."""
        return not self._vocabulary.is_cased if self._lowercase is None else self._lowercase

    @property
    def strip_accents(self) -> bool:
        """Whether accents are removed."""
        return self.lowercase if self._strip_accents is None else self._strip_accents

    @property
    def split_chinese(self) -> bool:
        """Whether each Chinese character is a word."""
        return self._split_chinese

    @property
    def pad_id(self) -> int:
        """The id of `[PAD]`."""
        return self._special("[PAD]")

    @property
    def unknown_id(self) -> int:
        """The id of `[UNK]`."""
        return self._special("[UNK]")

    @property
    def cls_id(self) -> int:
        """The id of `[CLS]`."""
        return self._special("[CLS]")

    @property
    def sep_id(self) -> int:
        """The id of `[SEP]`."""
        return self._special("[SEP]")

    @property
    def mask_id(self) -> int:
        """The id of `[MASK]`; ValueError if the vocabulary has none."""
        return self._special("[MASK]")

    def get_config(self) -> dict[str, Any]:
        """The options as plain data: no vocabulary (see `save_assets`) and no paths."""
        resolved = self._vocabulary_or_none is not None
        return {
            "lowercase": self.lowercase if resolved else self._lowercase,
            "strip_accents": self.strip_accents if resolved else self._strip_accents,
            "split_chinese": self._split_chinese,
            "max_length": self.max_length,
            "pad_to": self.pad_to,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WordPieceTokenizer:
        """A tokenizer with these options and no vocabulary: `load_assets` brings it."""
        return cls(None, **config)

    def save_assets(self, folder: str | os.PathLike[str]) -> None:
        """Writes `vocab.txt` into the folder, byte for byte as it was read."""
        (Path(folder) / VOCABULARY_FILE).write_bytes(self._vocabulary.data)

    def load_assets(self, folder: str | os.PathLike[str]) -> None:
        """Reads `vocab.txt` from the folder."""
        vocabulary = read_vocabulary(Path(folder) / VOCABULARY_FILE)
        with self._lock:
            self._vocabulary_or_none = vocabulary
            self._ops_or_none = None
            self._graphs = {}

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        if self._vocabulary_or_none is None:
            return f"<WordPieceTokenizer without vocabulary, {options}>"
        return f"<WordPieceTokenizer of {self.vocabulary_size} pieces, {options}>"

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles build their own operations, in their own process.
        return {**self.__dict__, "_ops_or_none": None, "_graphs": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @property
    def _vocabulary(self) -> Vocabulary:
        if self._vocabulary_or_none is None:
            raise ValueError(
                "This WordPieceTokenizer has no vocabulary yet. Construct it with one, or call "
                f"load_assets(folder) with a folder that holds {VOCABULARY_FILE}."
            )
        return self._vocabulary_or_none

    @property
    def _template(self) -> Template:
        sep = (self.sep_id,)
        return Template(start=(self.cls_id,), between=sep, end=sep, pad=self.pad_id)

    @property
    def _ops(self) -> WordPieceOps:
        vocabulary = self._vocabulary
        with self._lock:
            if self._ops_or_none is None:
                normalizer = BertNormalizer(self.lowercase, self.strip_accents, self._split_chinese)
                self._ops_or_none = WordPieceOps(vocabulary.pieces, self.unknown_id, normalizer)
            return self._ops_or_none

    def _graph(self, is_pair: bool, is_split: bool, limit: int, pad_to: PadTo) -> Any:
        """For eager calls: one graph costs a tenth of fifty operations called one by one."""
        tf = tensorflow()
        ops, template = self._ops, self._template
        key = (is_pair, is_split, limit, pad_to)
        with self._lock:
            if key not in self._graphs:
                side = [tf.TensorSpec([None], tf.string)]
                side += [tf.TensorSpec([None], tf.int64)] if is_split else []
                self._graphs[key] = tf.function(
                    functools.partial(_tokenize, ops, template, limit, pad_to),
                    input_signature=[[side, side] if is_pair else [side]],
                    autograph=False,
                )
            return self._graphs[key]

    def _special(self, token: str) -> int:
        index = self._vocabulary.ids.get(token)
        if index is None:
            raise ValueError(f"This vocabulary of {self.vocabulary_size} pieces has no {token}.")
        return index

    def _decode_row(self, row: Sequence[int], skip_special_tokens: bool, clean_up: bool) -> str:
        text: list[str] = []
        for token_id in row:
            piece = self.id_to_token(token_id)
            if skip_special_tokens and piece in _SPECIAL:
                continue
            if text:
                piece = piece[2:] if piece.startswith("##") else f" {piece}"
            if clean_up:
                for apart, joined in _CLEAN_UP:
                    piece = piece.replace(apart, joined)
            text.append(piece)
        return "".join(text)


def _tokenize(
    ops: WordPieceOps,
    template: Template,
    limit: int,
    pad_to: PadTo,
    tensors: list[list[Any]],
) -> dict[str, Any]:
    sides = [_pieces(ops, *side) for side in tensors]
    return pack(sides[0], sides[1] if len(sides) == 2 else None, template, limit, pad_to)


def _pieces(ops: WordPieceOps, strings: Any, text_splits: Any = None) -> Pieces:
    ids = ops(strings)
    if text_splits is None:
        return Pieces(ids)
    tf = tensorflow()
    in_texts = tf.RaggedTensor.from_row_splits(
        ids.flat_values, tf.gather(ids.row_splits, text_splits), validate=False
    )
    # Each piece's word, counted from the first word of its text.
    first_words = tf.gather(text_splits, in_texts.value_rowids())
    return Pieces(in_texts, tf.cast(ids.value_rowids() - first_words, tf.int32))
