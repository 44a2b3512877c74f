"""Makes the golden data of the byte-level BPE tests with the reference programs.

Commands, from the root of the repository, in this order:

    python tests/goldens/make_byte_level_bpe.py texts FOLDER    # corpus.json, toy vocabulary
    python tests/goldens/make_byte_level_bpe.py goldens FOLDER  # what the references answer

FOLDER holds OpenAI's published `encoder.json` and `vocab.bpe`; what is kept of them is hashes of
ids. `texts` needs tokenizers 0.22.2. `goldens` needs gpt-2-simple 0.8.1 (OpenAI's `encoder.py`,
unchanged; install it with --no-deps), regex 2026.11.15, tiktoken 0.14.0 and transformers 4.57.6,
whose RobertaTokenizer and GPT2Tokenizer are the last ones written in Python.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
FOLDER = HERE / "byte_level_bpe"
sys.path.insert(0, str(HERE.parent / "tokenizers"))

from byte_level_goldens import (  # noqa: E402
    digest,
    long_texts,
    random_texts,
    written_texts,
)

MERGES = 600
END_OF_TEXT = "<|endoftext|>"
TEXTS = [
    "a",
    "  ",
    "   a",
    "a   ",
    "\n",
    "\n\n\n",
    "a\nb\n\nc\n\n\nd",
    "a\r\nb\r\n\r\nc",
    "a \n b\t\n\tc \r\n ",
    "\ta\t\tb\t\t\t c",
    "   indented\n      more\n\n\tand tabs",
    "trailing spaces    \nnext   ",
    "\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000",
    "a\xa0b \xa0c\xa0 d \u3000e\u3000\u3000f \u2028g\x85h",
    "\u200b\u200c\u200d\u2060\ufeff a\u200bb \ufeffc",
    "\0",
    "a\0b\0\0c \0 d",
    "\x01\x02\x03\x7f\x80\x9f",
    "it's I'm you're we've they'll he'd don't",
    "IT'S I'M YOU'RE WE'VE THEY'LL HE'D DON'T",
    "It'S 'tis 'Twas rock'n'roll 's 't 're 've 'm 'll 'd",
    "it\u2019s \u2018quoted\u2019 it`s it\u00b4s it\u02bcs",
    "'''s ''s 's's's '' ' s",
    "'l 'v 'r 'lll 'ree 'ves 'st",
    "1 12 123 1234 12345 1234567890 0.5 .5 5. 1,000,000 1e-9",
    "a1 1a a1a 1a1 \u0661\u0662\u0663 \u0967\u0968 \u00b2\u00b3 \u00bd \u2160\u2161 \u2460 \u3007",
    "12:30 2024-03-15 +49 (0)30 90-18 50% #1 $2.50",
    "!?!? ... --- *** === !!! ???!!! ,;:",
    "a!b?c.d,e;f:g -h- _i_ (j) [k] {l} <m> /n/ \\o\\",
    'def f(x: int) -> str:\n    return f"{x!r}"  # don\'t\n',
    "for (int i = 0; i < n; ++i) { a[i] += b[i]; }\r\n",
    '<html>\n\t<p class="a">&amp;</p>\n</html>',
    "https://example.org/a_b?c=d&e=f#g user@example.org",
    "e\u0301 e\u0301e\u0301 \u0301 \u0301a a\u0301\u0302\u0303 \u00e9 \ufb01 \u01c6",
    "\u0915\u094d\u0937 \u0939\u093f\u0928\u094d\u0926\u0940 \u0e01\u0e33 \u0ba8\u0bbf",
    "\u1112\u1161\u11ab \ud55c \u1100\u1161 \uac00",
    "\u4e2d\u6587\u548cEnglish\u6df7\u5408123 \uff21\uff22\uff11\uff12\u3002",
    "\u0639\u0631\u0628\u0649 \u05e2\u05d1\u05e8\u05d9\u05ea \u200fmixed\u200e",
    "\U0001f600\U0001f600 \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f3f3\ufe0f\u200d\U0001f308",
    "\u2764\ufe0f \u2764 1\ufe0f\u20e3 #\ufe0f\u20e3 \U0001f3f4\U000e0067\U000e0062\U000e007f",
    "\ue000\uf8ff \U000f0000 \U0010fffd \ufffe \uffff \ufffd\ufffd",
    "\U00020000\U0002a6d6 \U0001d400\U0001d7ff \U00010348",
    "\u00df\u1e9e \u0130\u0131 \u03a3\u03c3\u03c2 \u01c5 \u0149 \u00aa\u00ba \u2c7c \u02b0",
    "\u0378 a\u0378b \U000e0080 \U0003fffd",
    "Hello world! H\u00e9llo w\u00f6rld. Hello  world",
    f"{END_OF_TEXT} a{END_OF_TEXT}b <s> </s> <pad> <unk> <mask> madeupword0000",
    "\u0120the \u0120 \u010a \u0100\u0143 \u00ad soft\u00adhyphen",
    "the the the thethethe The THE  the",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "abababababababababababab aabbaabbaabb inininin ininin",
]
SURROGATES = ["\ud800", "a\udfffb", "\ud83d\ude00", "\ude00\ud83d", "x\ud83d\ud83d\ude00\udc00 y"]
TRAINING = """
The tokenizer reads bytes, so that nothing is unknown to it. It splits the text into words, each
with the space before it, and then merges the pairs of bytes that it met most often in training.
There was nothing in there that they didn't know, and everything that we'd like to have is there.
In the beginning the words are long; in the end the numbers of the tokens are what is left.
"""


def make_texts() -> None:
    from tokenizers.implementations import ByteLevelBPETokenizer

    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(TEXTS, ensure_ascii=True, indent=0) + "\n"
    (FOLDER / "corpus.json").write_text(text, encoding="ascii")
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        [*written_texts(), *TRAINING.splitlines() * 3],
        vocab_size=256 + MERGES,
        min_frequency=2,
        show_progress=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        trained.save_model(folder)
        merges = (Path(folder) / "merges.txt").read_text(encoding="utf-8").split("\n")[1:-1]
    if len(merges) != MERGES:
        raise SystemExit(f"{len(merges)} merges")
    # In OpenAI's order: the bytes that print, the other bytes, the merges, the end of text.
    tokens = [*openai_module().bytes_to_unicode().values()]
    tokens += [merge.replace(" ", "") for merge in merges] + [END_OF_TEXT]
    ids = {token: index for index, token in enumerate(tokens)}
    (FOLDER / "encoder.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *merges, ""]
    (FOLDER / "vocab.bpe").write_text("\n".join(lines), encoding="utf-8")
    order = list(range(len(tokens)))
    random.Random(4).shuffle(order)
    words = [f"{index} {len(order) - place}" for place, index in enumerate(order)]
    words += [f"madeupword{index:04d} 0" for index in range(3)]
    (FOLDER / "dict.txt").write_text("".join(f"{word}\n" for word in words), encoding="ascii")


def openai_module() -> Any:
    """The package's own start would import TensorFlow 1."""
    package = importlib.util.find_spec("gpt_2_simple")
    if package is None or package.origin is None:
        raise SystemExit("pip install --no-deps gpt-2-simple==0.8.1")
    path = Path(package.origin).parent / "src" / "encoder.py"
    spec = importlib.util.spec_from_file_location("openai_encoder", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"no {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tiktoken_encoding(folder: Path) -> Any:
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks
    from tiktoken_ext.openai_public import r50k_pat_str

    ranks = data_gym_to_mergeable_bpe_ranks(str(folder / "vocab.bpe"), str(folder / "encoder.json"))
    special = {END_OF_TEXT: len(ranks)}
    return tiktoken.Encoding(
        "local", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens=special
    )


def ragged(rows: list[list[int]]) -> dict[str, np.ndarray]:
    lengths = np.array([len(row) for row in rows], np.uint16)
    return {"ids": np.array([i for row in rows for i in row], np.uint16), "lengths": lengths}


def roberta_files(folder: Path) -> tuple[str, str]:
    """vocab.json as Hugging Face made it of fairseq's dictionary: four tokens, dict.txt, mask."""
    tokens = {
        index: token
        for token, index in json.loads((FOLDER / "encoder.json").read_text("utf-8")).items()
    }
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    for line in (FOLDER / "dict.txt").read_text("ascii").splitlines():
        word = line.split()[0]
        names.append(tokens[int(word)] if word.isdigit() else word)
    ids = {name: index for index, name in enumerate([*names, "<mask>"])}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "merges.txt").write_bytes((FOLDER / "vocab.bpe").read_bytes())
    return str(folder / "vocab.json"), str(folder / "merges.txt")


