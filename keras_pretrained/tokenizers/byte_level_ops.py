"""Texts to byte-level BPE ids: Hugging Face's tokenizers, in Python and inside graphs."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from keras_pretrained.tokenizers.byte_level_vocabulary import BYTE_CHARACTERS, ByteLevelVocabulary
from keras_pretrained.tokenizers.lazy import huggingface_tokenizers
from keras_pretrained.tokenizers.python_ops import Rows, in_python, rows_of

_MISSING = -1


class ByteLevelOps:
    """Texts to ids: eagerly, and in `tf.function` and `tf.data` by a call back into Python.

    Args:
        vocabulary: tokens and merges.
        unknown_id: the id of tokens that the merges make and the vocabulary lacks; None: such a
            token is an error, as it is in OpenAI's program.
        add_prefix_space: a text that begins with anything but a space gets one. Words always do.
    """

    def __init__(
        self, vocabulary: ByteLevelVocabulary, unknown_id: int | None, add_prefix_space: bool
    ) -> None:
        library = huggingface_tokenizers()
        # The library refuses merges whose result has no id, and knows only one id a token. It
        # works on numbers of our own, and a table gives these the vocabulary's ids.
        made = chain(
            BYTE_CHARACTERS,
            *vocabulary.merges,
            (first + second for first, second in vocabulary.merges),
        )
        self._tokens = list(dict.fromkeys(made))
        numbers = {token: number for number, token in enumerate(self._tokens)}
        self._tokenizer = library.Tokenizer(
            library.models.BPE(vocab=numbers, merges=list(vocabulary.merges))
        )
        self._tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        fallback = _MISSING if unknown_id is None else unknown_id
        found = [vocabulary.ids.get(token, fallback) for token in self._tokens]
        self._ids = np.array(found, np.int32)
        self._is_complete = _MISSING not in found
        self._add_prefix_space = add_prefix_space

    def __call__(self, strings: Any, is_split: bool = False) -> Any:
        """Strings of shape `(count,)` to a RaggedTensor of int32 ids, `(count, None)`."""
        by_words = is_split or self._add_prefix_space
        return in_python(self._ids_of_words if by_words else self._ids_of, strings)

    def _ids_of_words(self, texts: list[str]) -> Rows:
        return self._ids_of([_with_space(text) for text in texts])

    def _ids_of(self, texts: list[str]) -> Rows:
        """The ids of all texts, one behind the other, and where each text begins."""
        found = self._tokenizer.encode_batch_fast(texts)
        numbers, splits = rows_of([each.ids for each in found])
        ids = self._ids[numbers]
        if not self._is_complete and _MISSING in ids:
            first = int(np.argmax(ids == _MISSING))
            text = texts[int(np.searchsorted(splits, first, side="right")) - 1]
            raise ValueError(
                f"The vocabulary has no token {self._tokens[numbers[first]]!r}, which the merges "
                f"make of the text {text[:60]!r}, and no special token for unknown ones. Pass the "
                "vocabulary that belongs to the merges, or special=SpecialTokens(unknown=...)."
            )
        return ids, splits


def _with_space(text: str) -> str:
    return text if text.startswith(" ") or not text else f" {text}"
