"""The code point table and its compiled form."""

from __future__ import annotations

import random
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text

from keras_pretrained.tokenizers import unicode_tables
from keras_pretrained.tokenizers.bert_normalizer import BertNormalizer, code_points
from keras_pretrained.tokenizers.code_point_trie import compile_normalizer


def replaced(model: bytes, texts: list[bytes]) -> list[bytes]:
    buffer = tf.constant(np.frombuffer(model, np.uint8))
    normalizer = tf_text.FastBertNormalizer(model_buffer=buffer)
    return normalizer.normalize(texts).numpy().tolist()


def test_compiled_table_replaces_every_code_point_as_the_table_says() -> None:
    for options in ((True, True, True), (False, False, False)):
        table = BertNormalizer(*options).table()
        points = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
        received = replaced(compile_normalizer(table), [f"<{chr(c)}".encode() for c in points])
        before = table.get(ord("<"), "<")
        expected = [(before + table.get(c, chr(c))).encode() for c in points]
        assert received == expected


def test_compiled_table_of_random_replacements() -> None:
    chance = random.Random(5)
    points = [*chance.sample([*range(55296), *range(57344, 1114112)], 4000), 0]
    table = {c: chr(chance.randrange(0x20, 0x7F)) * chance.randrange(4) for c in points}
    text = "".join(chr(chance.choice([*points, 0x61, 0x4E2D, 0x1F600])) for _ in range(20_000))
    expected = "".join(table.get(ord(character), character) for character in text)
    assert replaced(compile_normalizer(table), [text.encode()]) == [expected.encode()]


def test_invalid_utf8_is_dropped() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (5000, 16), np.uint8)
    texts = [row.tobytes() for row in noise]
    model = compile_normalizer({0xFFFD: "", 0: ""})
    expected = [
        text.decode("utf-8", "replace").replace("\ufffd", "").replace("\0", "").encode()
        for text in texts
    ]
    assert replaced(model, texts) == expected


def test_a_replacement_that_is_too_long() -> None:
    compile_normalizer({0x61: "x" * 63})
    with pytest.raises(ValueError, match=r"U\+0061 has 64 bytes, expected at most 63"):
        compile_normalizer({0x61: "x" * 64})


def test_options() -> None:
    def through(text: str, *options: bool) -> str:
        table = BertNormalizer(*options).table()
        return "".join(table.get(ord(character), character) for character in text)

    assert through("É\u0130Σ한", True, True, True) == "eiσ\u1112\u1161\u11ab"
    assert through("É\u0130", True, False, True) == "éi\u0307"
    assert through("É\u0130", False, True, True) == "EI"
    assert through("É a\u00a0b\t\0\u200b\ufffd\ue000", False, False, True) == "É a b "
    assert through("a-b$c\u3002", False, False, True) == "a - b $ c \u3002 "
    hidden = through("中\u2e43", False, False, False)
    assert len(hidden) == 2
    assert all(unicodedata.category(c) == "Co" for c in hidden)


def test_tables_agree_with_the_unicode_database() -> None:
    punctuation = code_points(unicode_tables.PUNCTUATION)
    assert {ord(c) for c in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"} <= punctuation
    exceptions = {0x166D, 0x111C9}
    beyond_ascii = [c for c in punctuation - exceptions if c > 0x7F]
    assert all(unicodedata.category(chr(c)).startswith("P") for c in beyond_ascii)
    marks = code_points(unicode_tables.MARKS) - {0x1734}
    assert all(unicodedata.category(chr(c)) == "Mn" for c in marks)
    spaces = code_points(unicode_tables.SPACES)
    assert all(chr(c).isspace() for c in spaces)
    assert not spaces & code_points(unicode_tables.DROPPED)
