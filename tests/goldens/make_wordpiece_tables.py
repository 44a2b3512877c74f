"""Writes `keras_pretrained/tokenizers/unicode_tables.py` by asking the libraries themselves.

The normaliser must treat every code point as the Hugging Face `BertNormalizer` and
`BertPreTokenizer` do, and these follow fixed Unicode versions of their own. So each code point
is put to them one by one, and the answers are written down as ranges.

Command, from the root of the repository, with tensorflow-text 2.21 and tokenizers 0.23.3
installed together:

    python tests/goldens/make_wordpiece_tables.py
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import tensorflow as tf
import tensorflow_text as tf_text
import tokenizers
from tokenizers import normalizers, pre_tokenizers

TARGET = Path(__file__).parents[2] / "keras_pretrained" / "tokenizers" / "unicode_tables.py"
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ranges(code_points: Iterable[int]) -> str:
    merged: list[list[int]] = []
    for code_point in sorted(code_points):
        if merged and merged[-1][1] == code_point - 1:
            merged[-1][1] = code_point
        else:
            merged.append([code_point, code_point])
    return " ".join(f"{a:X}-{b:X}" if b > a else f"{a:X}" for a, b in merged)


def bert(**options: bool) -> Callable[[str], str]:
    defaults = {"clean_text": False, "handle_chinese_chars": False}
    defaults |= {"strip_accents": False, "lowercase": False}
    return normalizers.BertNormalizer(**(defaults | options)).normalize_str


def ask() -> dict[str, str]:
    clean, strip = bert(clean_text=True), bert(strip_accents=True)
    lower, chinese = bert(lowercase=True), bert(handle_chinese_chars=True)
    decompose = normalizers.NFD().normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    punctuation = {c for c in CODE_POINTS if len(split(f"a{chr(c)}b")) == 3}
    if any(chr(c).lower() != lower(chr(c)) != chr(c) and c < 0x1C89 for c in CODE_POINTS):
        raise SystemExit("an old letter lower-cases differently in Python and in Rust")
    pieces = tf_text.FastWordpieceTokenizer(
        ["[UNK]", "a", "b", "##b"], token_out_type=tf.int32, max_bytes_per_word=400
    )
    answers = pieces.tokenize(tf.constant([f"a{chr(c)}b".encode() for c in CODE_POINTS]))
    split_by_tensorflow = {
        c for c, row in zip(CODE_POINTS, answers.to_list(), strict=True) if row != [0]
    }
    ideographs = {c for c in CODE_POINTS if chinese(chr(c)) != chr(c)}
    spaces = {c for c in CODE_POINTS if clean(chr(c)) == " "}
    dropped = {c for c in CODE_POINTS if clean(chr(c)) == ""}
    ordinary = {ord("b")}
    return {
        "DROPPED": ranges(dropped),
        "SPACES": ranges(spaces),
        "PUNCTUATION": ranges(punctuation),
        "CHINESE": ranges(ideographs),
        "SPLIT_BY_TENSORFLOW_ONLY": ranges(
            split_by_tensorflow - punctuation - spaces - dropped - ideographs - ordinary
        ),
        "MARKS": ranges(c for c in CODE_POINTS if strip(chr(c)) == ""),
        "DECOMPOSED_BEYOND_BMP": ranges(
            c for c in CODE_POINTS if c > 0xFFFF and decompose(chr(c)) != chr(c)
        ),
        "LATER_CAPITALS": " ".join(
            f"{c:X}:{ord(lower(chr(c))):X}" for c in CODE_POINTS if lower(chr(c)) != chr(c).lower()
        ),
    }


def wrapped(text: str, width: int = 92) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] += word + " "
    return lines


EXPLAINED = {
    "DROPPED": "Removed from a text: NUL, U+FFFD, control, format and private-use characters.",
    "SPACES": "Read as a space.",
    "PUNCTUATION": "A word of its own: ASCII symbols and category P of Unicode 8.",
    "CHINESE": "A word of its own when Chinese characters are split.",
    "SPLIT_BY_TENSORFLOW_ONLY": "Punctuation since Unicode 9, and U+2B820-2B91F (missing above).",
    "MARKS": "Category Mn of Unicode 8: removed with the accents.",
    "DECOMPOSED_BEYOND_BMP": "Beyond U+FFFF only these have a canonical decomposition.",
    "LATER_CAPITALS": "Capital:small letter pairs that are younger than Unicode 14 (Python 3.11).",
}


def main() -> None:
    lines = [
        '"""Which code points BERT tokenization drops, splits at, strips or lower-cases.',
        "",
        "Written by tests/goldens/make_wordpiece_tables.py from the answers of Hugging Face",
        f"tokenizers {tokenizers.__version__} and tensorflow_text {tf_text.__version__} for every "
        "code point; do not edit.",
        "They are fixed here because Python's `unicodedata` changes with the Python version.",
        '"""',
        "",
    ]
    for name, text in ask().items():
        lines += [f"# {EXPLAINED[name]}", f"{name} = ("]
        lines += [f'    "{line}"' for line in wrapped(text)]
        lines += [")", ""]
    TARGET.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(f"wrote {TARGET.name} with Python's Unicode {unicodedata.unidata_version}")


if __name__ == "__main__":
    main()
