"""Words as pieces, and rows of pieces that a caller has cut: the same as calls on texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_pretrained.tokenizers import (
    ByteLevelBPETokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    WordPieceTokenizer,
)

GOLDENS = Path(__file__).parents[1] / "goldens"
TEXTS = [["The", "cat,", "caf\u00e9"], [], ["\u4e2d\u4e2d", "a.b", "\u200b", "it"]]
OTHERS = [["a"], ["b", "the"], ["c", "d", "e", "f"]]


def tokenizers() -> dict[str, Tokenizer]:
    return {
        "wordpiece": WordPieceTokenizer(GOLDENS / "bert_hf" / "erf" / "vocab.txt", max_length=32),
        "byte-level": ByteLevelBPETokenizer.from_folder(GOLDENS / "roberta" / "hf", max_length=48),
        "sentencepiece": SentencePieceTokenizer(
            next((GOLDENS / "albert_hf" / "pretraining").glob("*.model")), max_length=32
        ),
    }


@pytest.mark.parametrize("name", ["wordpiece", "byte-level", "sentencepiece"])
def test_rows_are_those_of_texts(name: str) -> None:
    tokenizer = tokenizers()[name]

    def pieces(texts: list[list[str]]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        ids, numbers = [], []
        for words in texts:
            own = tokenizer.pieces(words)
            assert len(own) == len(words)
            ids.append(np.concatenate([np.zeros(0, np.int32), *own]))
            numbers.append(np.repeat(np.arange(len(own)), [len(each) for each in own]))
        return ids, numbers

    (first, numbers), (second, other_numbers) = pieces(TEXTS), pieces(OTHERS)
    cases: list[tuple[Any, Any, dict[str, np.ndarray]]] = [
        (TEXTS, None, tokenizer.pack_pieces(first, words=(numbers,))),
        (TEXTS, 16, tokenizer.pack_pieces([each[:12] for each in first], pad_to=16)),
        (
            (TEXTS, OTHERS),
            "buckets",
            tokenizer.pack_pieces(first, second, words=(numbers, other_numbers), pad_to="buckets"),
        ),
    ]
    for texts, pad_to, made in cases:
        if pad_to == 16:
            assert made["token_ids"].shape == (3, 16)
            assert "word_ids" not in made
            continue
        expected = tokenizer(texts, is_split=True, pad_to=pad_to)
        assert made.keys() == expected.keys()
        for key, array in expected.items():
            np.testing.assert_array_equal(made[key], array, err_msg=key)


def test_there_is_room_for_what_is_packed() -> None:
    tokenizer = tokenizers()["wordpiece"]
    assert (tokenizer.room(), tokenizer.room(is_pair=True)) == (30, 29)
    full = [np.ones(30, np.int32)]
    assert tokenizer.pack_pieces(full)["token_ids"].shape == (1, 32)
    with pytest.raises(ValueError, match=r"A row has 33 tokens\. Expected at most 32"):
        tokenizer.pack_pieces(full, [np.zeros(0, np.int32)])
    with pytest.raises(ValueError, match="at most 20"):
        tokenizer.pack_pieces(full, pad_to=20)
    assert tokenizer.pieces([]) == []
    with pytest.raises(TypeError, match="must be a str"):
        tokenizer.pieces(["a", None])  # type: ignore[list-item]