def make_goldens(published: Path) -> None:
    from transformers import GPT2Tokenizer, RobertaTokenizer, RobertaTokenizerFast

    texts = written_texts()
    original, later = openai_module().get_encoder(str(FOLDER)), tiktoken_encoding(FOLDER)
    stored: dict[str, list[list[int]]] = {}
    stored["openai"] = [original.encode(text) for text in texts]
    # encode_ordinary reads "<|endoftext|>" as text, as OpenAI's first program did.
    if stored["openai"] != [later.encode_ordinary(text) for text in texts]:
        raise SystemExit("OpenAI's programs differ on the corpus")
    stored["tiktoken on surrogates"] = [later.encode_ordinary(text) for text in SURROGATES]
    chance = random.Random(5)
    some = [stored["openai"][number] for number in range(0, len(texts), 20)]
    cut = [row[: chance.randint(0, len(row))] for row in some]
    cut += [[chance.randrange(256 + MERGES) for _ in range(8)] for _ in range(30)]
    stored["cut"] = cut

    # Python's RobertaTokenizer reads special tokens in texts.
    numbers = [i for i in range(0, len(texts), 9) if not {"<", "["} & set(texts[i])]
    plain = [texts[i] for i in numbers]
    with tempfile.TemporaryDirectory() as folder:
        files = roberta_files(Path(folder))
        roberta = RobertaTokenizer(*files)
        fast = RobertaTokenizerFast(*files, add_prefix_space=True)
        stored["roberta"] = [roberta(text)["input_ids"] for text in plain]
        stored["roberta pairs"] = [
            roberta(first, second)["input_ids"]
            for first, second in zip(plain, plain[::-1], strict=True)
        ]
        stored["roberta with a space before"] = [fast(text)["input_ids"] for text in plain]
        words = [text.split(" ") for text in plain]
        split = [fast(row, is_split_into_words=True) for row in words]
        stored["roberta words"] = [row["input_ids"] for row in split]
        stored["word of each"] = [
            [0 if i is None else i + 1 for i in row.word_ids()] for row in split
        ]
    gpt2 = GPT2Tokenizer(str(FOLDER / "encoder.json"), str(FOLDER / "vocab.bpe"))
    gpt2.pad_token, gpt2.padding_side = gpt2.eos_token, "left"
    padded = gpt2(plain[:8], padding=True, truncation=True, max_length=24)
    stored["gpt2 on the left"] = padded["input_ids"]
    stored["gpt2 mask on the left"] = padded["attention_mask"]

    facts: dict[str, Any] = {
        "command": "python tests/goldens/make_byte_level_bpe.py goldens FOLDER",
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("gpt-2-simple", "regex", "tiktoken", "transformers", "tokenizers")
        },
        "plain": numbers,
        "surrogates": SURROGATES,
        "decoded": [original.decode(row) for row in cut],
        "published": published_facts(published),
    }
    arrays = {
        f"{key}/{name}": value
        for key, rows in stored.items()
        for name, value in ragged(rows).items()
    }
    np.savez_compressed(FOLDER / "goldens.npz", **arrays)
    text = json.dumps(facts, ensure_ascii=True, indent=1) + "\n"
    (FOLDER / "golden.json").write_text(text, encoding="ascii")
    print(f"{len(texts)} texts, {sum(map(len, stored['openai']))} ids")


def published_facts(folder: Path) -> dict[str, Any]:
    """Hashes of the ids that OpenAI's program makes with the published vocabulary."""
    original, later = openai_module().get_encoder(str(folder)), tiktoken_encoding(folder)
    found: dict[str, Any] = {"Hello world": original.encode("Hello world")}
    rows = [original.encode(text) for text in random_texts()]
    if rows != [later.encode_ordinary(text) for text in random_texts()]:
        raise SystemExit("OpenAI's programs differ on the random texts")
    found["random"] = digest(rows)
    found["written"] = digest([original.encode(text) for text in written_texts()])
    # A word of 100,000 letters takes OpenAI's first program hours.
    found["long"] = digest([later.encode_ordinary(text) for text in long_texts()])
    return found


if __name__ == "__main__":
    make_texts() if sys.argv[1] == "texts" else make_goldens(Path(sys.argv[2]))
