"""Golden data of SentencePiece: models by its own trainer, ids by the programs of ALBERT's users.

Programs: google/sentencepiece trains two small unigram models. Their ids are made by
`albert.tokenization` of google-research/albert (PyPI: albert-tensorflow; its `import tensorflow` is
answered by an empty module, since these functions use none of it) and by Hugging Face's
`AlbertTokenizer`.
Versions: Python 3.11, sentencepiece 0.2.3, albert-tensorflow 1.1, transformers 5.23.0, tokenizers
0.23.3, protobuf (and, as found when it ran, in `sentencepiece/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_sentencepiece.py

    albert.model   trained with the options of ALBERT: the symbols [CLS], [SEP], [MASK], and
                   brackets, quotes, dashes and currency signs as pieces of their own
    plain.model    the same without these signs. (transformers 5 reads them as special tokens, with
                   a space behind each, which no network was trained with: Google's ids are the
                   only measure for the first model.)
    corpus.json    texts about numbers, quotes and spaces
    goldens.npz    `<model>/<program>/ids` and `lengths`: ids of the corpus of `wordpiece` and of
                   these texts, one behind the other

The models have a few rules for normalisation of their own, for size: those that SentencePiece
brings along make 240 kB.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import tiny_bert
import transformers
from sentencepiece import sentencepiece_model_pb2

FOLDER = tiny_bert.HERE / "sentencepiece"
SYMBOLS = ["(", ")", '"', "-", ".", "–", "£", "€"]
RULES = {"\t": " ", "\u200b": " ", "’": "'", "“": '"', "”": '"', "ß": "ss", "œ": "oe", "\u00ad": ""}
TEXTS = [
    "In 1997, 2001, and 37, of 3,000,000 there were 12,5.",
    "7, 17, 1997,5, 9,,",
    "x7, y17,z1997, ²,",
    "7,",
    ",7",
    "``quoted'' and ''x``, '' `` `",
    "a\u2028b\u2029c\x1cd\x85e  f\u3000g\u00a0 h",
    "\u2581 mark \u2581mark mark\u2581",
    "\u0301x \u0301\u0301 ẍ̣ y\u0338",
    "ﬁne ①② ½ ™ ℃ K Å Ⅻ ｆｕｌｌ",
    '(€5–£6) "q" - . -- (( ))',
    "[CLS] [SEP] [MASK] <pad> <unk>",
    "été ÉTÉ İstanbul ǅ ẞ ß ŒUVRE",
    "한국어 가각 각 日本語 がギ",
    "ﷺ ㍿ ㌀ 🇩🇪 👩‍👩‍👧",
]


def original() -> Any:
    sys.modules["tensorflow"] = types.ModuleType("tensorflow")
    from albert import tokenization

    del sys.modules["tensorflow"]
    return tokenization


def corpus() -> list[str]:
    stored = (tiny_bert.HERE / "wordpiece" / "corpus.json").read_text(encoding="ascii")
    return json.loads(stored) + TEXTS


def train(preprocess: Any, symbols: list[str]) -> bytes:
    sentences = (tiny_bert.HERE / "wordpiece" / "sentences.txt").read_text(encoding="utf-8")
    numbers = [f"in {year}, {year % 100}, {year % 7}," for year in range(1900, 2020)]
    lines = [*sentences.split("\n"), *numbers, *(text for text in TEXTS if "7," in text)]
    texts = [text for text in (preprocess(line, lower=True) for line in lines) if text]
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.tsv"
        spelled = {key: " ".join(f"{ord(c):X}" for c in value) for key, value in RULES.items()}
        rules.write_text(
            "".join(f"{ord(key):X}\t{value}\n" for key, value in spelled.items()), encoding="ascii"
        )
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=content,
            vocab_size=900,
            pad_id=0,
            unk_id=1,
            eos_id=-1,
            bos_id=-1,
            control_symbols=["[CLS]", "[SEP]", "[MASK]"],
            user_defined_symbols=symbols,
            character_coverage=0.98,
            model_type="unigram",
            normalization_rule_tsv=str(rules),
            num_threads=1,
            minloglevel=2,
        )
    model = sentencepiece_model_pb2.ModelProto.FromString(content.getvalue())
    # The path of a file that is gone, and of no meaning to any program.
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    return model.SerializeToString(deterministic=True)


def save(arrays: dict[str, np.ndarray], key: str, rows: list[list[int]]) -> None:
    flat = [index for row in rows for index in row]
    arrays[f"{key}/ids"] = np.array(flat, np.uint16)
    arrays[f"{key}/lengths"] = np.array([len(row) for row in rows], np.uint16)


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    google, texts = original(), corpus()
    (FOLDER / "corpus.json").write_text(json.dumps(TEXTS, indent=0) + "\n", encoding="ascii")
    arrays: dict[str, np.ndarray] = {}
    decoded: dict[str, Any] = {}
    for name, symbols in (("albert", SYMBOLS), ("plain", [])):
        model = train(google.preprocess_text, symbols)
        (FOLDER / f"{name}.model").write_bytes(model)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        prepared = [google.preprocess_text(text, lower=True) for text in texts]
        rows = [google.encode_ids(processor, text) for text in prepared]
        save(arrays, f"{name}/google", rows)
        cased = [google.preprocess_text(text, lower=False) for text in texts]
        save(arrays, f"{name}/google cased", [google.encode_ids(processor, t) for t in cased])
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "spiece.model").write_bytes(model)
            fast = transformers.AlbertTokenizer.from_pretrained(folder)
        save(
            arrays,
            f"{name}/huggingface",
            [fast(text, add_special_tokens=False)["input_ids"] for text in texts],
        )
        pair = fast("the first text", "and 1997, the second")["input_ids"]
        decoded[name] = {
            "ids": pair,
            "with special tokens": fast.decode(pair),
            "without": fast.decode(pair, skip_special_tokens=True),
        }
    np.savez_compressed(FOLDER / "goldens.npz", **arrays)
    tiny_bert.write_note(
        FOLDER,
        "google/sentencepiece; albert.tokenization of google-research/albert (PyPI: "
        "albert-tensorflow), unchanged; transformers.AlbertTokenizer",
        [
            "sentencepiece",
            "albert-tensorflow",
            "transformers",
            "tokenizers",
            "protobuf",
            "numpy",
        ],
        meaning={
            "google": "preprocess_text(text, lower=True), then encode_ids",
            "google cased": "the same with lower=False",
            "huggingface": "AlbertTokenizer(text, add_special_tokens=False)",
        },
        decoded=decoded,
        expected=tiny_bert.describe(arrays),
    )


if __name__ == "__main__":
    main()
