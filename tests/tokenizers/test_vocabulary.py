"""Vocabulary files: lines, duplicates, broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_pretrained.tokenizers import WordPieceTokenizer, files, vocabulary
from keras_pretrained.tokenizers.vocabulary import read_vocabulary, vocabulary_of

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def write(folder: Path, data: bytes) -> Path:
    path = folder / "vocab.txt"
    path.write_bytes(data)
    return path


def test_lines_are_stripped_and_keep_their_numbers(tmp_path: Path) -> None:
    data = b"[PAD]\r\n[UNK]\n\n[CLS] \n[SEP]\n\xc2\xa0\na\x0bb\n##c"
    found = read_vocabulary(write(tmp_path, data))
    assert found.pieces == ("[PAD]", "[UNK]", "", "[CLS]", "[SEP]", "", "a\x0bb", "##c")
    assert found.data == data
    assert found.ids["##c"] == 7
    assert found.ids[""] == 5


def test_of_equal_lines_the_last_one_wins() -> None:
    tokenizer = WordPieceTokenizer([*SPECIAL, "a", "b", "a"])
    assert tokenizer("a b")["token_ids"].tolist() == [2, 6, 5, 3]
    assert tokenizer.id_to_token(4) == "a"
    assert tokenizer.token_to_id("a") == 6


@pytest.mark.parametrize("missing", SPECIAL)
def test_a_special_token_is_missing(missing: str, tmp_path: Path) -> None:
    pieces = [piece for piece in SPECIAL if piece != missing]
    path = write(tmp_path, "\n".join(pieces).encode())
    with pytest.raises(ValueError, match=rf"vocab.txt' has 3 lines and no \{missing[:-1]}\]\. "):
        read_vocabulary(path)
    with pytest.raises(ValueError, match="The vocabulary has 3 lines and no"):
        vocabulary_of(pieces)


def test_files_that_are_no_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.txt' does not exist.*vocab.txt"):
        read_vocabulary(tmp_path / "none.txt")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_vocabulary(tmp_path)
    with pytest.raises(ValueError, match="not UTF-8 text: line 3 has the byte 0xff"):
        read_vocabulary(write(tmp_path, b"[PAD]\n[UNK]\n\xff\n"))
    with pytest.raises(ValueError, match="has a piece of 300 bytes on line 5"):
        read_vocabulary(write(tmp_path, "\n".join([*SPECIAL, "a" * 300]).encode()))
    with pytest.raises(ValueError, match="has 0 lines"):
        read_vocabulary(write(tmp_path, b""))
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        read_vocabulary(write(tmp_path, b"a" * (2**20 + 1)))
    monkeypatch.setattr(vocabulary, "MAX_PIECES", 5)
    with pytest.raises(ValueError, match="has 6 lines, expected at most 5"):
        vocabulary_of([*SPECIAL, "a", "b"])


def test_sequences_that_are_no_vocabulary() -> None:
    with pytest.raises(TypeError, match=r"vocabulary\[4\] must be a str. Received: 3"):
        vocabulary_of([*SPECIAL, 3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"vocabulary\[4\] contains a line break"):
        vocabulary_of([*SPECIAL, "a\nb"])
    with pytest.raises(ValueError, match="half a surrogate pair"):
        vocabulary_of([*SPECIAL, "\ud800"])
    assert vocabulary_of([*SPECIAL, "a"]).data == b"[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n"


def test_pieces_that_no_word_can_contain_are_never_found() -> None:
    hidden = ["don't", "##.", "a b", "\ue000", "中国", "##中", "\U000f0000", "##\u2e43b"]
    tokenizer = WordPieceTokenizer([*SPECIAL, "a", *hidden, "中", ".", "don", "t", "'"])
    assert tokenizer.tokenize("don't a. a b 中国 a中") == (
        ["don", "'", "t", "a", ".", "a", "[UNK]", "中", "[UNK]", "a", "中"]
    )
    assert tokenizer.tokenize("a\ue000 \U000f0000") == ["a"]
    # U+2E43 is punctuation since Unicode 9 only: inside a word for BERT.
    assert tokenizer.tokenize("a\u2e43b") == ["a", "##\u2e43b"]
