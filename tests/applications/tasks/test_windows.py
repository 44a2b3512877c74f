"""Texts as rows: windows, the characters of tokens, and SQuAD's rows as the original makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_pretrained.applications import QuestionExample
from keras_pretrained.applications.tasks.answering import Windowing, answer_rows
from keras_pretrained.applications.tasks.squad import example_of
from keras_pretrained.applications.tasks.tagging import tag_rows
from keras_pretrained.applications.tasks.text_pieces import read_pieces
from keras_pretrained.applications.tasks.windows import piece_windows, word_windows
from keras_pretrained.layers import AlbertEncoder
from keras_pretrained.tokenizers import (
    ByteLevelBPETokenizer,
    CharacterTokenizer,
    WordPieceTokenizer,
)
from tests.applications.tasks.toys import PIECES
from tests.parity.recording import Record

GOLDENS = Path(__file__).parents[2] / "goldens"


@pytest.mark.parametrize("seed", range(20))
def test_every_word_counts_once_and_has_context(seed: int) -> None:
    random = np.random.default_rng(seed)
    room, context = int(random.integers(2, 30)), int(random.integers(0, 5))
    context = min(context, room // 3)
    counts = random.integers(1, room + 1 if seed % 2 else min(4, room), 60)
    windows = list(word_windows(counts, room, context))
    counted = [word for window in windows for word in range(window.first, window.last)]
    assert counted == list(range(60))
    for window in windows:
        assert window.begin <= window.first < window.last <= window.end
        assert counts[window.begin : window.end].sum() <= room
    if not seed % 2 and context >= 4:
        for window in windows[1:]:
            assert window.begin < window.first
        for window in windows[:-1]:
            assert window.last < window.end


def test_short_texts_are_one_window() -> None:
    (window,) = word_windows(np.array([2, 3]), 5, 1)
    assert (window.begin, window.first, window.last, window.end) == (0, 0, 2, 2)
    assert list(word_windows(np.zeros(0, int), 5, 1)) == []
    assert list(piece_windows(0, 5, 2)) == [(0, 0)]
    assert list(piece_windows(9, 5, 2)) == [(0, 5), (2, 7), (4, 9)]
    assert list(piece_windows(9, 3, 7)) == [(0, 3), (3, 6), (6, 9)]


def test_tags_stand_at_the_first_tokens() -> None:
    tokenizer = WordPieceTokenizer(PIECES, max_length=7)
    # Of the third word nothing is left; the fourth is longer than a row.
    rows = tag_rows(tokenizer, [["abc", "d", "\u200b", "abcdefgh"], ["h"]])
    marked = rows.words[rows.words >= 0]
    assert sorted(marked) == [0, 1, 2, 3, 4]
    ids = rows.arrays["token_ids"]
    assert [tokenizer.id_to_token(ids[rows.words == word][0]) for word in range(5)] == [
        *("a", "d", "[UNK]", "a", "h")
    ]
    assert ids.shape[1] <= 7


def test_elmo_has_a_place_for_each_word() -> None:
    rows = tag_rows(CharacterTokenizer(max_length=8), [["ab"] * 20, ["c"]])
    assert rows.arrays["character_ids"].shape == (*rows.words.shape, 50)
    np.testing.assert_array_equal(np.sort(rows.words[rows.words >= 0]), np.arange(21))
    alone = rows.words[-1]
    np.testing.assert_array_equal(alone, [20] + [-1] * (len(alone) - 1))


def wordpiece(**options: Any) -> WordPieceTokenizer:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cafe", "paris", "19", "##90", "##s"]
    return WordPieceTokenizer([*pieces, "in", ".", ",", "(", "-", "\u4e2d"], **options)


def parts(tokenizer: Any, text: str) -> list[str]:
    (found,) = read_pieces(tokenizer, [text])
    return [text[start:end] for start, end in zip(found.starts, found.ends, strict=True)]


def test_tokens_know_their_characters() -> None:
    tokenizer = wordpiece()
    assert parts(tokenizer, "Paris, in  (1990s).") == [
        *("Paris", ",", "in", "(", "19", "90", "s", ")", ".")
    ]
    # An accent that stands apart cannot be counted, an unknown word neither.
    assert parts(tokenizer, "Cafe\u0301. unheard-in") == ["Cafe\u0301", ".", "unheard", "-", "in"]
    assert parts(tokenizer, "Caf\u00e9\u4e2d\u4e2d") == ["Caf\u00e9", "\u4e2d", "\u4e2d"]
    assert parts(tokenizer, " \u200b ") == []


def test_bytes_and_sentencepieces_know_their_characters() -> None:
    tokenizer: Any = ByteLevelBPETokenizer.from_folder(GOLDENS / "roberta" / "hf")
    text = "Caf\u00e9, the  dog \u4e2d."
    found = parts(tokenizer, text)
    assert set(found) <= {*text}, "this vocabulary has letters only"
    assert "".join(dict.fromkeys(found)) == "Caf\u00e9,thedog\u4e2d."
    tokenizer = AlbertEncoder(GOLDENS / "albert_hf" / "pretraining").tokenizer
    for part in parts(tokenizer, "The cat, 1990s."):
        assert part
        assert part in "The cat, 1990s."


def test_the_tokens_are_those_of_the_whole_text() -> None:
    texts = (GOLDENS / "minilm" / "sentences.txt").read_text(encoding="utf-8").split("\n")[:200]
    for tokenizer in (wordpiece(), wordpiece(split_chinese=False, lowercase=False)):
        whole = tokenizer(texts, pad_to="longest")
        for found, ids, mask in zip(
            read_pieces(tokenizer, texts), whole["token_ids"], whole["padding_mask"], strict=True
        ):
            np.testing.assert_array_equal(found.ids, ids[mask == 1][1:-1])


@pytest.mark.parity
def test_rows_are_those_of_the_original(parity: Record) -> None:
    content = json.loads((GOLDENS / "task_scores" / "windows.json").read_text(encoding="utf-8"))
    settings, measured = content["settings"], parity("squad/rows")
    length = settings["max_seq_length"]
    windowing = Windowing(length, settings["doc_stride"], settings["max_query_length"])
    tokenizer = WordPieceTokenizer(GOLDENS / "task_scores" / "vocab.txt", max_length=64)
    for stored in content["questions"]:
        example = example_of(stored, "golden")
        rows = answer_rows(tokenizer, [example], windowing)
        for name in ("token_ids", "segment_ids"):
            measured.equal(name, rows.arrays[name].tolist(), stored[name])
        right = example.answers[0] if example.answers else None
        measured.equal("begin and end", rows.targets([right]).tolist(), stored["spans"])


def test_a_short_row_leaves_half_to_the_context() -> None:
    tokenizer = WordPieceTokenizer(PIECES, max_length=11)
    rows = answer_rows(
        tokenizer, [QuestionExample("a b c d e f g h", "a b c d e f")], Windowing(384, 2, 64)
    )
    assert rows.arrays["token_ids"].shape == (2, 11)
    assert (rows.tokens >= 0).sum(axis=1).tolist() == [4, 4]
