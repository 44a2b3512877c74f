"""`ByteLevelBPETokenizer`: the tokenizer of GPT-2, RoBERTa and their relatives."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from keras_pretrained.tokenizers.byte_level_files import (
    MERGES_FILE,
    VOCABULARY_FILE,
    find_files,
    read_vocabulary_and_merges,
)
from keras_pretrained.tokenizers.byte_level_ops import ByteLevelOps
from keras_pretrained.tokenizers.byte_level_vocabulary import ByteLevelVocabulary, make_vocabulary
from keras_pretrained.tokenizers.packing import PadSide, PadTo, Template
from keras_pretrained.tokenizers.special_tokens import (
    SpecialTokens,
    WithSpecialTokens,
    special_tokens,
)
from keras_pretrained.tokenizers.tokenizer import Tokenizer, id_rows
from keras_pretrained.tokenizers.tokenizer_json import read_tokenizer_json

Special = SpecialTokens | Mapping[str, Any] | str | None


class ByteLevelBPETokenizer(WithSpecialTokens, Tokenizer):
    """Texts to byte-level BPE ids, equal to OpenAI's program, also inside `tf.data`.

    A text is data: `"<|endoftext|>"` typed in it is read as letters and signs, never as the
    special token. Bytes that are no UTF-8, in string tensors, become U+FFFD. The differences from
    the reference programs are listed in docs/tokenizers.md.

    Args:
        vocabulary: token -> id, tokens written as in the files (a space is `Ġ`). None if
            `load_assets` brings vocabulary and merges later.
        merges: the pairs of tokens to merge, the first one first; `"Ġ t"` or `("Ġ", "t")`.
        special: `"roberta"`: rows are `<s> a </s>` and `<s> a </s> </s> b </s>`, padded with
            `<pad>`. `"gpt2"`: rows have no special tokens, and are padded with `<|endoftext|>`,
            since the original has no token for it: go by `padding_mask`. A `SpecialTokens`
            record for other families. None: whichever of the two the vocabulary has all tokens
            of, else none.
        add_prefix_space: a text that does not begin with a space is read as if it did. Words
            (`is_split=True`) always are.
        max_length: the most tokens in a row; longer texts are cut, pairs longest first.
        pad_to: the length of the rows. None or `"longest"`: the longest row of the batch; an
            int: always that length, and texts are cut to it; `"buckets"`: the smallest of
            32, 64, 128, ..., `max_length` that fits.
        pad_side: `"right"`, or `"left"` for a decoder that continues a batch of texts.

    Example:
        >>> tokenizer = ByteLevelBPETokenizer.from_files("encoder.json", "vocab.bpe")
        >>> tokenizer(["The dog", "A text."], pad_side="left")["token_ids"]
        array([[50256,   464,  3290],
               [   32,  2420,    13]], dtype=int32)

    Reference: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"
    """

    runs_in_python = True

    def __init__(
        self,
        vocabulary: Mapping[str, int] | None,
        merges: Iterable[str | Sequence[str]] | None = None,
        special: Special = None,
        add_prefix_space: bool = False,
        max_length: int = 512,
        pad_to: PadTo = None,
        pad_side: PadSide = "right",
    ) -> None:
        super().__init__(max_length, pad_to, pad_side, Template((), (), (), 0))
        self._asked_special = special
        self._add_prefix_space = add_prefix_space
        self._vocabulary_or_none: ByteLevelVocabulary | None = None
        if vocabulary is None:
            return
        if not isinstance(vocabulary, Mapping) or merges is None or isinstance(merges, str):
            raise TypeError(
                "vocabulary must be a mapping of token -> id and merges a sequence of pairs. "
                f"Received: {type(vocabulary).__name__} and {type(merges).__name__}. For files "
                "call ByteLevelBPETokenizer.from_files(vocabulary, merges)."
            )
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
        self._set(make_vocabulary(vocabulary, pairs))

    @classmethod
    def from_files(
        cls,
        vocabulary: str | os.PathLike[str],
        merges: str | os.PathLike[str] | None = None,
        *,
        fairseq_dictionary: str | os.PathLike[str] | None = None,
        special: Special = None,
        add_prefix_space: bool | None = None,
        **options: Any,
    ) -> Self:
        """A tokenizer from the files of a checkpoint.

        Args:
            vocabulary: OpenAI's `encoder.json` or Hugging Face's `vocab.json`; or, without
                `merges`, Hugging Face's `tokenizer.json`.
            merges: OpenAI's `vocab.bpe` or Hugging Face's `merges.txt`.
            fairseq_dictionary: the `dict.txt` of fairseq's RoBERTa, whose networks have other
                ids than the `encoder.json` beside it.
            special: see the class; None: decided from the vocabulary, and from the
                `post_processor` of a `tokenizer.json`.
            add_prefix_space: see the class; None: what a `tokenizer.json` says, else False.
            **options: `max_length`, `pad_to`, `pad_side`.

        Raises:
            FileNotFoundError: a file is missing.
            TypeError, ValueError: a file is something else, or holds what would change the ids
                and is not reproduced; the message names the file and the entry.
        """
        if merges is None:
            if fairseq_dictionary is not None:
                raise ValueError("fairseq_dictionary belongs to an encoder.json and a vocab.bpe.")
            contents = read_tokenizer_json(vocabulary)
            found = contents.vocabulary
            special = contents.special if special is None else special
            if add_prefix_space is None:
                add_prefix_space = contents.add_prefix_space
        else:
            found = read_vocabulary_and_merges(vocabulary, merges, fairseq_dictionary)
        tokenizer = cls(None, None, special, bool(add_prefix_space), **options)
        tokenizer._set(found)
        return tokenizer

    @classmethod
    def from_folder(
        cls,
        folder: str | os.PathLike[str],
        *,
        special: Special = None,
        add_prefix_space: bool | None = None,
        **options: Any,
    ) -> Self:
        """A tokenizer from a checkpoint's folder.

        Takes `vocab.json` with `merges.txt`, `encoder.json` with `vocab.bpe` (each with the
        `dict.txt` of fairseq's RoBERTa where there is one), or `tokenizer.json`, and
        `add_prefix_space` from `tokenizer_config.json`.

        Raises:
            FileNotFoundError: the folder has none of them.
            TypeError, ValueError: see `from_files`.
        """
        files = find_files(folder)
        return cls.from_files(
            files.vocabulary,
            files.merges,
            fairseq_dictionary=files.fairseq_dictionary,
            special=special,
            add_prefix_space=files.add_prefix_space
            if add_prefix_space is None
            else add_prefix_space,
            **options,
        )

    def decode(
        self, token_ids: Any, *, skip_special_tokens: bool = False, errors: str = "replace"
    ) -> str | list[str]:
        """Joins the bytes of the tokens and reads them as UTF-8: the exact text again.

        Args:
            token_ids: ids of one row, or of a batch of rows (a list or an integer array).
            skip_special_tokens: leave out the special tokens.
            errors: what to do with bytes that are no UTF-8, such as half a character at the end
                of a cut row; as for `bytes.decode`.

        Returns:
            A str for one row, a list of str for a batch.

        Raises:
            ValueError: an id that the vocabulary does not have.
        """
        rows, is_batch = id_rows(token_ids)
        skipped = self.special_ids if skip_special_tokens else frozenset()
        token_bytes = self._vocabulary.token_bytes
        texts = [
            b"".join(
                token_bytes(self.id_to_token(index)) for index in row if index not in skipped
            ).decode("utf-8", errors)
            for row in rows
        ]
        return texts if is_batch else texts[0]

    def token_to_id(self, token: str) -> int:
        """The id of a token; of the unknown token, if there is one and the vocabulary lacks it.

        Raises:
            ValueError: the vocabulary has neither.
        """
        index = self._vocabulary.ids.get(token)
        return self._id_of("unknown", token) if index is None else index

    def id_to_token(self, token_id: int) -> str:
        """The token of an id.

        Raises:
            ValueError: an id that the vocabulary does not have.
        """
        token = self._vocabulary.tokens.get(int(token_id))
        if token is None:
            raise ValueError(
                f"No token has the id {token_id}. The vocabulary has {len(self._vocabulary.ids)} "
                f"tokens, with ids up to {self.vocabulary_size - 1}."
            )
        return token

    @property
    def vocabulary(self) -> dict[str, int]:
        """Token -> id."""
        return dict(self._vocabulary.ids)

    @property
    def merges(self) -> list[tuple[str, str]]:
        """The pairs of tokens to merge, the first one first."""
        return list(self._vocabulary.merges)

    @property
    def vocabulary_size(self) -> int:
        """The largest id, and one."""
        return self._vocabulary.size

    @property
    def add_prefix_space(self) -> bool:
        """Whether texts are read as if they began with a space."""
        return self._add_prefix_space

    @property
    def start_id(self) -> int:
        """The id of the token that marks the start of a text; ValueError if there is none."""
        return self._id_of("start")

    @property
    def end_id(self) -> int:
        """The id of the token that marks the end of a text; ValueError if there is none."""
        return self._id_of("end")

    @property
    def unknown_id(self) -> int:
        """The id of the unknown token; ValueError if there is none."""
        return self._id_of("unknown")

    @property
    def mask_id(self) -> int:
        """The id of the mask token; ValueError if there is none."""
        return self._id_of("mask")

    def get_config(self) -> dict[str, Any]:
        """The options as plain data: no vocabulary (see `save_assets`) and no paths."""
        return {
            "special": self._special_config(),
            "add_prefix_space": self._add_prefix_space,
            "max_length": self.max_length,
            "pad_to": self.pad_to,
            "pad_side": self.pad_side,
        }

    def save_assets(self, folder: str | os.PathLike[str]) -> None:
        """Writes `vocab.json` and `merges.txt` into the folder, as Hugging Face's are."""
        for name, content in self.published_files().items():
            (Path(folder) / name).write_bytes(content)

    def published_files(self) -> dict[str, bytes]:
        """What stands beside published weights: name -> content."""
        return {
            VOCABULARY_FILE: self._vocabulary.json_bytes(),
            MERGES_FILE: self._vocabulary.merges_bytes(),
        }

    def load_assets(self, folder: str | os.PathLike[str]) -> None:
        """Reads `vocab.json` and `merges.txt` from the folder."""
        place = Path(folder)
        self._set(read_vocabulary_and_merges(place / VOCABULARY_FILE, place / MERGES_FILE))

    def _set(self, vocabulary: ByteLevelVocabulary) -> None:
        # A vocabulary without the special tokens is refused here, not at the first call.
        special_tokens(self._asked_special, vocabulary.ids)
        with self._lock:
            self._vocabulary_or_none = vocabulary
            self._forget_ops()

    @property
    def _vocabulary(self) -> ByteLevelVocabulary:
        if self._vocabulary_or_none is None:
            raise ValueError(
                "This ByteLevelBPETokenizer has no vocabulary yet. Construct it with one, or call "
                f"load_assets(folder) with a folder that holds {VOCABULARY_FILE} and {MERGES_FILE}."
            )
        return self._vocabulary_or_none

    @property
    def _ids(self) -> Mapping[str, int]:
        return self._vocabulary.ids

    def _make_ops(self) -> ByteLevelOps:
        unknown = None if self.special.unknown is None else self.unknown_id
        return ByteLevelOps(self._vocabulary, unknown, self._add_prefix_space)

    def _has_vocabulary(self) -> bool:
        return self._vocabulary_or_none is not None
