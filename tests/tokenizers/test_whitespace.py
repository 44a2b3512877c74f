"""Words to ids: as Keras' own lookups number them, eagerly and in `tf.data`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_pretrained.tokenizers import WhitespaceTokenizer, whitespace_ops

WORDS = ["the", "dog", "new york", "Ärger", "犬", "🍮"]


def test_ids_and_masks() -> None:
    tokenizer = WhitespaceTokenizer(WORDS)
    assert tokenizer.vocabulary == ["", "[UNK]", *WORDS]
    found = tokenizer(["the\tdog \n the", "", "犬 🍮 Dog dog."])
    assert found["token_ids"].tolist() == [[2, 3, 2, 0], [0] * 4, [6, 7, 1, 1]]
    assert found["padding_mask"].tolist() == [[1, 1, 1, 0], [0] * 4, [1] * 4]
    assert set(found) == {"token_ids", "padding_mask"}
    one = tokenizer("dog the")
    assert one["token_ids"].tolist() == [3, 2]
    split = tokenizer([["new york", "the"], ["dog", ""]], is_split=True)
    assert split["token_ids"].tolist() == [[4, 2], [3, 0]]
    assert split["word_ids"].tolist() == [[0, 1], [0, -1]]
    assert tokenizer(["the"] * 2, max_length=5, pad_to=5)["token_ids"].shape == (2, 5)
    cut = WhitespaceTokenizer(WORDS, max_length=2, pad_side="left")
    assert cut(["the dog the", "dog"])["token_ids"].tolist() == [[2, 3], [0, 3]]
    assert tokenizer.tokenize("the cat 犬") == ["the", "[UNK]", "犬"]
    assert WhitespaceTokenizer([])(["a b"])["token_ids"].tolist() == [[1, 1]]


def test_lookups_keep_their_shape() -> None:
    tokenizer = WhitespaceTokenizer(WORDS)
    words = [["the", ""], ["new york", "york"]]
    assert tokenizer.lookup(words).tolist() == [[2, 0], [4, 1]]
    traced = tf.function(tokenizer.lookup)(tf.constant(words))
    assert traced.numpy().tolist() == [[2, 0], [4, 1]]


def test_small_letters() -> None:
    tokenizer = WhitespaceTokenizer(["the", "ärger"], lowercase=True)
    assert tokenizer(["The ÄRGER"])["token_ids"].tolist() == [[2, 3]]
    assert WhitespaceTokenizer(["the"])(["The"])["token_ids"].tolist() == [[1]]


def test_pipelines() -> None:
    tokenizer = WhitespaceTokenizer(WORDS)
    dataset = tf.data.Dataset.from_tensor_slices(["the dog", "犬"]).batch(2).map(tokenizer)
    (batch,) = dataset
    assert batch["token_ids"].numpy().tolist() == [[2, 3], [6, 0]]


def test_many_words() -> None:
    words = [f"word{number}" for number in range(50_000)]
    tokenizer = WhitespaceTokenizer(words)
    sample = np.random.default_rng(0).permutation(50_000)[:5000]
    ids = tokenizer.lookup([f"word{number}" for number in sample])
    np.testing.assert_array_equal(ids, sample + 2)
    assert (tokenizer.lookup([f"other{number}" for number in range(5000)]) == 1).all()


def test_words_with_one_hash_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whitespace_ops, "_BUCKETS", 3)
    with pytest.raises(ValueError, match="have the same hash"):
        WhitespaceTokenizer(WORDS)(["the"])


def test_the_vocabulary_is_saved_as_it_is(tmp_path: Path) -> None:
    words = [*WORDS, "caf\udce9", " ", "[UNK]", "line\u2028end", "tab\t"]
    tokenizer = WhitespaceTokenizer(["", "[UNK]", *words], lowercase=True, pad_to="buckets")
    tokenizer.save_assets(tmp_path)
    again = WhitespaceTokenizer.from_config(tokenizer.get_config())
    with pytest.raises(ValueError, match="no vocabulary yet"):
        again(["the"])
    again.load_assets(tmp_path)
    assert again.vocabulary == tokenizer.vocabulary
    assert again.get_config() == tokenizer.get_config()
    assert again(["the DOG"])["token_ids"][0, :2].tolist() == [2, 3]
    raw = tf.constant([b"caf\xe9"])
    assert WhitespaceTokenizer(words).lookup(raw).tolist() == [8]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b", "a"], "holds 'a' twice"),
        (["a", ""], r"vocabulary\[1\] is ''"),
        (["a\nb"], "without line feeds"),
        (["[UNK]", "a"], "Leave that entry out"),
        (["a", b"b"], r"vocabulary\[1\] must be a str"),
    ],
)
def test_wrong_vocabularies(words: list[str], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        WhitespaceTokenizer(words)


def test_wrong_ids() -> None:
    tokenizer = WhitespaceTokenizer(WORDS)
    assert tokenizer.id_to_token(3) == "dog"
    assert (tokenizer.token_to_id("dog"), tokenizer.token_to_id("cat")) == (3, 1)
    with pytest.raises(ValueError, match="Token ids are 0 to 7"):
        tokenizer.id_to_token(8)
