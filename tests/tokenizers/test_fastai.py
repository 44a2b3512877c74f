"""`FastaiTokenizer`: the words of fast.ai's three programs, their vocabularies, and texts again."""

from __future__ import annotations

import importlib.util
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_pretrained.checkpoints import CheckpointError
from keras_pretrained.tokenizers import FastaiTokenizer
from keras_pretrained.tokenizers.fastai_rules import RULES, SIGNS_1, SIGNS_2

GOLDEN = Path(__file__).parents[1] / "goldens" / "awd_lstm"
VERSIONS = ("0.7", "1", "2")
FIRST = {"0.7": ("_unk_", "_pad_"), "1": SIGNS_1, "2": SIGNS_2}
needs_spacy = pytest.mark.skipif(not importlib.util.find_spec("spacy"), reason="absent: spaCy")


def recorded(version: str) -> list[list[Any]]:
    """Texts; what fast.ai gave to spaCy; what that made of it; all words and signs."""
    return json.loads((GOLDEN / "tokens.json").read_text(encoding="utf-8"))[version]


def spacy_then(version: str) -> Callable[[str], list[str]]:
    """spaCy as it was when the golden data were made."""
    return {given: words for _, given, words, _ in recorded(version)}.__getitem__


def tokenizer(version: str = "1", *words: str, **options: Any) -> FastaiTokenizer:
    options = {"splitter": "whitespace", **options}
    return FastaiTokenizer([*FIRST[version], *words], **options)


@pytest.mark.parity
@pytest.mark.parametrize("version", VERSIONS)
def test_the_words_of_fastai(version: str, parity: Any) -> None:
    made = tokenizer(version, splitter=spacy_then(version))
    assert made.rules == version
    texts, _, _, expected = zip(*recorded(version), strict=True)
    found = [made.tokenize(text) for text in texts]
    parity(f"fastai/{version}").equal("texts", found, list(expected))


@needs_spacy
@pytest.mark.parametrize("version", VERSIONS)
def test_spacy_splits(version: str) -> None:
    made = tokenizer(version, splitter="spacy")
    for text, _, _, expected in recorded(version):
        assert made.tokenize(text) == expected


def test_without_spacy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    with pytest.raises(ImportError, match=r"pip install 'spacy>=3\.7'.*another splitter"):
        tokenizer(splitter="spacy")(["a"])


def test_what_the_paper_s_scripts_repair() -> None:
    """`fixup` of create_toks.py, which is in no package."""
    made = tokenizer("0.7")
    text = "a<br />b&amp;c #36;5 <unk> one @-@ two 3 @.@ 5 x\\y &hellip; quot;z"
    words = ["a", "b&&c", "$5", "u_n", "one-two", "3.5", "x", "\\", "y", "…", "'z"]
    assert made.tokenize(text) == ["xbos", "xfld", "1", *words]


def test_ids_and_rows() -> None:
    made = tokenizer("1", "good", "film")
    assert (made.pad_id, made.unknown_id, made.vocabulary_size) == (1, 0, 11)
    found = made(["GOOD film", "x"])
    assert {name: each.dtype for name, each in found.items()} == {
        "token_ids": np.int32,
        "padding_mask": np.int32,
    }
    assert found["token_ids"].tolist() == [[2, 6, 9, 10], [2, 0, 1, 1]]
    assert found["padding_mask"].tolist() == [[1] * 4, [1, 1, 0, 0]]
    assert made("film", max_length=1)["token_ids"].tolist() == [2]
    left = made(["GOOD film", "x"], pad_side="left")
    assert left["token_ids"].tolist() == [[2, 6, 9, 10], [1, 1, 2, 0]]
    split = made([["xxup", "good"], ["Film", "film"]], is_split=True)
    assert split["token_ids"].tolist() == [[6, 9], [0, 10]]
    assert split["word_ids"].tolist() == [[0, 1], [0, 1]]
    assert made.token_to_id("film") == 10
    assert made.id_to_token(10) == "film"
    with pytest.raises(ValueError, match="Token ids are 0 to 10"):
        made.id_to_token(11)


def test_pipelines() -> None:
    made = tokenizer("2", "good", "film", splitter=lambda text: text.replace("!", " !").split())
    dataset = tf.data.Dataset.from_tensor_slices(["Good film!", "film"]).batch(2).map(made)
    (batch,) = dataset
    assert batch["token_ids"].numpy().tolist() == [[2, 8, 9, 10, 0], [2, 10, 1, 1, 1]]


def test_texts_again() -> None:
    made = tokenizer("1", "good", "film", "no", "!", "4", "99999", "a")
    assert made.decode(made("Good FILM a !!!! no no no no no")["token_ids"]) == (
        "Good FILM a !!!! no no no no no"
    )
    ids = [made.token_to_id(word) for word in ("xxwrep", "4", "no", "xxpad", "xxmaj")]
    assert made.decode([ids, ids]) == ["no no no no"] * 2
    signs = made.decode([2, 9, 1], skip_special_tokens=False)
    assert signs == "xxbos good xxpad"
    # Marks without what they speak of, and with a number that no text has.
    for words, text in (
        (("xxrep", "99999", "!"), "99999 !"),
        (("xxrep", "4"), "4"),
        (("good", "xxup"), "good"),
    ):
        assert made.decode([made.token_to_id(word) for word in words]) == text
    old = RULES["0.7"].text(["\n", "xbos", "xfld", "1", "t_up", "abc", "tk_rep", "5", "!"])
    assert old == "\n 1 ABC !!!!!"


