"""`CharacterTokenizer`: the ids of AllenNLP's mapper, and the shapes of the contract."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_pretrained.tokenizers import CharacterTokenizer
from keras_pretrained.tokenizers.characters import word_rows
from tests.layers.elmo_reference import character_ids

GOLDEN = Path(__file__).parents[1] / "goldens" / "elmo" / "expected.npz"
WORDS = [["I", "ate", "."], ["Yes"], []]
TEXTS = ["I ate .", "  Yes\n", ""]
MASK = [[1, 1, 1], [1, 0, 0], [0, 0, 0]]


@pytest.mark.parity
def test_the_ids_of_allennlp(parity: Any) -> None:
    stored = np.load(GOLDEN)
    words = [bytes.fromhex(word) for word in stored["words"].tolist()]
    expected = stored["words_character_ids"]
    found = word_rows(tf.constant(words), 50).numpy()
    parity("characters/allennlp").equal("ids", found.tolist(), expected.tolist())
    for word, row in zip(words, expected.tolist(), strict=True):
        assert character_ids(word.decode("utf-8", "surrogatepass")) == row


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_any_word(words: list[str]) -> None:
    found = word_rows(tf.constant([w.encode("utf-8", "surrogatepass") for w in words]), 50)
    assert found.numpy().tolist() == [character_ids(word) for word in words]


@pytest.mark.parametrize(("texts", "is_split"), [(TEXTS, False), (WORDS, True)])
def test_rows(texts: Any, is_split: bool) -> None:
    made = CharacterTokenizer()(texts, is_split=is_split)
    assert {name: (each.dtype, each.shape) for name, each in made.items()} == {
        "character_ids": (np.int32, (3, 3, 50)),
        "padding_mask": (np.int32, (3, 3)),
    }
    assert made["padding_mask"].tolist() == MASK
    assert (made["character_ids"][np.array(MASK) == 0] == 0).all()
    assert made["character_ids"][0, 1].tolist() == character_ids("ate")
    tokenizer = CharacterTokenizer()
    assert tokenizer.decode(made["character_ids"]) == [
        [*row, *[""] * (3 - len(row))] for row in WORDS
    ]
    assert tokenizer.decode([character_ids("<S>"), character_ids("</S>")]) == ["<S>", "</S>"]
    assert tokenizer.tokenize(" I  ate\t. ") == WORDS[0]


def test_one_text_and_lengths() -> None:
    tokenizer = CharacterTokenizer(max_characters=10)
    one = tokenizer("a bc")
    assert one["character_ids"].shape == (2, 10)
    assert one["padding_mask"].tolist() == [1, 1]
    assert tokenizer(["one two three"], max_length=2)["character_ids"].shape == (1, 2, 10)
    assert CharacterTokenizer(max_length=2)(TEXTS)["padding_mask"].shape == (3, 2)
    assert tokenizer(TEXTS, pad_to=5)["padding_mask"].shape == (3, 5)
    assert tokenizer(TEXTS, pad_to=2)["padding_mask"].tolist() == [[1, 1], [1, 0], [0, 0]]
    assert tokenizer(TEXTS, pad_to="buckets")["padding_mask"].shape == (3, 32)
    assert tokenizer(["x " * 33], pad_to="buckets")["padding_mask"].shape == (1, 64)
    assert tokenizer([""])["padding_mask"].shape == (1, 1)


def test_words_in_rows() -> None:
    words = tf.constant([["a", "", "b"], ["c", "x", "y"]])
    tokenizer = CharacterTokenizer()
    assert tokenizer.from_words(words)["padding_mask"].tolist() == [[1, 0, 1], [1, 1, 1]]
    made = tokenizer.from_words(words, tf.constant([2, 1]))
    assert made["padding_mask"].tolist() == [[1, 1, 0], [1, 0, 0]]
    assert made["character_ids"][0, 1].tolist() == character_ids("")
    assert not made["character_ids"][1, 1:].any()


def test_tf_data() -> None:
    tokenizer = CharacterTokenizer()
    before = tf.data.Dataset.from_tensor_slices(TEXTS).batch(2, drop_remainder=True).map(tokenizer)
    assert before.element_spec["character_ids"].shape == (2, None, 50)
    after = tf.data.Dataset.from_tensor_slices(TEXTS).map(lambda x: tokenizer(x, pad_to=4)).batch(3)
    assert after.element_spec["character_ids"].shape == (None, 4, 50)
    expected = tokenizer(TEXTS, pad_to=4)
    for name, values in next(iter(after)).items():
        np.testing.assert_array_equal(values, expected[name])


def test_options_and_errors() -> None:
    tokenizer = CharacterTokenizer(max_characters=20, max_length=7, pad_to="buckets")
    copies = (
        CharacterTokenizer.from_config(tokenizer.get_config()),
        pickle.loads(pickle.dumps(tokenizer)),
    )
    for copy in copies:
        assert copy.get_config() == tokenizer.get_config()
        np.testing.assert_array_equal(copy(TEXTS)["padding_mask"], tokenizer(TEXTS)["padding_mask"])
    with pytest.raises(TypeError, match="single texts, not pairs"):
        tokenizer((TEXTS, TEXTS))
    with pytest.raises(TypeError, match=r"texts\[1\] must be a str"):
        tokenizer(["a", 3])
    with pytest.raises(ValueError, match="filled up on the right"):
        tokenizer(TEXTS, pad_side="left")
    with pytest.raises(ValueError, match="from 4 on"):
        CharacterTokenizer(max_characters=3)
    with pytest.raises(TypeError, match="has no vocabulary"):
        CharacterTokenizer(["a"])  # type: ignore[arg-type]
