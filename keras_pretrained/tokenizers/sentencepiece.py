"""`SentencePieceTokenizer`: the tokenizer of ALBERT and its relatives."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keras_pretrained.tokenizers.listed import ListedTokenizer
from keras_pretrained.tokenizers.packing import PadSide, PadTo, Template
from keras_pretrained.tokenizers.sentencepiece_model import (
    SentencePieceModel,
    read_model,
)
from keras_pretrained.tokenizers.sentencepiece_ops import SPACE_MARK, SentencePieceOps
from keras_pretrained.tokenizers.special_tokens import (
    SpecialTokens,
    WithSpecialTokens,
    special_tokens,
)

MODEL_FILE = "spiece.model"


class SentencePieceTokenizer(WithSpecialTokens, ListedTokenizer):
    """Texts to SentencePiece ids, equal to google-research/albert, also inside `tf.data`.

    A text is data: `"[SEP]"` typed in it is read as letters and signs, never as the special
    token. Bytes that are no UTF-8, in string tensors, are dropped. The differences from the
    reference programs are listed in docs/tokenizers.md.

    Args:
        model: the path of a `spiece.model` or `30k-clean.model`, or the content of one. None if
            `load_assets` brings it later.
        special: `"albert"`: rows are `[CLS] a [SEP]` and `[CLS] a [SEP] b [SEP]`, padded with
            `<pad>`; or a `SpecialTokens` record of pieces of the model.
        lowercase: whether the checkpoint was trained on small letters.
        strip_accents: whether texts are decomposed (NFKD) and combining marks removed.
        replace_quotes: read two backquotes, or two apostrophes, as one double quote, as Hugging
            Face's program does and Google's does not.
        split_numbers: what becomes of a piece that ends with a digit and a comma, such as `7,`.
            `"spaced"`: the digits are looked up as a text of their own, which begins with a
            space (Google's ALBERT). `"joined"`: so, without that space (XLNet, transformers 4).
            None: the piece stays (transformers 5).
        max_length: the most tokens in a row; longer texts are cut, pairs longest first.
        pad_to: the length of the rows. None or `"longest"`: the longest row of the batch; an
            int: always that length, and texts are cut to it; `"buckets"`: the smallest of
            32, 64, 128, ..., `max_length` that fits.
        pad_side: where rows are filled up, `"right"` or `"left"`.

    Example:
        >>> tokenizer = SentencePieceTokenizer("albert_base/30k-clean.model", max_length=128)
        >>> tokenizer(["One text.", "And another one."])["token_ids"].shape
        (2, 6)
        >>> dataset.map(lambda text, label: (tokenizer(text), label))

    Reference: Kudo and Richardson 2018, https://arxiv.org/abs/1808.06226; Lan et al. 2019,
    https://arxiv.org/abs/1909.11942
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | None,
        special: SpecialTokens | Mapping[str, Any] | str = "albert",
        lowercase: bool = True,
        strip_accents: bool = True,
        replace_quotes: bool = False,
        split_numbers: str | None = "spaced",
        max_length: int = 512,
        pad_to: PadTo = None,
        pad_side: PadSide = "right",
    ) -> None:
        super().__init__(max_length, pad_to, pad_side, Template((0,), (0,), (0,), 0))
        if split_numbers not in (None, "spaced", "joined"):
            raise ValueError(
                f"split_numbers must be 'spaced', 'joined' or None. Received: {split_numbers!r}."
            )
        self._asked_special = special
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.replace_quotes = replace_quotes
        self.split_numbers = split_numbers
        self._model_or_none: SentencePieceModel | None = None
        if model is not None:
            self._set(read_model(model))

    def decode(self, token_ids: Any, *, skip_special_tokens: bool = False) -> str | list[str]:
        """Joins pieces to text: what the normalisation changed stays changed.

        Args:
            token_ids: ids of one row, or of a batch of rows (a list or an integer array).
            skip_special_tokens: leave out `[CLS] [SEP] [MASK] <pad> <unk>`.

        Returns:
            A str for one row, a list of str for a batch.

        Raises:
            ValueError: an id that the vocabulary does not have.
        """
        skipped = self.special.all if skip_special_tokens else frozenset()
        return self._decode(token_ids, partial(_joined, skipped=skipped))

    @property
    def unknown_id(self) -> int:
        return self._model.unknown_id

    @property
    def cls_id(self) -> int:
        """The id of the token that starts a row; ValueError if there is none."""
        return self._id_of("start")

    @property
    def sep_id(self) -> int:
        """The id of the token that ends a text; ValueError if there is none."""
        return self._id_of("end")

    @property
    def mask_id(self) -> int:
        """The id of the mask token; ValueError if there is none."""
        return self._id_of("mask")

    def get_config(self) -> dict[str, Any]:
        """The options as plain data: no model (see `save_assets`) and no paths."""
        return {
            "special": self._special_config(),
            "lowercase": self.lowercase,
            "strip_accents": self.strip_accents,
            "replace_quotes": self.replace_quotes,
            "split_numbers": self.split_numbers,
            "max_length": self.max_length,
            "pad_to": self.pad_to,
            "pad_side": self.pad_side,
        }

    def save_assets(self, folder: str | os.PathLike[str]) -> None:
        """Writes `spiece.model` into the folder, byte for byte as it was read."""
        (Path(folder) / MODEL_FILE).write_bytes(self._model.data)

    def published_files(self) -> dict[str, bytes]:
        """What stands beside published weights: name -> content."""
        options = {"do_lower_case": self.lowercase, "keep_accents": not self.strip_accents}
        return {
            MODEL_FILE: self._model.data,
            "tokenizer_config.json": json.dumps(options, indent=2).encode(),
        }

    def load_assets(self, folder: str | os.PathLike[str]) -> None:
        """Reads `spiece.model` from the folder."""
        self._set(read_model(Path(folder) / MODEL_FILE))

    def _set(self, model: SentencePieceModel) -> None:
        # A model without the special tokens is refused here, not at the first call.
        special_tokens(self._asked_special, model.ids)
        with self._lock:
            self._model_or_none = model
            self._forget_ops()

    @property
    def _model(self) -> SentencePieceModel:
        if self._model_or_none is None:
            raise ValueError(
                "This SentencePieceTokenizer has no model yet. Construct it with one, or call "
                f"load_assets(folder) with a folder that holds {MODEL_FILE}."
            )
        return self._model_or_none

    def _make_ops(self) -> SentencePieceOps:
        return SentencePieceOps(
            self._model,
            self.lowercase,
            self.strip_accents,
            self.replace_quotes,
            self.split_numbers,
        )

    def _has_vocabulary(self) -> bool:
        return self._model_or_none is not None

    @property
    def _pieces(self) -> Sequence[str]:
        return self._model.texts

    @property
    def _ids(self) -> Mapping[str, int]:
        return self._model.ids


def _joined(pieces: Sequence[str], skipped: Collection[str]) -> str:
    text = "".join([piece for piece in pieces if piece not in skipped])
    # The space in front is the tokenizer's own.
    return text.removeprefix(SPACE_MARK).replace(SPACE_MARK, " ")