def test_files(tmp_path: Path) -> None:
    words = [*SIGNS_2, "\n", "caf\u00e9", "\ud800", "xxfake", "xxfake"]
    path = tmp_path / "itos.pkl"
    for protocol in range(6):
        path.write_bytes(pickle.dumps(words, protocol=protocol))
        made = FastaiTokenizer.from_file(path, splitter="whitespace", pad_to=4)
        assert made.vocabulary == words
        assert made.rules == "2"
    (content,) = made.published_files().values()
    assert pickle.loads(content) == words
    made.save_assets(tmp_path)
    copy = FastaiTokenizer.from_config(made.get_config())
    with pytest.raises(ValueError, match="no vocabulary yet"):
        copy(["a"])
    copy.load_assets(tmp_path)
    assert copy.vocabulary == words
    assert copy.get_config() == made.get_config()
    assert copy("caf\u00e9")["token_ids"].tolist() == [2, 10, 1, 1]


def test_a_splitter_of_one_s_own_is_not_saved(tmp_path: Path) -> None:
    made = tokenizer("1", "a", splitter=list)
    made.save_assets(tmp_path)
    copy = FastaiTokenizer.from_config(made.get_config())
    copy.load_assets(tmp_path)
    with pytest.raises(ValueError, match=r"Set it again: `layer\.tokenizer\.splitter = function`"):
        copy(["a"])
    copy.splitter = list
    np.testing.assert_array_equal(copy("aa")["token_ids"], made("aa")["token_ids"])
    assert "of 10 pieces" in repr(copy)


class Hostile:
    def __reduce__(self) -> Any:
        return print, ("a pickle was run",)


def test_pickles_of_strangers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "itos.pkl"
    for content, error, message in (
        ([Hostile()], CheckpointError, "Nothing was run"),
        ({"itos": ["a"]}, TypeError, "must be a list of words. Received: dict"),
        (["a", 3], TypeError, r"word 1 must be a str. Received: '3' \(int\)"),
        ("abc", TypeError, "Received: str"),
        (["a", "a"], ValueError, "holds 'a' twice"),
    ):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(error, match=message):
            FastaiTokenizer.from_file(path)
    for data in (b"", b"\x80\x02]", b"cos\nsystem\n(S'true'\ntR.", b"not a pickle"):
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match=r"itos\.pkl"):
            FastaiTokenizer.from_file(path)
    assert not capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match=r"Expected fast\.ai's itos pickle"):
        FastaiTokenizer.from_file(tmp_path / "none.pkl")
    (tmp_path / "vocabulary.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        FastaiTokenizer(None).load_assets(tmp_path)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"one of '0\.7', '1', '2'"):
        FastaiTokenizer(None, rules="3")
    with pytest.raises(ValueError, match="'spacy', 'whitespace' or a function"):
        FastaiTokenizer(None, splitter="moses")
    with pytest.raises(ValueError, match=r"begins like none of fast\.ai's versions, with 'a'"):
        FastaiTokenizer(["a", "b"], splitter="whitespace")(["a"])
    assert FastaiTokenizer(["a", "b"], rules="1").rules == "1"
    with pytest.raises(TypeError, match="text must be one str"):
        tokenizer().tokenize(["a"])  # type: ignore[arg-type]


@pytest.mark.parity
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_count": 2}, ["the", "of", "film", "end", "a", ","]),
        ({"min_count": 1, "max_words": 13}, ["the", "of", "film", "end"]),
        ({}, ["the", "of", "film"]),
    ],
)
def test_the_vocabulary_of_texts(options: dict[str, int], words: list[str]) -> None:
    """The words are those of `make_vocab` of fastai 2.8.2, without its filling up to eights."""
    texts = ["the end of the film", "A film , the film", "of a book , of the end b"]
    made = FastaiTokenizer.from_texts(texts, splitter="whitespace", **options)
    assert made.vocabulary == [*SIGNS_2, *words]
    assert made.rules == "2"


@pytest.mark.parametrize("version", VERSIONS)
def test_vocabularies_begin_with_the_signs(version: str) -> None:
    made = FastaiTokenizer.from_texts(
        (f"{sign} good" for sign in FIRST[version]), version, min_count=1, splitter="whitespace"
    )
    assert tuple(made.vocabulary[: len(FIRST[version])]) == FIRST[version]
    assert made.rules == version
    assert made("good")["token_ids"][-1] == made.token_to_id("good") > 0
    with pytest.raises(TypeError, match="must be several str"):
        FastaiTokenizer.from_texts("good")
