"""SentencePieceTokenizer: ids of the original programs, rows, saving, graphs."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentencepiece_goldens import MODELS, model, note, rows, texts

from keras_pretrained.tokenizers import SentencePieceTokenizer, SpecialTokens
from tests.parity.recording import Record

SMALL_SIGMA, FINAL_SIGMA = "\u03c3", "\u03c2"
REAL = Path(__file__).parents[3] / "shared" / "fixtures" / "xlnet" / "spiece.model"
XLNET = SpecialTokens(
    start="<cls>", end="<sep>", pad="<pad>", unknown="<unk>", between=("<sep>",), behind=("<sep>",)
)


def tokenizer_of(name: str = "albert", **options: Any) -> SentencePieceTokenizer:
    return SentencePieceTokenizer(model(name), **options)


def ids_of(tokenizer: SentencePieceTokenizer, batch: list[str]) -> list[list[int]]:
    packed = tokenizer(batch, max_length=100_000)
    lengths = packed["padding_mask"].sum(axis=1)
    return [
        row[1 : length - 1].tolist()
        for row, length in zip(packed["token_ids"], lengths, strict=True)
    ]


@pytest.mark.parity
@pytest.mark.parametrize("name", MODELS)
def test_ids_equal_google(name: str, parity: Record) -> None:
    """All but those of a final sigma, which is lower-cased by the letters around it there."""
    ours, theirs = ids_of(tokenizer_of(name), texts()), rows(f"{name}/google")
    parity(f"sentencepiece/{name}/google").equal("token ids", ours, theirs)
    different = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    assert len(different) == 3
    decode = tokenizer_of(name).decode
    for pair in different:
        a, b = (decode(ids) for ids in pair)
        assert b.count(FINAL_SIGMA) > a.count(FINAL_SIGMA)
        assert a.replace(FINAL_SIGMA, SMALL_SIGMA) == b.replace(FINAL_SIGMA, SMALL_SIGMA)


@pytest.mark.parity
@pytest.mark.parametrize("name", MODELS)
def test_cased_ids_equal_google_in_every_text(name: str) -> None:
    ours = ids_of(tokenizer_of(name, lowercase=False), texts())
    assert ours == rows(f"{name}/google cased")


@pytest.mark.parity
def test_differences_from_hugging_face_are_the_documented_ones(parity: Record) -> None:
    tokenizer = tokenizer_of("plain", replace_quotes=True, split_numbers=None)
    ours, theirs = ids_of(tokenizer, texts()), rows("plain/huggingface")
    parity("sentencepiece/plain/huggingface").equal("token ids", ours, theirs)
    # Texts of letters, digits and plain punctuation are the same.
    plain = [
        (a, b)
        for text, a, b in zip(texts(), ours, theirs, strict=True)
        if text.isascii() and text.isprintable() and not set(text) & set("[]<>")
    ]
    assert len(plain) > 15
    unequal = [pair for pair in plain if pair[0] != pair[1]]
    assert len(unequal) <= 2


def test_each_option_does_what_it_says() -> None:
    def pieces(text: str, **options: Any) -> list[str]:
        return tokenizer_of(**options).tokenize(text)

    def text(*arguments: Any, **options: Any) -> str:
        return "".join(pieces(*arguments, **options)).replace("\u2581", " ")

    assert text("ÉTÉ") == " ete"
    assert text("été", strip_accents=False) in (" été", " <unk>t<unk>")
    assert text("``a''") == " ``a''"
    assert text("``a''", replace_quotes=True) == ' "a"'
    assert pieces("x7,") == ["\u2581x", "\u25817", ","]
    assert pieces("x7,", split_numbers="joined") == ["\u2581x", "7", ","]
    assert pieces("x7,", split_numbers=None) == ["\u2581x", "7,"]
    with pytest.raises(ValueError, match=r"'spaced', 'joined' or None\. Received: True"):
        tokenizer_of(split_numbers=True)


def test_rows_and_pairs() -> None:
    tokenizer = tokenizer_of(max_length=12)
    cls, sep, pad = tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id
    assert (cls, sep, pad, tokenizer.unknown_id, tokenizer.mask_id) == (2, 3, 0, 1, 4)
    packed = tokenizer((["a b", ""], ["c", "the"]))
    a, b, c = (tokenizer.token_to_id(f"\u2581{letter}") for letter in "abc")
    known = [index for index in (a, b, c) if index != tokenizer.unknown_id]
    assert known
    first = packed["token_ids"][0].tolist()
    assert first[0] == cls
    assert first.count(sep) == 2
    boundary = first.index(sep)
    segments = packed["segment_ids"][0]
    assert not segments[: boundary + 1].any()
    assert segments[boundary + 1 : int(packed["padding_mask"][0].sum())].all()
    assert packed["token_ids"][1, :2].tolist() == [cls, sep]
    left = tokenizer(["a", "the way of it all"], pad_side="left")
    assert left["token_ids"][0, 0] == pad
    assert left["token_ids"].shape[1] <= 12


def test_pairs_equal_hugging_face() -> None:
    """Specials, order and decoding."""
    for name, stored in note()["decoded"].items():
        tokenizer = tokenizer_of(name, split_numbers=None)
        row = tokenizer(("the first text", "and 1997, the second"))["token_ids"]
        if name == "plain":
            assert row.tolist() == stored["ids"]
        assert tokenizer.decode(stored["ids"]) == stored["with special tokens"]
        assert tokenizer.decode(stored["ids"], skip_special_tokens=True) == stored["without"]


def test_typed_special_tokens_are_text() -> None:
    tokenizer = tokenizer_of()
    for token in ("[CLS]", "[SEP]", "[MASK]", "<pad>", "<unk>"):
        (row,) = ids_of(tokenizer, [f"a {token} b"])
        assert not set(row) & {0, 2, 3, 4}, token


def test_words() -> None:
    packed = tokenizer_of()([["the", "1997,", "x"], ["a"]], is_split=True)
    words = packed["word_ids"]
    assert words[0, 0] == -1
    assert sorted(set(words[0].tolist())) == [-1, 0, 1, 2]
    assert (np.diff(words[0][words[0] >= 0]) >= 0).all()


def test_bytes_that_are_no_text_are_dropped() -> None:
    import tensorflow as tf

    tokenizer = tokenizer_of()
    broken = tokenizer(tf.constant([b"th\xffe w\xe4\xb8ay", b"\xf0\x9f the"]))
    whole = tokenizer(["the way", " the"])
    np.testing.assert_array_equal(broken["token_ids"], whole["token_ids"])


def test_graphs_make_the_same_rows() -> None:
    import tensorflow as tf

    tokenizer = tokenizer_of(max_length=20, pad_to=20)
    batch = texts()[-15:]
    expected = tokenizer(batch)
    dataset = tf.data.Dataset.from_tensor_slices(batch)
    for mapped in (dataset.batch(15).map(tokenizer), dataset.map(tokenizer).batch(15)):
        found = next(iter(mapped))
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


def test_assets_and_configuration_round_trip(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(lowercase=False, split_numbers="joined", max_length=30)
    tokenizer.save_assets(tmp_path)
    assert (tmp_path / "spiece.model").read_bytes() == model("albert").read_bytes()
    again = SentencePieceTokenizer.from_config(tokenizer.get_config())
    with pytest.raises(ValueError, match="no model yet"):
        again(["a"])
    assert "without vocabulary" in repr(again)
    again.load_assets(tmp_path)
    assert again.get_config() == tokenizer.get_config()
    assert again.vocabulary == tokenizer.vocabulary
    for other in (again, copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert ids_of(other, texts()[:40]) == ids_of(tokenizer, texts()[:40])
    assert tokenizer.published_files()["spiece.model"] == model("albert").read_bytes()


def test_ids_are_checked() -> None:
    tokenizer = tokenizer_of()
    assert tokenizer.vocabulary_size == len(tokenizer.vocabulary) == 900
    assert tokenizer.token_to_id("no such piece") == tokenizer.unknown_id
    for wrong in (-1, 900):
        with pytest.raises(ValueError, match="Token ids are 0 to 899"):
            tokenizer.id_to_token(wrong)
    with pytest.raises(ValueError, match=r"no <cls>, <sep>"):
        tokenizer_of(special=XLNET)


def test_a_saved_model_serves_texts(tmp_path: Path) -> None:
    import tensorflow as tf

    tokenizer = tokenizer_of(max_length=16)

    class Served(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def ids(self, batch: Any) -> Any:
            return tokenizer(batch)["token_ids"]

    tf.saved_model.save(Served(), str(tmp_path))
    served = tf.saved_model.load(str(tmp_path)).ids(tf.constant(["In 1997, the end", "x"]))
    np.testing.assert_array_equal(served, tokenizer(["In 1997, the end", "x"])["token_ids"])


@pytest.mark.skipif(not REAL.is_file(), reason="absent: the published spiece.model of XLNet")
def test_a_published_model() -> None:
    """32,000 pieces and the normalisation that SentencePiece brings along."""
    tokenizer = SentencePieceTokenizer(REAL, XLNET, lowercase=False, split_numbers="joined")
    assert tokenizer.vocabulary_size == 32_000
    text = "Été 1997, in the ﬁrst quarter of 3,000 users."
    pieces = tokenizer.tokenize(text)
    assert "".join(pieces).replace("\u2581", " ") == (
        " Ete 1997, in the first quarter of 3,000 users."
    )
    assert "\u2581quarter" in pieces
    assert not any(piece[-1] == "," and len(piece) > 1 for piece in pieces)
