"""Byte-level BPE ids against OpenAI's, Hugging Face's and fairseq's programs."""

from __future__ import annotations

import json
import random
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from byte_level_goldens import (
    FOLDER,
    PUBLISHED,
    digest,
    facts,
    long_texts,
    random_texts,
    rows,
    written_texts,
)

from keras_pretrained.tokenizers import ByteLevelBPETokenizer
from tests.parity.recording import Record

END_OF_TEXT = "<|endoftext|>"


@pytest.fixture(scope="module")
def gpt2() -> ByteLevelBPETokenizer:
    return ByteLevelBPETokenizer.from_files(FOLDER / "encoder.json", FOLDER / "vocab.bpe")


@pytest.fixture(scope="module")
def roberta() -> ByteLevelBPETokenizer:
    return ByteLevelBPETokenizer.from_folder(FOLDER)


@pytest.fixture(scope="module")
def published() -> ByteLevelBPETokenizer:
    if not (PUBLISHED / "encoder.json").is_file():
        pytest.skip("absent: OpenAI's published encoder.json and vocab.bpe")
    return ByteLevelBPETokenizer.from_files(PUBLISHED / "encoder.json", PUBLISHED / "vocab.bpe")


def ids_of(tokenizer: ByteLevelBPETokenizer, texts: Any, **options: Any) -> list[list[int]]:
    return unpadded(tokenizer(texts, max_length=10**6, **options))


def unpadded(packed: dict[str, np.ndarray], name: str = "token_ids") -> list[list[int]]:
    mask = packed["padding_mask"].astype(bool)
    return [row[real].tolist() for row, real in zip(packed[name], mask, strict=True)]


def plain_texts() -> list[str]:
    return [written_texts()[number] for number in facts()["plain"]]


@pytest.mark.parity
def test_ids_equal_openai_on_the_whole_corpus(gpt2: ByteLevelBPETokenizer, parity: Record) -> None:
    measured = parity("byte-level-bpe/gpt2/openai")
    measured.equal("token ids", ids_of(gpt2, written_texts()), rows("openai"))


@pytest.mark.parity
def test_ids_in_a_dataset_equal_openai(gpt2: ByteLevelBPETokenizer) -> None:
    data = tf.data.Dataset.from_tensor_slices(written_texts()).batch(64)
    received = []
    for packed in data.map(lambda text: gpt2(text, max_length=10**6)):
        received += unpadded({name: value.numpy() for name, value in packed.items()})
    assert received == rows("openai")


@pytest.mark.parity
def test_halves_of_surrogate_pairs_equal_tiktoken(gpt2: ByteLevelBPETokenizer) -> None:
    assert ids_of(gpt2, facts()["surrogates"]) == rows("tiktoken on surrogates")


@pytest.mark.parity
def test_decoding_of_cut_and_random_rows_equals_openai(gpt2: ByteLevelBPETokenizer) -> None:
    assert gpt2.decode(rows("cut")) == facts()["decoded"]
    assert any("\ufffd" in text for text in facts()["decoded"])


def test_decoding_gives_every_text_back(
    gpt2: ByteLevelBPETokenizer, roberta: ByteLevelBPETokenizer
) -> None:
    texts = [*written_texts(), *random_texts()]
    for tokenizer in (gpt2, roberta):
        assert tokenizer.decode(ids_of(tokenizer, texts), skip_special_tokens=True) == texts


@pytest.mark.parity
def test_fairseq_dictionary_gives_the_ids_of_roberta(
    roberta: ByteLevelBPETokenizer, parity: Record
) -> None:
    assert roberta.vocabulary_size == 256 + 600 + 1 + 4 + 3 + 1
    assert roberta.mask_id == roberta.vocabulary_size - 1
    measured = parity("byte-level-bpe/roberta/huggingface")
    measured.equal("token ids", ids_of(roberta, plain_texts()), rows("roberta"))
    pairs = (plain_texts(), plain_texts()[::-1])
    assert ids_of(roberta, pairs) == rows("roberta pairs")


@pytest.mark.parity
def test_a_space_before_texts_and_words_equals_hugging_face(
    roberta: ByteLevelBPETokenizer,
) -> None:
    spaced = ByteLevelBPETokenizer.from_folder(FOLDER, add_prefix_space=True)
    assert ids_of(spaced, plain_texts()) == rows("roberta with a space before")
    words = [text.split(" ") for text in plain_texts()]
    for tokenizer in (roberta, spaced):
        packed = tokenizer(words, is_split=True, max_length=10**6)
        assert unpadded(packed) == rows("roberta words")
        expected = [[word - 1 for word in row] for row in rows("word of each")]
        assert unpadded(packed, "word_ids") == expected


