"""`WordPieceTokenizer`: the tokenizer of BERT and its relatives."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keras_pretrained.tokenizers.bert_normalizer import BertNormalizer
from keras_pretrained.tokenizers.listed import ListedTokenizer
from keras_pretrained.tokenizers.packing import PadTo, Template
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


class WordPieceTokenizer(ListedTokenizer):
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
        has_segments: whether rows come with `segment_ids`; DistilBERT, for one, has none.

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
        has_segments: bool = True,
    ) -> None:
        self._lowercase = lowercase
        self._strip_accents = strip_accents
        self._split_chinese = split_chinese
        self._has_segments = has_segments
        super().__init__(max_length, pad_to, "right", Template((0,), (0,), (0,), 0))
        self._vocabulary_or_none: Vocabulary | None = None
        if isinstance(vocabulary, str | os.PathLike):
            self._vocabulary_or_none = read_vocabulary(vocabulary)
        elif isinstance(vocabulary, Sequence) and not isinstance(vocabulary, bytes):
            self._vocabulary_or_none = vocabulary_of(vocabulary)
        elif vocabulary is not None:
            raise TypeError(
                "vocabulary must be a sequence of str or the path of a vocab.txt. "
                f"Received: {type(vocabulary).__name__}."
            )

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
        skipped = _SPECIAL if skip_special_tokens else ()
        return self._decode(token_ids, partial(_joined, skipped=skipped, clean_up=clean_up))

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

    @property
    def special_ids(self) -> frozenset[int]:
        """The ids of those of `[PAD] [UNK] [CLS] [SEP] [MASK]` that the vocabulary has."""
        return frozenset(self._ids[token] for token in _SPECIAL if token in self._ids)

    def get_config(self) -> dict[str, Any]:
        """The options as plain data: no vocabulary (see `save_assets`) and no paths."""
        resolved = self._vocabulary_or_none is not None
        return {
            "lowercase": self.lowercase if resolved else self._lowercase,
            "strip_accents": self.strip_accents if resolved else self._strip_accents,
            "split_chinese": self._split_chinese,
            "max_length": self.max_length,
            "pad_to": self.pad_to,
            "has_segments": self._has_segments,
        }

    def save_assets(self, folder: str | os.PathLike[str]) -> None:
        """Writes `vocab.txt` into the folder, byte for byte as it was read."""
        (Path(folder) / VOCABULARY_FILE).write_bytes(self._vocabulary.data)

    def published_files(self) -> dict[str, bytes]:
        """What stands beside published weights: name -> content."""
        options = {"do_lower_case": self.lowercase}
        return {
            VOCABULARY_FILE: "".join(f"{piece}\n" for piece in self.vocabulary).encode(),
            "tokenizer_config.json": json.dumps(options, indent=2).encode(),
        }

    def load_assets(self, folder: str | os.PathLike[str]) -> None:
        """Reads `vocab.txt` from the folder."""
        vocabulary = read_vocabulary(Path(folder) / VOCABULARY_FILE)
        with self._lock:
            self._vocabulary_or_none = vocabulary
            self._forget_ops()

    @property
    def _vocabulary(self) -> Vocabulary:
        if self._vocabulary_or_none is None:
            raise ValueError(
                "This WordPieceTokenizer has no vocabulary yet. Construct it with one, or call "
                f"load_assets(folder) with a folder that holds {VOCABULARY_FILE}."
            )
        return self._vocabulary_or_none

    @property
    def _pieces(self) -> Sequence[str]:
        return self._vocabulary.pieces

    @property
    def _ids(self) -> Mapping[str, int]:
        return self._vocabulary.ids

    @property
    def _template(self) -> Template:
        sep = (self.sep_id,)
        start = (self.cls_id,)
        return Template(start, sep, sep, self.pad_id, has_segments=self._has_segments)

    def _make_ops(self) -> WordPieceOps:
        vocabulary = self._vocabulary
        normalizer = BertNormalizer(self.lowercase, self.strip_accents, self._split_chinese)
        return WordPieceOps(vocabulary.pieces, self.unknown_id, normalizer)

    def _has_vocabulary(self) -> bool:
        return self._vocabulary_or_none is not None

    def _special(self, token: str) -> int:
        index = self._vocabulary.ids.get(token)
        if index is None:
            raise ValueError(f"This vocabulary of {self.vocabulary_size} pieces has no {token}.")
        return index


def _joined(pieces: Sequence[str], skipped: Collection[str], clean_up: bool) -> str:
    text: list[str] = []
    for piece in pieces:
        if piece in skipped:
            continue
        if text:
            piece = piece[2:] if piece.startswith("##") else f" {piece}"
        if clean_up:
            for apart, joined in _CLEAN_UP:
                piece = piece.replace(apart, joined)
        text.append(piece)
    return "".join(text)
