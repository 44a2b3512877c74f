"""The graph of SentencePiece: normalise, find the best pieces, split numbers from commas."""

from __future__ import annotations

import functools
import unicodedata
from typing import Any

import numpy as np

from keras_pretrained.tokenizers.code_point_trie import compile_normalizer
from keras_pretrained.tokenizers.lazy import tensorflow, tensorflow_text
from keras_pretrained.tokenizers.sentencepiece_model import (
    NORMAL,
    USER_DEFINED,
    SentencePieceModel,
)

SPACE_MARK = "\u2581"
# No letter, space or symbol stands in the rest of the planes.
_PLANES = (range(0xD800), range(0xE000, 0x20000), range(0x2F800, 0x2FA20), range(0xE0000, 0xE0200))


@functools.lru_cache(maxsize=8)
def _normalizer_model(lowercase: bool, strip_accents: bool) -> bytes:
    """Each code point -> what the original programs make of it before SentencePiece."""
    table = {}
    for code_point in (code for plane in _PLANES for code in plane):
        character = chr(code_point)
        replacement = " " if character.isspace() else character
        if strip_accents:
            parts = unicodedata.normalize("NFKD", replacement)
            replacement = "".join([part for part in parts if not unicodedata.combining(part)])
        if lowercase:
            # One letter at a time: `str.lower` of a whole word would write a final sigma.
            replacement = "".join([part.lower() for part in replacement])
        if replacement != character:
            table[code_point] = replacement
    return compile_normalizer(table)


class SentencePieceOps:
    """Texts to piece ids, as TensorFlow operations: eagerly, in `tf.function` and in `tf.data`.

    The models are built once, outside whatever graph is being traced; calls only read them.

    Args:
        model: the checked model.
        lowercase: map capitals to small letters.
        strip_accents: decompose (NFKD) and drop combining marks.
        replace_quotes: read two backquotes, or two apostrophes, as one double quote.
        split_numbers: whether and how to part a comma from the digit before it; see
            `SentencePieceTokenizer`.
    """

    def __init__(
        self,
        model: SentencePieceModel,
        lowercase: bool,
        strip_accents: bool,
        replace_quotes: bool,
        split_numbers: str | None,
    ) -> None:
        tf, tf_text = tensorflow(), tensorflow_text()
        self._replace_quotes = replace_quotes
        self._removes_spaces = model.removes_spaces
        with tf.init_scope(), tf.device("CPU:0"):
            self._normalizer = tf_text.FastBertNormalizer(
                model_buffer=_buffer(_normalizer_model(lowercase, strip_accents))
            )
            self._sentencepiece = tf_text.FastSentencepieceTokenizer(model.checked_file())
            split = _split_numbers(model, self._sentencepiece, split_numbers)
            self._split = None
            if split:
                rows = [split.get(index, [index]) for index in range(len(model.pieces))]
                self._split = tf.ragged.constant(rows, tf.int32, row_splits_dtype=tf.int64)

    def __call__(self, strings: Any, is_split: bool = False) -> Any:
        """Strings of shape `(count,)` to a RaggedTensor of int32 ids, `(count, None)`."""
        tf = tensorflow()
        if self._replace_quotes:
            strings = tf.strings.regex_replace(strings, "``|''", '"')
        strings = self._normalizer.normalize(strings)
        if self._removes_spaces:
            # SentencePiece drops marks at the end as if they were spaces; tensorflow_text does not.
            strings = tf.strings.regex_replace(strings, f"{SPACE_MARK}[ {SPACE_MARK}]*$", "")
        else:
            strings = tf.strings.strip(tf.strings.regex_replace(strings, " {2,}", " "))
        ids = self._sentencepiece.tokenize(strings)
        splits = tf.cast(ids.row_splits, tf.int64)
        flat = tf.cast(ids.flat_values, tf.int32)
        if self._split is not None:
            # Each piece becomes one or more; texts end where their last piece ends.
            split = tf.gather(self._split, flat)
            flat, splits = split.flat_values, tf.gather(split.row_splits, splits)
        return tf.RaggedTensor.from_row_splits(flat, splits, validate=False)


def _split_numbers(
    model: SentencePieceModel, sentencepiece: Any, how: str | None
) -> dict[int, list[int]]:
    """Pieces that end with a digit and a comma -> the pieces without the comma, and a comma.

    The original programs cut such a piece after SentencePiece has chosen it, and look the rest up
    as a text. That depends on the piece alone, so it is done once, for all of them.
    """
    cut = {
        index: piece.text
        for index, piece in enumerate(model.pieces)
        if piece.kind in (NORMAL, USER_DEFINED)
        and len(piece.text) > 1
        and piece.text[-1] == ","
        and piece.text[-2].isdigit()
    }
    if how is None or not cut:
        return {}
    stems = [text[:-1].replace(SPACE_MARK, "").encode() for text in cut.values()]
    found = sentencepiece.tokenize(tensorflow().constant(stems)).to_list()
    comma = model.ids.get(",", model.unknown_id)
    result = {}
    for (index, text), ids in zip(cut.items(), found, strict=True):
        first = model.pieces[ids[0]].text if ids else ""
        if how == "joined" and not text.startswith(SPACE_MARK) and first.startswith(SPACE_MARK):
            # Only a text begins with a space; the piece did not.
            rest = first.removeprefix(SPACE_MARK)
            ids = [model.ids.get(rest, model.unknown_id)] * bool(rest) + ids[1:]
        result[index] = [*ids, comma]
    return result


def _buffer(model: bytes) -> Any:
    return tensorflow().constant(np.frombuffer(model, np.uint8))
