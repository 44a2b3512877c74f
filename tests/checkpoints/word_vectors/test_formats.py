"""Files of word vectors of every format give the vectors that their own programs give."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError
from keras_pretrained.checkpoints.word_vectors import open_word_vectors
from tests.checkpoints.word_vectors.files import FIXTURES, GOLDENS, expected, fixtures


@pytest.mark.parity
@pytest.mark.parametrize("name", ["model.bin", "old.bin"])
def test_fasttext_as_fasttext_itself(name: str, parity: Any) -> None:
    arrays = expected()
    words = arrays["words"].tolist()
    opened = open_word_vectors(GOLDENS / name)
    assert (opened.dialect, opened.width, opened.composes) == ("fasttext", 6, True)
    table = opened.find(words)
    assert table.words == words
    parity("word-vectors/fasttext").close("vectors", table.vectors, arrays["vectors"])
    listed = opened.read()
    assert set(words) - set(listed.words) == table.composed
    np.testing.assert_allclose(
        listed.vectors, arrays["vectors"][: len(listed.words)], rtol=0, atol=1e-6
    )


@pytest.mark.parity
def test_classifiers_have_words_without_parts(parity: Any) -> None:
    arrays = expected()
    opened = open_word_vectors(GOLDENS / "supervised.bin")
    table = opened.read()
    assert table.words == arrays["supervised_words"].tolist()
    parity("word-vectors/fasttext").close("classifier", table.vectors, arrays["supervised_vectors"])
    assert not opened.composes
    assert opened.find(["dogs", "dog"]).words == ["dog"]


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("word2vec.bin", "word2vec"),
        ("word2vec.txt", "word2vec-text"),
        ("glove.txt", "glove"),
    ],
)
def test_what_gensim_writes(name: str, dialect: str, parity: Any) -> None:
    arrays = expected()
    opened = open_word_vectors(GOLDENS / name)
    assert opened.dialect == dialect
    table = opened.read()
    assert table.words == arrays["words"][: len(table.words)].tolist()
    assert len(table.words) == 49
    parity(f"word-vectors/{dialect}").close(
        "vectors", table.vectors, arrays["vectors"][: len(table.words)]
    )
    words = [*table.words[::-7], "absent", "</s>"]
    found = opened.find(words)
    assert found.words == [word for word in dict.fromkeys(words) if word != "absent"]
    rows = [table.words.index(word) for word in found.words]
    np.testing.assert_array_equal(found.vectors, table.vectors[rows])
    assert opened.read(limit=3).words == table.words[:3]


def test_a_vec_has_five_digits_of_its_model() -> None:
    opened = open_word_vectors(GOLDENS / "model.vec")
    assert opened.dialect == "word2vec-text"
    model = open_word_vectors(GOLDENS / "model.bin").read()
    table = opened.read()
    assert table.words == model.words
    np.testing.assert_allclose(table.vectors, model.vectors, rtol=1e-4)


def test_compressed_models_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"compressed with `fasttext quantize` \(\.ftz\)"):
        open_word_vectors(GOLDENS / "labels.ftz").read()


@fixtures
@pytest.mark.parity
@pytest.mark.parametrize("name", ["toy-model.bin", "lee_fasttext_new.bin"])
def test_real_fasttext_models(name: str) -> None:
    reference = np.load(FIXTURES / "reference_fasttext.npz")
    words = reference[f"{name}/words"].tolist()
    table = open_word_vectors(FIXTURES / name).find(words)
    assert table.words == words
    assert table.composed
    np.testing.assert_allclose(table.vectors, reference[f"{name}/vectors"], rtol=0, atol=1e-6)


@fixtures
@pytest.mark.parity
def test_published_expectations_of_a_real_model() -> None:
    """What gensim's own tests expect of these files, to the digits that they give."""
    model = open_word_vectors(FIXTURES / "lee_fasttext_new.bin")
    known, unseen = model.find(["hundred", "rejection"]).vectors
    hundred = "-.025627 -.11448 .18116 -.96779 .2532 -.93224 .3929 .12679 -.19685 -.13179"
    rejection = "-.49111 -.13122 -.02109 -.88769 -.20105 -.91732 .47243 .19708 -.17856 .19815"
    for vector, text in ((known, hundred), (unseen, rejection)):
        np.testing.assert_allclose(vector, np.array(text.split(), float), rtol=0, atol=1e-4)
    text = open_word_vectors(FIXTURES / "toy-model.vec").read()
    toy = open_word_vectors(FIXTURES / "toy-model.bin").find([*text.words, "quick"])
    np.testing.assert_allclose(toy.vectors[:-1], text.vectors, rtol=0, atol=1e-5)
    quick = [0.023393, 0.11499, 0.11684, -0.13349, 0.022543]
    np.testing.assert_allclose(toy.vectors[-1], quick, rtol=0, atol=1e-5)


