"""The graph of WordPiece: normalise, hide words that are too long, match the longest pieces."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from keras_pretrained.tokenizers.bert_normalizer import UNKNOWN_CHARACTER, BertNormalizer
from keras_pretrained.tokenizers.code_point_trie import compile_normalizer
from keras_pretrained.tokenizers.lazy import tensorflow, tensorflow_text

# Longer words are unknown in Hugging Face's tokenizers (Google's original allows 200).
MAX_WORD_CHARACTERS = 100
_PROBE = "Ab\0\u00a0\ufffd[\u4e2d]"


@functools.lru_cache(maxsize=8)
def _normalizer_model(normalizer: BertNormalizer) -> tuple[bytes, str]:
    """The compiled model, and what it must make of the probe."""
    table = normalizer.table()
    expected = "".join(table.get(ord(character), character) for character in _PROBE)
    return compile_normalizer(table), expected


class WordPieceOps:
    """Texts to piece ids, as TensorFlow operations: eagerly, in `tf.function` and in `tf.data`.

    The models are built once, outside whatever graph is being traced; calls only read them.

    Args:
        pieces: the vocabulary, by id.
        unknown_id: the id for words that cannot be built from pieces.
        normalizer: how texts are cleaned, split and lower-cased.
    """

    def __init__(
        self, pieces: tuple[str, ...], unknown_id: int, normalizer: BertNormalizer
    ) -> None:
        tf, tf_text = tensorflow(), tensorflow_text()
        matchable = normalizer.matchable(pieces)
        # Takes no keyword arguments: pieces, bytes a word, continuation mark, the unknown piece,
        # no splitting at punctuation, support for decoding.
        model = tf_text.build_fast_wordpiece_model(
            matchable, 4 * MAX_WORD_CHARACTERS, "##", matchable[unknown_id], False, False
        )
        normalizer_model, expected = _normalizer_model(normalizer)
        with tf.init_scope(), tf.device("CPU:0"):
            self._normalizer = tf_text.FastBertNormalizer(model_buffer=_buffer(normalizer_model))
            self._wordpiece = tf_text.FastWordpieceTokenizer(
                model_buffer=_buffer(model), token_out_type=tf.int32
            )
            self._check(expected)
        self._long_words = normalizer.word_pattern(shortest=MAX_WORD_CHARACTERS + 1)

    def __call__(self, strings: Any, is_split: bool = False) -> Any:
        """Strings of shape `(count,)` to a RaggedTensor of int32 ids, `(count, None)`."""
        normalized = self._normalizer.normalize(strings)
        normalized = tensorflow().strings.regex_replace(
            normalized, self._long_words, UNKNOWN_CHARACTER
        )
        return self._wordpiece.tokenize(normalized)

    def _check(self, expected: str) -> None:
        """The model's format belongs to tensorflow_text: a release that changed it must fail."""
        received = self._normalizer.normalize([_PROBE.encode() + b"\xff\xe4\xb8"]).numpy()[0]
        if received != expected.encode():
            raise RuntimeError(
                f"tensorflow_text {tensorflow_text().__version__} reads the normaliser's model "
                f"in another way: expected {expected!r}, received {received!r}. "
                "Install the tensorflow-text release that keras-pretrained names."
            )


def _buffer(model: bytes) -> Any:
    return tensorflow().constant(np.frombuffer(model, np.uint8))
