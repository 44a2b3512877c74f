"""Text to ids: each tokenizer follows its reference program id by id and runs in `tf.data`.

Importing this package loads no TensorFlow; a tokenizer loads it when it is first called.
"""

from keras_pretrained.tokenizers.byte_level_bpe import ByteLevelBPETokenizer
from keras_pretrained.tokenizers.characters import CharacterTokenizer
from keras_pretrained.tokenizers.fastai import FastaiTokenizer
from keras_pretrained.tokenizers.sentencepiece import SentencePieceTokenizer
from keras_pretrained.tokenizers.special_tokens import SpecialTokens
from keras_pretrained.tokenizers.tokenizer import Tokenizer
from keras_pretrained.tokenizers.whitespace import WhitespaceTokenizer
from keras_pretrained.tokenizers.wordpiece import WordPieceTokenizer

__all__ = [
    "ByteLevelBPETokenizer",
    "CharacterTokenizer",
    "FastaiTokenizer",
    "SentencePieceTokenizer",
    "SpecialTokens",
    "Tokenizer",
    "WhitespaceTokenizer",
    "WordPieceTokenizer",
]