@fixtures
@pytest.mark.parity
def test_an_old_model_in_an_old_encoding() -> None:
    model = open_word_vectors(FIXTURES / "cp852_fasttext.bin", encoding="cp852")
    table = model.read()
    assert table.words[1:8] == ["který", "jen", "podle", "zde", "už", "být", "více"]
    assert table.vectors.shape == (171, 2)
    raw = open_word_vectors(FIXTURES / "cp852_fasttext.bin").read()
    assert raw.words[1] == "kter\udcec"
    np.testing.assert_array_equal(raw.vectors, table.vectors)
    # Letters that the encoding lacks cannot be in the file.
    assert model.find(["кот", "který"]).words == ["který"]


@fixtures
@pytest.mark.parity
def test_real_word2vec_and_glove_files() -> None:
    binary = open_word_vectors(FIXTURES / "euclidean_vectors.bin").read()
    assert (len(binary.words), binary.words[:3]) == (2747, ["the", "to", "of"])
    short = open_word_vectors(FIXTURES / "high_precision.kv.bin").read()
    long = open_word_vectors(FIXTURES / "high_precision.kv.txt").read()
    assert short.words == long.words == ["kangaroo.n.01", "horse.n.01"]
    # The binary twin was written from half precision.
    np.testing.assert_array_equal(long.vectors.astype("float16"), short.vectors)
    glove = open_word_vectors(FIXTURES / "test_glove.txt")
    table = glove.read()
    lines = (FIXTURES / "test_glove.txt").read_text(encoding="utf-8").splitlines()
    assert table.words == [line.split(" ")[0] for line in lines]
    values = np.array([line.split(" ")[1:] for line in lines], np.float64).astype(np.float32)
    np.testing.assert_array_equal(table.vectors, values)


@pytest.mark.parametrize("name", ["model.bin", "old.bin", "word2vec.bin", "glove.txt", "model.vec"])
def test_packed_files(name: str, tmp_path: Path) -> None:
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress((GOLDENS / name).read_bytes()))
    plain = open_word_vectors(GOLDENS / name).read()
    for _ in range(2):
        table = open_word_vectors(packed, cache=tmp_path / "cache").read()
        assert table.words == plain.words
        np.testing.assert_array_equal(table.vectors, plain.vectors)
    if name.endswith("bin"):
        with pytest.raises(CheckpointError, match=r"is packed.*gunzip"):
            open_word_vectors(packed)
    else:
        assert open_word_vectors(packed).read().words == plain.words


def test_folders_and_wrong_choices(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_bytes((GOLDENS / "glove.txt").read_bytes())
    (tmp_path / "README.md").write_text("About.")
    assert open_word_vectors(tmp_path).width == 6
    (tmp_path / "other.vec").write_text("1 1\na 1.0\n")
    with pytest.raises(CheckpointError, match=r"holds glove.txt, other.vec. Give the path"):
        open_word_vectors(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        open_word_vectors(tmp_path / "nowhere.txt")
    with pytest.raises(ValueError, match=r"`dialect` must be 'auto' or one of glove, word2vec"):
        open_word_vectors(tmp_path / "glove.txt", dialect="elmo")
    with pytest.raises(ValueError, match="text encoding that Python knows"):
        open_word_vectors(tmp_path / "glove.txt", encoding="utf-42")
    with pytest.raises(CheckpointError, match=r"vectors of 6 values. Expected 300"):
        open_word_vectors(tmp_path / "glove.txt", width=300)
    with pytest.raises(CheckpointError, match=r"does not begin with a line such as"):
        open_word_vectors(tmp_path / "glove.txt", dialect="word2vec")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "It is empty"),
        (b"PK\x03\x04" + bytes(80), "zip archive: unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\x80\x04\x95" + bytes(80), "save_word2vec_format"),
        (bytes(range(256)), "It begins with"),
    ],
)
def test_other_files_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        open_word_vectors(tmp_path / "file.bin")
