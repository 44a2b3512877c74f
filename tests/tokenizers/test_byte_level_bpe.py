"""What users see of `ByteLevelBPETokenizer`: shapes, graphs, pairs, words, config, assets."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_pretrained.tokenizers import (
    ByteLevelBPETokenizer,
    SpecialTokens,
    WordPieceTokenizer,
)
from keras_pretrained.tokenizers.byte_level_vocabulary import BYTE_CHARACTERS

MERGES = ["Ġ t", "h e", "Ġt he", "d o", "do g", "Ġ dog"]
TOKENS = [*BYTE_CHARACTERS, *(merge.replace(" ", "") for merge in MERGES)]
GPT2 = {token: index for index, token in enumerate([*TOKENS, "<|endoftext|>"])}
ROBERTA = {
    token: index for index, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *TOKENS, "<mask>"])
}
THE, DOG, SPACE_DOG, END = 256 + 2, 256 + 4, 256 + 5, 256 + 6
TEXTS = ["the dog", "", " the the the dog", "do the"]


@pytest.fixture(scope="module")
def gpt2() -> ByteLevelBPETokenizer:
    return ByteLevelBPETokenizer(GPT2, MERGES)


@pytest.fixture(scope="module")
def roberta() -> ByteLevelBPETokenizer:
    return ByteLevelBPETokenizer(ROBERTA, MERGES)


def test_a_batch_of_gpt2(gpt2: ByteLevelBPETokenizer) -> None:
    packed = gpt2([" the dog", "dog"])
    assert list(packed) == ["token_ids", "padding_mask"]
    assert packed["token_ids"].tolist() == [[THE, SPACE_DOG], [DOG, END]]
    assert packed["padding_mask"].tolist() == [[1, 1], [1, 0]]
    for value in packed.values():
        assert type(value) is np.ndarray
        assert value.dtype == np.int32
        assert value.flags.writeable


def test_a_batch_of_roberta(roberta: ByteLevelBPETokenizer) -> None:
    packed = roberta([" the dog", "dog"])
    assert list(packed) == ["token_ids", "padding_mask"]
    assert packed["token_ids"].tolist() == [[0, THE + 4, SPACE_DOG + 4, 2], [0, DOG + 4, 2, 1]]
    assert packed["padding_mask"].tolist() == [[1] * 4, [1] * 3 + [0]]
    pair = roberta((" the", "dog"))
    assert pair["token_ids"].tolist() == [0, THE + 4, 2, 2, DOG + 4, 2]


def test_pairs_of_gpt2_have_nothing_between(gpt2: ByteLevelBPETokenizer) -> None:
    assert gpt2((" the", " dog"))["token_ids"].tolist() == [THE, SPACE_DOG]


def test_the_mask_comes_from_lengths(gpt2: ByteLevelBPETokenizer) -> None:
    # The id that pads may also stand in a text: here as an added token's.
    special = SpecialTokens(pad="the")
    ids = {**GPT2, "the": 400}
    tokenizer = ByteLevelBPETokenizer(ids, [*MERGES, "t he"], special=special)
    packed = tokenizer(["the the", "dog"], pad_to=4)
    assert packed["token_ids"].tolist() == [[400, THE, 400, 400], [DOG, 400, 400, 400]]
    assert packed["padding_mask"].tolist() == [[1, 1, 0, 0], [1, 0, 0, 0]]


def test_padding_on_the_left(gpt2: ByteLevelBPETokenizer, roberta: ByteLevelBPETokenizer) -> None:
    packed = gpt2([" the dog", "", "dog"], pad_side="left", pad_to=3)
    assert packed["token_ids"].tolist() == [[END, THE, SPACE_DOG], [END] * 3, [END, END, DOG]]
    assert packed["padding_mask"].tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 1]]
    words = roberta([["the", "dog"], ["dog"]], is_split=True, pad_side="left")
    assert words["word_ids"].tolist() == [[-1, 0, 1, -1], [-1, -1, 0, -1]]
    assert words["token_ids"][1].tolist() == [1, 0, SPACE_DOG + 4, 2]
    left = ByteLevelBPETokenizer(GPT2, MERGES, pad_side="left", max_length=4, pad_to=4)
    right = gpt2(TEXTS, max_length=4, pad_to=4)
    for name, rows in left(TEXTS).items():
        shifts = 4 - right["padding_mask"].sum(axis=1)
        rolled = [np.roll(row, shift) for row, shift in zip(right[name], shifts, strict=True)]
        np.testing.assert_array_equal(rows, rolled)


def test_one_text_has_no_batch_axis(gpt2: ByteLevelBPETokenizer) -> None:
    for text in (" the", np.str_(" the"), b" the", np.array(" the"), tf.constant(" the")):
        assert gpt2(text)["token_ids"].tolist() == [THE]
    assert gpt2("")["token_ids"].shape == (0,)


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
def test_every_kind_of_batch_gives_the_same(gpt2: ByteLevelBPETokenizer, batch: Any) -> None:
    expected = gpt2(list(TEXTS))
    for name, value in gpt2(batch).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize("side", ["right", "left"])
def test_an_empty_batch(
    gpt2: ByteLevelBPETokenizer, roberta: ByteLevelBPETokenizer, side: Any
) -> None:
    assert gpt2([], pad_side=side)["token_ids"].shape == (0, 0)
    assert gpt2(["", ""], pad_side=side)["padding_mask"].shape == (2, 0)
    assert roberta([], pad_to=8, pad_side=side)["token_ids"].shape == (0, 8)
    assert roberta(([], []), pad_to="buckets", pad_side=side)["token_ids"].shape == (0, 32)
    assert roberta([], is_split=True, pad_side=side)["word_ids"].shape == (0, 2)


def test_truncation(gpt2: ByteLevelBPETokenizer, roberta: ByteLevelBPETokenizer) -> None:
    long = " the" * 100
    assert gpt2(long, max_length=5)["token_ids"].tolist() == [THE] * 5
    assert roberta(long, max_length=4)["token_ids"].tolist() == [0, THE + 4, THE + 4, 2]
    pair = roberta((long, long), max_length=9)["token_ids"].tolist()
    assert pair == [0, *[THE + 4] * 2, 2, 2, *[THE + 4] * 3, 2]
    assert roberta(long, pad_to="buckets", max_length=70)["token_ids"].shape == (70,)
    with pytest.raises(ValueError, match="max_length must be at least 6: a pair of texts has 4"):
        roberta(("a", "b"), max_length=5)
    with pytest.raises(ValueError, match=r"pad_side must be 'right' or 'left'. Received: 'middle'"):
        gpt2("a", pad_side="middle")  # type: ignore[arg-type]


def test_words_get_a_space_before(gpt2: ByteLevelBPETokenizer) -> None:
    words = [["the", " dog", "", "do", "dog"], [], ["dog"]]
    packed = gpt2(words, is_split=True)
    expected = [THE, SPACE_DOG, GPT2["Ġ"], GPT2["do"], SPACE_DOG]
    assert packed["token_ids"][0].tolist() == expected
    assert packed["word_ids"].tolist() == [[0, 1, 3, 3, 4], [-1] * 5, [0] + [-1] * 4]
    ragged = gpt2(tf.ragged.constant(words, tf.string), is_split=True)
    np.testing.assert_array_equal(ragged["word_ids"], packed["word_ids"])
    spaced = ByteLevelBPETokenizer(GPT2, MERGES, add_prefix_space=True)
    assert spaced([" the", "the", ""])["token_ids"].tolist() == [[THE], [THE], [END]]
    assert spaced.tokenize("the dog") == ["Ġthe", "Ġdog"]
    assert spaced.add_prefix_space is True


@pytest.mark.parametrize("pad_to", [None, 16, "buckets"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_in_a_dataset_before_and_after_batching(
    roberta: ByteLevelBPETokenizer, pad_to: Any, side: Any
) -> None:
    def tokenize(text: Any) -> dict[str, Any]:
        return roberta(text, pad_to=pad_to, pad_side=side)

    labels = np.arange(len(TEXTS))
    data = tf.data.Dataset.from_tensor_slices((TEXTS, labels))
    after = data.batch(2, drop_remainder=True).map(lambda text, label: (tokenize(text), label))
    before = data.map(lambda text, label: (tokenize(text), label))
    length = 16 if pad_to == 16 else None
    for name in ("token_ids", "padding_mask"):
        assert after.element_spec[0][name].shape.as_list() == [2, length]
        assert before.element_spec[0][name].shape.as_list() == [length]
    for start, (packed, _) in zip((0, 2), after, strict=True):
        expected = tokenize(TEXTS[start : start + 2])
        for name, value in packed.items():
            assert value.dtype == tf.int32
            np.testing.assert_array_equal(value, expected[name])
    for text, (packed, _) in zip(TEXTS, before, strict=True):
        expected = tokenize(text)
        for name, value in packed.items():
            np.testing.assert_array_equal(value, expected[name])


def test_pairs_and_words_in_a_dataset(roberta: ByteLevelBPETokenizer) -> None:
    data = tf.data.Dataset.from_tensor_slices((TEXTS, TEXTS[::-1])).batch(4)
    packed = next(iter(data.map(lambda first, second: roberta((first, second)))))
    np.testing.assert_array_equal(packed["token_ids"], roberta((TEXTS, TEXTS[::-1]))["token_ids"])
    words = tf.ragged.constant([["the", "dot"], ["dog"]])
    data = tf.data.Dataset.from_tensor_slices(words).batch(2)
    packed = next(iter(data.map(lambda text: roberta(text, is_split=True))))
    assert packed["word_ids"].numpy().tolist() == [[-1, 0, 1, 1, 1, -1], [-1, 0, -1, -1, -1, -1]]


def test_first_use_inside_a_graph_then_everywhere() -> None:
    fresh = ByteLevelBPETokenizer(GPT2, MERGES)
    data = tf.data.Dataset.from_tensor_slices(TEXTS).batch(4).map(fresh)
    in_data = next(iter(data))["token_ids"].numpy()
    compiled = tf.function(lambda text: fresh(text)["token_ids"], autograph=False)
    np.testing.assert_array_equal(in_data, compiled(tf.constant(TEXTS)))
    np.testing.assert_array_equal(in_data, fresh(TEXTS)["token_ids"])


def test_parallel_map_and_threads() -> None:
    fresh = ByteLevelBPETokenizer(GPT2, MERGES)
    expected = ByteLevelBPETokenizer(GPT2, MERGES)(TEXTS, pad_to=16)["token_ids"]
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


def test_broken_text(gpt2: ByteLevelBPETokenizer) -> None:
    # Bytes that are no UTF-8 are read as Python reads them with errors="replace".
    noise = np.random.default_rng(0).integers(0, 256, (3000, 12), np.uint8)
    broken = [b"a\xff", b"\xe4\xb8a", b"\xf0\x9f\x98", b"\xc0\x80a", b"a\0", b"\0\0", b"a\x00\xc3"]
    broken += [row.tobytes() for row in noise]
    decoded = [text.decode("utf-8", "replace") for text in broken]
    packed = gpt2(tf.constant(broken))
    np.testing.assert_array_equal(packed["token_ids"], gpt2(decoded)["token_ids"])
    lengths = packed["padding_mask"].sum(axis=1)
    rows = [row[:length] for row, length in zip(packed["token_ids"], lengths, strict=True)]
    assert [gpt2.decode(row) for row in rows] == decoded
    data = tf.data.Dataset.from_tensor_slices(broken).batch(len(broken)).map(gpt2)
    np.testing.assert_array_equal(next(iter(data))["token_ids"], packed["token_ids"])
    with pytest.raises(ValueError, match="bytes that are no UTF-8"):
        gpt2([b"\xff"])
    # Halves of surrogate pairs: two that fit are a character.
    assert gpt2.decode(gpt2("\ud83d\ude00 \ude00\ud83d")["token_ids"]) == "\U0001f600 \ufffd\ufffd"


def test_special_tokens_in_a_text_are_text(
    gpt2: ByteLevelBPETokenizer, roberta: ByteLevelBPETokenizer
) -> None:
    text = "<|endoftext|><s></s><pad><mask>"
    for tokenizer, around in ((gpt2, 0), (roberta, 1)):
        row = tokenizer(text)["token_ids"].tolist()
        row = row[around : len(row) - around]
        assert len(row) > 25
        assert not set(row) & tokenizer.special_ids
        assert tokenizer.decode(row, skip_special_tokens=True) == text


def test_decode(gpt2: ByteLevelBPETokenizer, roberta: ByteLevelBPETokenizer) -> None:
    packed = roberta([" the dog", "dog"])
    assert roberta.decode(packed["token_ids"]) == ["<s> the dog</s>", "<s>dog</s><pad>"]
    assert roberta.decode(packed["token_ids"], skip_special_tokens=True) == [" the dog", "dog"]
    assert gpt2.decode(gpt2("x")["token_ids"]) == "x"
    assert gpt2.decode([]) == ""
    assert gpt2.decode(tf.ragged.constant([[THE], [THE, DOG]])) == [" the", " thedog"]
    half = gpt2("é")["token_ids"][:1]
    assert gpt2.decode(half) == "\ufffd"
    assert gpt2.decode(half, errors="ignore") == ""
    with pytest.raises(ValueError, match=r"No token has the id 999. .*ids up to 262"):
        gpt2.decode([999])


def test_ids_and_tokens(gpt2: ByteLevelBPETokenizer, roberta: ByteLevelBPETokenizer) -> None:
    assert gpt2.vocabulary == GPT2
    assert gpt2.merges[0] == ("Ġ", "t")
    assert gpt2.vocabulary_size == len(GPT2)
    assert gpt2.tokenize(" the dot") == ["Ġthe", "Ġ", "do", "t"]
    assert gpt2.token_to_id("Ġthe") == THE
    assert gpt2.id_to_token(THE) == "Ġthe"
    assert gpt2.pad_id == gpt2.start_id == gpt2.end_id == END
    ids = (roberta.start_id, roberta.pad_id, roberta.end_id, roberta.unknown_id, roberta.mask_id)
    assert ids == (0, 1, 2, 3, len(ROBERTA) - 1)
    assert roberta.token_to_id("nothing") == roberta.unknown_id
    assert roberta.special_ids == set(ids)
    with pytest.raises(ValueError, match="no special token for 'mask'"):
        _ = gpt2.mask_id
    with pytest.raises(ValueError, match="no token 'nothing' and no special token for 'unknown'"):
        gpt2.token_to_id("nothing")


def test_families_are_told_by_the_vocabulary() -> None:
    assert ByteLevelBPETokenizer(GPT2, MERGES).special.end == "<|endoftext|>"
    assert ByteLevelBPETokenizer({**ROBERTA, "<|endoftext|>": 900}, MERGES).special.end == "</s>"
    bare = ByteLevelBPETokenizer({token: GPT2[token] for token in TOKENS}, MERGES)
    assert bare.special == SpecialTokens()
    assert bare(["a", ""])["token_ids"].tolist() == [[GPT2["a"]], [0]]
    assert bare.pad_id == 0
    # OPT: its rows begin with what ends texts elsewhere.
    record = SpecialTokens(start="</s>", end="</s>", pad="<pad>", before=("</s>",))
    opt = ByteLevelBPETokenizer(ROBERTA, MERGES, special=record)
    assert opt("dog")["token_ids"].tolist() == [2, DOG + 4]
    config = json.loads(json.dumps(opt.get_config()))
    assert ByteLevelBPETokenizer(ROBERTA, MERGES, **config).special == record
    segments = SpecialTokens(pad="<pad>", between=("</s>",), has_segments=True)
    pair = ByteLevelBPETokenizer(ROBERTA, MERGES, special=segments)((" the", "dog"))
    assert pair["segment_ids"].tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match=r"of 263 tokens has no </s>, <mask>, <pad>, <s>, <unk>"):
        ByteLevelBPETokenizer(GPT2, MERGES, special="roberta")
    with pytest.raises(ValueError, match=r"special must be 'gpt2', 'roberta'.*Received: 'bert'"):
        ByteLevelBPETokenizer(GPT2, MERGES, special="bert")
    with pytest.raises(TypeError, match=r"special must be.*Received: int"):
        ByteLevelBPETokenizer(GPT2, MERGES, special=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"special has no 'padding'. Expected: before, behind"):
        ByteLevelBPETokenizer(GPT2, MERGES, special={"padding": "x"})


def test_tokens_that_the_vocabulary_lacks() -> None:
    ids = {token: index for token, index in ROBERTA.items() if token not in ("Ġdog", "x")}
    known = ByteLevelBPETokenizer(ids, MERGES)
    assert known(" dogx")["token_ids"].tolist() == [0, 3, 3, 2]
    unknown = ByteLevelBPETokenizer(ids, MERGES, special=SpecialTokens())
    assert unknown("dog")["token_ids"].tolist() == [DOG + 4]
    with pytest.raises(ValueError, match="no token 'x', which the merges make of the text 'x'"):
        unknown(["dog", "x"])
    data = tf.data.Dataset.from_tensor_slices(["x"]).map(unknown)
    with pytest.raises(tf.errors.InvalidArgumentError, match="no token 'x'"):
        next(iter(data))


def test_config_and_assets_make_an_equal_tokenizer(tmp_path: Path) -> None:
    first = ByteLevelBPETokenizer(
        {**ROBERTA, "gap": 700}, MERGES, None, True, max_length=9, pad_to="buckets", pad_side="left"
    )
    config = first.get_config()
    assert set(config) == {"special", "add_prefix_space", "max_length", "pad_to", "pad_side"}
    second = ByteLevelBPETokenizer.from_config(json.loads(json.dumps(config)))
    with pytest.raises(ValueError, match=r"no vocabulary yet.*load_assets.*vocab.json and merges"):
        second("a")
    first.save_assets(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merges.txt", "vocab.json"]
    second.load_assets(tmp_path)
    assert second.vocabulary == first.vocabulary
    assert second.merges == first.merges
    assert second.vocabulary_size == 701
    assert second.get_config() == config
    for name, value in second(TEXTS).items():
        np.testing.assert_array_equal(value, first(TEXTS)[name])


def test_assets_replace_a_vocabulary(roberta: ByteLevelBPETokenizer, tmp_path: Path) -> None:
    other = ByteLevelBPETokenizer(GPT2, MERGES)
    assert other("dog")["token_ids"].tolist() == [DOG]
    roberta.save_assets(tmp_path)
    other.load_assets(tmp_path)
    assert other("dog")["token_ids"].tolist() == [0, DOG + 4, 2]


def test_copies_and_pickles(gpt2: ByteLevelBPETokenizer) -> None:
    expected = gpt2(TEXTS)["token_ids"]
    for other in (copy.deepcopy(gpt2), pickle.loads(pickle.dumps(gpt2))):
        np.testing.assert_array_equal(other(TEXTS)["token_ids"], expected)
    assert "of 263 pieces" in repr(gpt2)
    assert "without vocabulary" in repr(ByteLevelBPETokenizer(None))


def test_import_loads_no_backend() -> None:
    code = (
        "import sys; from keras_pretrained.tokenizers import ByteLevelBPETokenizer;"
        "ByteLevelBPETokenizer({'a': 0}, []).get_config();"
        "assert not {'tensorflow', 'tokenizers', 'keras', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_library_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"pip install 'tokenizers>="):
        ByteLevelBPETokenizer(GPT2, MERGES)("a")


def test_graphs_that_cannot_be_saved_are_told() -> None:
    assert ByteLevelBPETokenizer.runs_in_python
    assert not WordPieceTokenizer.runs_in_python