@pytest.mark.parity
def test_padding_on_the_left_equals_hugging_face(gpt2: ByteLevelBPETokenizer) -> None:
    packed = gpt2(plain_texts()[:8], max_length=24, pad_side="left")
    assert packed["token_ids"].tolist() == rows("gpt2 on the left")
    assert packed["padding_mask"].tolist() == rows("gpt2 mask on the left")


@pytest.mark.parity
def test_published_vocabulary_gives_the_ids_of_openai(published: ByteLevelBPETokenizer) -> None:
    expected = facts()["published"]
    assert published("Hello world")["token_ids"].tolist() == expected["Hello world"]
    assert published.decode([464, 3290]) == "The dog"
    assert published.end_id == 50256
    assert published.vocabulary_size == 50257
    assert digest(ids_of(published, written_texts())) == expected["written"]
    assert digest(ids_of(published, random_texts())) == expected["random"]


@pytest.mark.parity
def test_words_of_100_000_characters_take_no_time(published: ByteLevelBPETokenizer) -> None:
    # OpenAI's first program takes hours; ours a tenth of a second a text.
    received = [ids_of(published, [text])[0] for text in long_texts()]
    assert digest(received) == facts()["published"]["long"]
    assert published.decode(received) == long_texts()


def tiktoken_encoding() -> Any:
    tiktoken = pytest.importorskip("tiktoken")
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks
    from tiktoken_ext.openai_public import r50k_pat_str

    files = [str(PUBLISHED / name) for name in ("vocab.bpe", "encoder.json")]
    return tiktoken.Encoding(
        "local",
        pat_str=r50k_pat_str,
        mergeable_ranks=data_gym_to_mergeable_bpe_ranks(*files),
        special_tokens={END_OF_TEXT: 50256},
    )


def library_sources() -> list[str]:
    library = Path(sysconfig.get_path("stdlib"))
    paths = [path for path in sorted(library.rglob("*.py")) if "site-packages" not in path.parts]
    return [path.read_bytes().decode("utf-8", "replace") for path in paths]


def unequal(published: ByteLevelBPETokenizer, texts: list[str]) -> list[str]:
    reference = tiktoken_encoding()
    different = []
    for start in range(0, len(texts), 500):
        part = texts[start : start + 500]
        theirs = reference.encode_ordinary_batch(part, num_threads=1)
        pairs = zip(part, ids_of(published, part), theirs, strict=True)
        different += [text for text, ours, row in pairs if ours != row]
    return different


@pytest.mark.parity
def test_some_library_sources_equal_tiktoken(published: ByteLevelBPETokenizer) -> None:
    sources = library_sources()
    assert len(sources) > 1000
    assert unequal(published, sources[::10]) == []


@pytest.mark.parity
@pytest.mark.exhaustive
def test_all_library_sources_equal_tiktoken(published: ByteLevelBPETokenizer) -> None:
    sources = library_sources()
    assert unequal(published, sources) == []
    data = tf.data.Dataset.from_tensor_slices(sources).batch(16)
    for packed in data.map(lambda text: published(text, max_length=10**6)):
        decoded = published.decode(unpadded({k: v.numpy() for k, v in packed.items()}))
        assert decoded == sources[: len(decoded)]
        del sources[: len(decoded)]


@pytest.mark.parity
@pytest.mark.exhaustive
def test_every_code_point_equals_tiktoken(published: ByteLevelBPETokenizer) -> None:
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for pattern in ("a{0} {0}1", "\n{0}{0}'s"):
        assert unequal(published, [pattern.format(c) for c in points]) == []


@pytest.mark.parity
@pytest.mark.exhaustive
def test_random_strings_of_all_code_points_equal_tiktoken(
    published: ByteLevelBPETokenizer,
) -> None:
    chance = random.Random(1)
    texts = [
        "".join(chr(chance.randrange(0x110000)) for _ in range(chance.randint(1, 30)))
        for _ in range(50_000)
    ]
    # Halves of surrogate pairs among them: tiktoken repairs a whole text in the same way.
    assert unequal(published, texts) == []


def test_goldens_name_their_programs() -> None:
    versions = facts()["versions"]
    assert {"gpt-2-simple", "regex", "tiktoken", "transformers"} <= versions.keys()
    ids = json.loads((FOLDER / "encoder.json").read_text(encoding="utf-8"))
    assert len(ids) == 256 + 600 + 1
