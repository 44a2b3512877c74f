"""Tiny text encoders with a vocabulary of letters, for tests of tasks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import BertEncoder
from keras_pretrained.tokenizers import WordPieceTokenizer
from tests.layers.toys import make_bert

BACKEND = keras.backend.backend()
# JAX runs a step that is not compiled operation by operation.
JIT = BACKEND == "jax"
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason=f"{BACKEND} has no strings")
LETTERS = "abcdefgh"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{c}" for c in LETTERS)]


def letters_bert(num_layers: int = 1, **options: Any) -> BertEncoder:
    """BERT with random weights; its words are made of the letters a to h."""
    tokenizer = WordPieceTokenizer(PIECES, max_length=12)
    sizes = {"num_layers": num_layers}
    return make_bert(sizes, tokenizer=tokenizer, jit_compile=False, **options)


def letter_texts(count: int, seed: int = 0, words: int = 6) -> list[str]:
    """Texts of one to `words` letters."""
    random = np.random.default_rng(seed)
    return [
        " ".join(random.choice(list(LETTERS), random.integers(1, words + 1))) for _ in range(count)
    ]
