"""Files of word vectors: GloVe, word2vec and fastText, as their programs write them."""

from __future__ import annotations

from keras_pretrained.checkpoints.word_vectors.opening import DIALECTS, open_word_vectors
from keras_pretrained.checkpoints.word_vectors.vectors import WordTable, WordVectors
from keras_pretrained.checkpoints.word_vectors.writing import WRITTEN, write_word_vectors

__all__ = [
    "DIALECTS",
    "WRITTEN",
    "WordTable",
    "WordVectors",
    "open_word_vectors",
    "write_word_vectors",
]
