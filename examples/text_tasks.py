"""Texts with labels for `recipes.py`: what kind of question, what kind of review, which package.

Li and Roth's questions ("Learning Question Classifiers", 2002) and Pang and Lee's sentences from
film reviews ("Seeing Stars", 2005) are read from a folder that holds the files of their authors;
docstrings are on every machine.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from docstrings import read_docstrings

SEED = 1
POLARITY_TEST = 1000
VALIDATION = 300

Examples = list[tuple[str, str]]


@dataclass(frozen=True)
class Part:
    """Texts, and the index of each one's class."""

    texts: list[str]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def sample(self, count: int, seed: int) -> Part:
        """So many of them, drawn at random."""
        rows = np.random.default_rng(seed).permutation(len(self))[:count]
        return Part([self.texts[row] for row in rows], self.labels[rows])


@dataclass(frozen=True)
class Task:
    """One data set. Choices are made on `validation`; `test` is for the result alone.

    Attributes:
        classes: their names.
        length: tokens to which a text is cut.
    """

    name: str
    classes: list[str]
    train: Part
    validation: Part
    test: Part
    length: int


def read_polarity(folder: Path) -> Task:
    """Sentences from film reviews, a thousand for the test: `rt-polarity.pos` and `.neg`."""
    examples = [
        (line, kind)
        for kind, name in (("negative", "rt-polarity.neg"), ("positive", "rt-polarity.pos"))
        for line in lines(folder / name, "cp1252")
    ]
    examples = list(dict(examples).items())
    random.Random(SEED).shuffle(examples)
    tested = min(POLARITY_TEST, len(examples) // 5)
    return make_task("polarity", examples[tested:], examples[:tested], length=32)


def read_questions(folder: Path) -> Task:
    """Questions and their coarse classes: `TREC.train` or `train_5500.label`, with its test."""
    parts = []
    for names in (("TREC.train", "train_5500.label"), ("TREC.test", "TREC_10.label")):
        found = [folder / name for name in names if (folder / name).is_file()]
        path = found[0] if found else folder / names[0]
        rows = [line.partition(" ") for line in lines(path, "latin-1")]
        parts.append([(question, label.partition(":")[0]) for label, _, question in rows])
    return make_task("questions", *parts, length=16)


def docstring_task() -> Task:
    """The standard library's docstrings and their packages, whole modules for the test."""
    data = read_docstrings(examples=10**6, batch_size=1, seed=SEED)
    train, test = (
        [(text, data.packages[label]) for text, label in zip(texts, labels, strict=True)]
        for texts, labels in (
            (data.train_texts, data.train_labels),
            (data.test_texts, data.test_labels),
        )
    )
    return make_task("docstrings", train, test, length=32)


def lines(path: Path, encoding: str) -> list[str]:
    """The lines of a text in the encoding of its time; copies in UTF-8 are read too.

    `str.splitlines` would also break lines at what latin-1 reads as "next line".
    """
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode(encoding)
    return [line.strip() for line in text.split("\n") if line.strip()]


def make_task(name: str, train: Examples, test: Examples, length: int) -> Task:
    """Takes out of `train` what `test` holds, and a part for validation."""
    classes = sorted({label for _, label in train})
    tested = {text for text, _ in test}
    train = [(text, label) for text, label in train if text not in tested]
    random.Random(SEED).shuffle(train)
    index = {label: number for number, label in enumerate(classes)}

    def part(examples: Examples) -> Part:
        labels = np.array([index[label] for _, label in examples], "int32")
        return Part([text for text, _ in examples], labels)

    count = min(VALIDATION, len(train) // 4)
    return Task(name, classes, part(train[count:]), part(train[:count]), part(test), length)
