"""Long texts of two kinds that this machine has: docstrings of installed packages, and of Python.

The general texts are those of large packages, the ones of the task those of the standard library.
The docstrings of a module stand one behind the other, cut into texts of so many words. Source files
are parsed and never run.
"""

from __future__ import annotations

import importlib.util
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from docstrings import NOT_LIBRARY, columns, docstrings_of, hold_out, library_docstrings

GENERAL = ("numpy", "scipy", "sklearn", "matplotlib", "keras", "tensorflow")
FEWEST_WORDS = 40
TESTED = 0.05


@dataclass(frozen=True)
class LongTexts:
    """Texts of the task; no module gives some to train on and others to test on.

    Attributes:
        unlabelled: the texts to train on, and those of all other packages.
        packages: what the labels count.
    """

    unlabelled: list[str]
    packages: list[str]
    train_texts: list[str]
    train_labels: np.ndarray
    test_texts: list[str]
    test_labels: np.ndarray


def read_long_texts(words: int, seed: int) -> LongTexts:
    """Reads the standard library; names of packages and modules are cut out of the texts.

    Args:
        words: the most words of a text.
        seed: of the choice of modules and of the order of texts.
    """
    generator = random.Random(seed)
    library = {
        package: {path: cut(texts, words) for path, texts in modules.items()}
        for package, modules in library_docstrings().items()
    }
    labelled = hold_out(library, generator)
    generator.shuffle(labelled.train)
    train_texts, train_labels = columns(labelled.train, 1)
    test_texts, test_labels = columns(labelled.test, 1)
    others = [
        labelled.names.sub(" ", text)
        for package, modules in library.items()
        if package not in labelled.packages
        for texts in modules.values()
        for text in texts
    ]
    tested = set(test_texts)
    unlabelled = [text for text in dict.fromkeys([*train_texts, *others]) if text not in tested]
    return LongTexts(
        unlabelled, labelled.packages, train_texts, train_labels, test_texts, test_labels
    )


def read_general_texts(total: int, words: int, seed: int) -> tuple[list[str], list[str]]:
    """Reads installed packages: texts to train on, and texts of other modules to test on.

    Args:
        total: about how many words of them all.
        words: the most words of a text.
        seed: of the choice of modules.
    """
    paths = [path for package in GENERAL for path in sources(package)]
    random.Random(seed).shuffle(paths)
    known: set[str] = set()
    train: list[str] = []
    test: list[str] = []
    count = 0
    for path in paths:
        if count >= total:
            break
        try:
            texts = [text for text in dict.fromkeys(docstrings_of(path)) if text not in known]
        except (SyntaxError, ValueError):
            continue  # Templates and the like are no Python.
        known.update(texts)
        (test if count < TESTED * total else train).extend(cut(texts, words))
        count += sum(len(text.split()) for text in texts)
    if not train:
        raise SystemExit(f"Too few sources of {', '.join(GENERAL)} are installed to learn from.")
    return train, test


def sources(package: str) -> list[Path]:
    """The modules of an installed package, without its tests."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return []
    root = Path(found.origin).parent
    return [
        path
        for path in sorted(root.rglob("*.py"))
        if not NOT_LIBRARY & set(path.relative_to(root).parts) and not path.stem.endswith("_test")
    ]


def cut(texts: list[str], words: int) -> list[str]:
    """The texts one behind the other, in pieces of so many words; a last one may be too short."""
    every = " ".join(texts).split()
    pieces = [every[start : start + words] for start in range(0, len(every), words)]
    return [" ".join(piece) for piece in pieces if len(piece) >= FEWEST_WORDS]
