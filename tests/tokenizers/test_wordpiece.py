"""What users see of `WordPieceTokenizer`: shapes, graphs, pairs, words, config, assets."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_pretrained.tokenizers import WordPieceTokenizer

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "want", "##want", "##ed", "wa", "un"]
PIECES += ["runn", "##ing", ",", "a", "b", "##b", "!", "low"]
PAD, UNK, CLS, SEP = 0, 1, 2, 3
TEXTS = ["UNwantéd,running", "", "a b a b a b a b a b", "nothing known"]


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer(PIECES)


def test_a_batch(tokenizer: WordPieceTokenizer) -> None:
    packed = tokenizer(["unwanted running", "a!"])
    assert list(packed) == ["token_ids", "segment_ids", "padding_mask"]
    expected = [[CLS, 9, 6, 7, 10, 11, SEP], [CLS, 13, 16, SEP, PAD, PAD, PAD]]
    assert packed["token_ids"].tolist() == expected
    assert packed["padding_mask"].tolist() == [[1] * 7, [1] * 4 + [0] * 3]
    assert not packed["segment_ids"].any()
    for value in packed.values():
        assert type(value) is np.ndarray
        assert value.dtype == np.int32
        assert value.flags.writeable


def test_google_paper_example(tokenizer: WordPieceTokenizer) -> None:
    assert tokenizer.tokenize("UNwantéd,running") == ["un", "##want", "##ed", ",", "runn", "##ing"]
    assert tokenizer.tokenize("unwantedX running") == ["[UNK]", "runn", "##ing"]


def test_one_text_has_no_batch_axis(tokenizer: WordPieceTokenizer) -> None:
    for text in ("a b", np.str_("a b"), b"a b", np.array("a b"), tf.constant("a b")):
        assert tokenizer(text)["token_ids"].tolist() == [CLS, 13, 14, SEP]
    assert tokenizer(("a", "b"))["segment_ids"].tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    "batch",
    [
        TEXTS,
        np.array(TEXTS),
        np.array(TEXTS, object),
        np.array([text.encode() for text in TEXTS], object),
        tf.constant(TEXTS),
    ],
    ids=["list", "array of U", "array of str", "array of bytes", "tensor"],
)
def test_every_kind_of_batch_gives_the_same(tokenizer: WordPieceTokenizer, batch: Any) -> None:
    expected = tokenizer(list(TEXTS))
    for name, value in tokenizer(batch).items():
        np.testing.assert_array_equal(value, expected[name])


def test_an_empty_batch(tokenizer: WordPieceTokenizer) -> None:
    assert tokenizer([])["token_ids"].shape == (0, 2)
    assert tokenizer([], pad_to=8)["token_ids"].shape == (0, 8)
    assert tokenizer(([], []), pad_to="buckets")["token_ids"].shape == (0, 32)
    assert tokenizer([], is_split=True)["word_ids"].shape == (0, 2)


def test_truncation_and_padding(tokenizer: WordPieceTokenizer) -> None:
    long = "a " * 100
    assert tokenizer([long], max_length=5)["token_ids"].tolist() == [[CLS, 13, 13, 13, SEP]]
    assert tokenizer([long, "a"], pad_to=6)["token_ids"].tolist() == [
        [CLS, 13, 13, 13, 13, SEP],
        [CLS, 13, SEP, PAD, PAD, PAD],
    ]
    assert tokenizer([long], pad_to=200)["token_ids"].shape == (1, 200)
    assert tokenizer([long], max_length=70, pad_to=200)["padding_mask"].sum() == 70
    lengths = [
        tokenizer(["a " * count], pad_to="buckets", max_length=100)["token_ids"].shape[1]
        for count in (0, 30, 31, 62, 63, 98, 500)
    ]
    assert lengths == [32, 32, 64, 64, 100, 100, 100]
    padded = WordPieceTokenizer(PIECES, max_length=7, pad_to=9)
    assert padded("a")["token_ids"].shape == (9,)
    assert padded("a", pad_to="longest")["token_ids"].shape == (3,)
    assert padded(long)["padding_mask"].sum() == 7


def test_pairs(tokenizer: WordPieceTokenizer) -> None:
    packed = tokenizer((["a a", "b"], ["b", "unwanted"]))
    assert packed["token_ids"].tolist() == [
        [CLS, 13, 13, SEP, 14, SEP, PAD],
        [CLS, 14, SEP, 9, 6, 7, SEP],
    ]
    assert packed["segment_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1]]
    assert packed["padding_mask"].tolist() == [[1] * 6 + [0], [1] * 7]


def test_split_words(tokenizer: WordPieceTokenizer) -> None:
    words = [["unwanted,", "", "a"], [], ["running"]]
    expected_words = [[-1, 0, 0, 0, 0, 2, -1], [-1] * 7, [-1, 0, 0, -1, -1, -1, -1]]
    dense = tf.constant([["unwanted,", "", "a"], ["", "", ""], ["running", "", ""]])
    for batch in (words, tf.ragged.constant(words, tf.string), dense):
        packed = tokenizer(batch, is_split=True)
        assert packed["token_ids"][0].tolist() == [CLS, 9, 6, 7, 12, 13, SEP]
        assert packed["word_ids"].tolist() == expected_words
        assert packed["word_ids"].dtype == np.int32
    one = tokenizer(["unwanted,", "a"], is_split=True)
    assert one["word_ids"].tolist() == [-1, 0, 0, 0, 0, 1, -1]
    pair = tokenizer((["a", "unwanted"], ["b", "b"]), is_split=True, max_length=8)
    assert pair["word_ids"].tolist() == [-1, 0, 1, 1, -1, 0, 1, -1]
    cut = tokenizer([["a", "unwanted"]], is_split=True, max_length=4)
    assert cut["word_ids"].tolist() == [[-1, 0, 1, -1]]


@pytest.mark.parametrize("pad_to", [None, 16, "buckets"])
def test_in_a_dataset_before_and_after_batching(tokenizer: WordPieceTokenizer, pad_to: Any) -> None:
    labels = np.arange(len(TEXTS))
    data = tf.data.Dataset.from_tensor_slices((TEXTS, labels))
    after = data.batch(2).map(lambda text, label: (tokenizer(text, pad_to=pad_to), label))
    before = data.map(lambda text, label: (tokenizer(text, pad_to=pad_to), label))
    length = 16 if pad_to == 16 else None
    assert after.element_spec[0]["token_ids"].shape.as_list() == [None, length]
    assert before.element_spec[0]["padding_mask"].shape.as_list() == [length]
    for start, (packed, _) in zip((0, 2), after, strict=True):
        expected = tokenizer(TEXTS[start : start + 2], pad_to=pad_to)
        for name, value in packed.items():
            assert value.dtype == tf.int32
            np.testing.assert_array_equal(value, expected[name])
    for text, (packed, _) in zip(TEXTS, before, strict=True):
        expected = tokenizer(text, pad_to=pad_to)
        for name, value in packed.items():
            np.testing.assert_array_equal(value, expected[name])


def test_pairs_and_words_in_a_dataset(tokenizer: WordPieceTokenizer) -> None:
    data = tf.data.Dataset.from_tensor_slices((TEXTS, TEXTS[::-1])).batch(4)
    packed = next(iter(data.map(lambda first, second: tokenizer((first, second)))))
    np.testing.assert_array_equal(packed["token_ids"], tokenizer((TEXTS, TEXTS[::-1]))["token_ids"])
    words = tf.ragged.constant([["a", "unwanted"], ["b"]])
    data = tf.data.Dataset.from_tensor_slices(words).batch(2)
    packed = next(iter(data.map(lambda text: tokenizer(text, is_split=True))))
    assert packed["word_ids"].numpy().tolist() == [[-1, 0, 1, 1, 1, -1], [-1, 0, -1, -1, -1, -1]]


def test_first_use_inside_a_graph_then_everywhere() -> None:
    fresh = WordPieceTokenizer(PIECES)
    data = tf.data.Dataset.from_tensor_slices(TEXTS).batch(4).map(fresh)
    in_data = next(iter(data))["token_ids"].numpy()
    compiled = tf.function(lambda text: fresh(text)["token_ids"], autograph=False)
    np.testing.assert_array_equal(in_data, compiled(tf.constant(TEXTS)))
    np.testing.assert_array_equal(in_data, fresh(TEXTS)["token_ids"])


def test_parallel_map_and_threads() -> None:
    fresh = WordPieceTokenizer(PIECES)
    expected = WordPieceTokenizer(PIECES)(TEXTS, pad_to=16)["token_ids"]
    results: list[np.ndarray] = []

    def work() -> None:
        results.append(fresh(TEXTS, pad_to=16)["token_ids"])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = tf.data.Dataset.from_tensor_slices(TEXTS * 50).batch(4)
    data = data.map(lambda text: fresh(text, pad_to=16), num_parallel_calls=4)
    results += [packed["token_ids"].numpy() for packed in data]
    assert len(results) == 8 + 50
    assert all(np.array_equal(result, expected) for result in results)


def test_exported_in_a_saved_model(tokenizer: WordPieceTokenizer, tmp_path: Path) -> None:
    module = tf.Module()
    module.ids = tf.function(
        lambda text: tokenizer(text, pad_to=16)["token_ids"],
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    ids = loaded.ids(tf.constant(TEXTS)).numpy()
    np.testing.assert_array_equal(ids, tokenizer(TEXTS, pad_to=16)["token_ids"])


def test_broken_text(tokenizer: WordPieceTokenizer) -> None:
    # Whatever is no UTF-8 is dropped, as the replacement character is.
    broken = [b"a\xff", b"\xe4\xb8a", b"a\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc0\x80a", b"a\x00\xc3"]
    decoded = [text.decode("utf-8", "replace") for text in broken]
    np.testing.assert_array_equal(
        tokenizer(tf.constant(broken))["token_ids"], tokenizer(decoded)["token_ids"]
    )
    assert tokenizer.tokenize("a\ud83d \udc00") == ["a"]
    noise = np.random.default_rng(0).integers(0, 256, (3000, 12), np.uint8)
    random_bytes = [row.tobytes().replace(b"\0", b" ") for row in noise]
    decoded = [text.decode("utf-8", "replace") for text in random_bytes]
    np.testing.assert_array_equal(
        tokenizer(tf.constant(random_bytes))["token_ids"], tokenizer(decoded)["token_ids"]
    )


def test_words_of_more_than_100_characters_are_unknown(tokenizer: WordPieceTokenizer) -> None:
    assert tokenizer.tokenize("a" + "b" * 99) == ["a"] + ["##b"] * 99
    assert tokenizer.tokenize("a" + "b" * 100) == ["[UNK]"]
    assert tokenizer.tokenize("a" + "b\u0301" * 99) == ["a"] + ["##b"] * 99
    assert tokenizer.tokenize(f"a {'é' * 101} b") == ["a", "[UNK]", "b"]


def test_case_is_decided_from_the_vocabulary() -> None:
    assert WordPieceTokenizer(PIECES).lowercase is True
    assert WordPieceTokenizer([*PIECES, "[UNUSED1]", "<S>"]).lowercase is True
    cased = WordPieceTokenizer([*PIECES, "Un", "##É"])
    assert cased.lowercase is False
    assert cased.strip_accents is False
    assert cased.tokenize("Unwanted unwanted") == ["Un", "##want", "##ed", "un", "##want", "##ed"]
    assert WordPieceTokenizer([*PIECES, "É"]).lowercase is True
    assert WordPieceTokenizer([*PIECES, "Un"], lowercase=True).strip_accents is True
    accents = WordPieceTokenizer([*PIECES, "é"], strip_accents=False)
    assert accents.tokenize("É") == ["é"]


def test_chinese() -> None:
    pieces = [*PIECES, "中", "国", "##国", "中国"]
    assert WordPieceTokenizer(pieces).tokenize("a中国b") == ["a", "中", "国", "b"]
    joined = WordPieceTokenizer(pieces, split_chinese=False)
    assert joined.tokenize("中国 国中") == ["中国", "[UNK]"]


def test_decode(tokenizer: WordPieceTokenizer) -> None:
    packed = tokenizer(["Unwanted, running!", "a"])
    assert tokenizer.decode(packed["token_ids"]) == [
        "[CLS] unwanted, running! [SEP]",
        "[CLS] a [SEP] [PAD] [PAD] [PAD] [PAD] [PAD] [PAD]",
    ]
    assert tokenizer.decode(packed["token_ids"], skip_special_tokens=True) == [
        "unwanted, running!",
        "a",
    ]
    assert tokenizer.decode([9, 6, 12], clean_up=False) == "unwant ,"
    assert tokenizer.decode([]) == ""
    assert tokenizer.decode(tf.ragged.constant([[13], [13, 15]])) == ["a", "ab"]
    with pytest.raises(ValueError, match=r"0 to 17 here. Received: 18"):
        tokenizer.decode([18])


def test_ids_and_tokens(tokenizer: WordPieceTokenizer) -> None:
    assert tokenizer.vocabulary == PIECES
    assert tokenizer.vocabulary_size == len(PIECES)
    assert tokenizer.token_to_id("##ed") == 7
    assert tokenizer.id_to_token(7) == "##ed"
    assert tokenizer.token_to_id("no piece") == tokenizer.unknown_id == UNK
    ids = (tokenizer.pad_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id)
    assert ids == (PAD, CLS, SEP, 4)
    moved = WordPieceTokenizer(["a", "[SEP]", "[CLS]", "[UNK]", "[PAD]"])
    assert moved(["a", "b a"])["token_ids"].tolist() == [[2, 0, 1, 4], [2, 3, 0, 1]]
    with pytest.raises(ValueError, match=r"5 pieces has no \[MASK\]"):
        _ = moved.mask_id


def test_config_and_assets_make_an_equal_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "somewhere.txt"
    data = "\r\n".join([*PIECES, "", " spaced "]).encode()
    path.write_bytes(data)
    first = WordPieceTokenizer(
        path, max_length=9, pad_to="buckets", split_chinese=False, has_segments=False
    )
    assert set(first("a")) == {"token_ids", "padding_mask"}
    config = first.get_config()
    assert config == {
        "lowercase": True,
        "strip_accents": True,
        "split_chinese": False,
        "max_length": 9,
        "pad_to": "buckets",
        "has_segments": False,
    }
    second = WordPieceTokenizer.from_config(config)
    with pytest.raises(ValueError, match=r"no vocabulary yet.*load_assets"):
        second("a")
    (tmp_path / "assets").mkdir()
    first.save_assets(tmp_path / "assets")
    path.unlink()
    second.load_assets(tmp_path / "assets")
    assert (tmp_path / "assets" / "vocab.txt").read_bytes() == data
    assert second.vocabulary == [*PIECES, "", "spaced"]
    assert second.get_config() == config
    np.testing.assert_array_equal(second(TEXTS)["token_ids"], first(TEXTS)["token_ids"])


def test_assets_replace_a_vocabulary(tokenizer: WordPieceTokenizer, tmp_path: Path) -> None:
    other = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "b"])
    assert other("b")["token_ids"].tolist() == [2, 4, 3]
    tokenizer.save_assets(tmp_path)
    other.load_assets(tmp_path)
    assert other("b")["token_ids"].tolist() == [2, 14, 3]


def test_copies_and_pickles(tokenizer: WordPieceTokenizer) -> None:
    expected = tokenizer(TEXTS)["token_ids"]
    for other in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        np.testing.assert_array_equal(other(TEXTS)["token_ids"], expected)
    assert "18 pieces" in repr(tokenizer)
    assert "without vocabulary" in repr(WordPieceTokenizer(None))


def test_import_loads_no_backend() -> None:
    code = (
        "import sys; from keras_pretrained.tokenizers import WordPieceTokenizer;"
        "WordPieceTokenizer(['[PAD]', '[UNK]', '[CLS]', '[SEP]']).get_config();"
        "assert not {'tensorflow', 'tensorflow_text', 'keras', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_tensorflow_text_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    with pytest.raises(ImportError, match=r"pip install 'tensorflow-text==2\.\d+\.\*'"):
        WordPieceTokenizer(PIECES)("a")


def test_lengths_that_are_too_small(tokenizer: WordPieceTokenizer) -> None:
    with pytest.raises(ValueError, match=r"max_length must be at least 3.*Received: 2"):
        tokenizer("a", max_length=2)
    with pytest.raises(ValueError, match=r"max_length must be at least 5: a pair.*Received: 4"):
        tokenizer(("a", "b"), max_length=4)
    with pytest.raises(ValueError, match="pad_to must be at least 3"):
        tokenizer("a", pad_to=1)
    with pytest.raises(TypeError, match="pad_to must be None, 'longest', 'buckets' or an int"):
        tokenizer("a", pad_to="bucket")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="max_length must be an int"):
        WordPieceTokenizer(PIECES, max_length=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="vocabulary must be a sequence of str or the path"):
        WordPieceTokenizer({"a": 1})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="text must be one str"):
        tokenizer.tokenize(["a"])  # type: ignore[arg-type]
