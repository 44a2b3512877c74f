"""What is written reads back with the same bits, and is what the original programs write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.checkpoints.word_vectors import open_word_vectors, write_word_vectors
from tests.checkpoints.word_vectors.files import FIXTURES, GOLDENS, fixtures


@pytest.mark.parametrize("dialect", ["glove", "word2vec", "word2vec-text", "fasttext"])
def test_the_same_bits_come_back(dialect: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(2500, 7)) * 10.0 ** random.integers(-30, 30, (2500, 7))
    vectors[0, :3] = [0.0, -0.0, 1e-42]
    vectors = vectors.astype("float32")
    words = [f"wört{number}" for number in range(len(vectors))]
    path = write_word_vectors(tmp_path / "v", words, vectors, dialect)
    opened = open_word_vectors(path)
    assert opened.dialect == {"fasttext": "word2vec-text"}.get(dialect, dialect)
    table = opened.read()
    assert table.words == words
    np.testing.assert_array_equal(table.vectors.view("uint32"), vectors.view("uint32"))


def test_gensims_files_come_out_byte_for_byte(tmp_path: Path) -> None:
    """gensim ends binary vectors without a line feed, and writes all digits of a text."""
    for name, dialect in (("glove.txt", "glove"), ("word2vec.txt", "word2vec-text")):
        table = open_word_vectors(GOLDENS / name).read()
        write_word_vectors(tmp_path / name, table.words, table.vectors, dialect)
        assert (tmp_path / name).read_bytes() == (GOLDENS / name).read_bytes()
    table = open_word_vectors(GOLDENS / "word2vec.bin").read()
    write_word_vectors(tmp_path / "v.bin", table.words, table.vectors, "word2vec")
    size = (tmp_path / "v.bin").stat().st_size
    assert size == (GOLDENS / "word2vec.bin").stat().st_size + len(table.words)


@fixtures
def test_a_published_file_comes_out_byte_for_byte(tmp_path: Path) -> None:
    table = open_word_vectors(FIXTURES / "test_glove.txt").read()
    write_word_vectors(tmp_path / "v.txt", table.words, table.vectors, "glove")
    expected = (FIXTURES / "test_glove.txt").read_bytes().rstrip(b"\n") + b"\n"
    assert (tmp_path / "v.txt").read_bytes() == expected


def test_other_encodings(tmp_path: Path) -> None:
    write_word_vectors(tmp_path / "v", ["který"], np.ones((1, 2)), "glove", encoding="cp852")
    assert open_word_vectors(tmp_path / "v", encoding="cp852").read().words == ["který"]
    raw = open_word_vectors(tmp_path / "v").read()
    write_word_vectors(tmp_path / "again", raw.words, raw.vectors, "glove")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "v").read_bytes()


@pytest.mark.parametrize(
    ("words", "vectors", "dialect", "message"),
    [
        (["a"], np.ones((1, 2)), "elmo", "must be one of glove, word2vec"),
        (["a", "b"], np.ones((1, 2)), "glove", "2 words and vectors of shape"),
        (["new york"], np.ones((1, 2)), "word2vec", "'new york' cannot be written"),
        (["a\nb"], np.ones((1, 2)), "glove", "cannot be written"),
        ([""], np.ones((1, 2)), "glove", "cannot be written"),
        (["\ud800"], np.ones((1, 2)), "glove", "cannot be written as utf-8"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(
    words: list[str], vectors: np.ndarray, dialect: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "v").write_text("old")
    with pytest.raises(ValueError, match=message):
        write_word_vectors(tmp_path / "v", words, vectors, dialect)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("v", "old")]
