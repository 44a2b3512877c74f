"""Real text that every machine has: the docstrings of Python's own standard library."""

from __future__ import annotations

import ast
import random
import re
import sysconfig
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PACKAGES = 10
MODULES = 5
WORDS = 8
TESTED = 0.25
NOT_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages"}

Examples = list[tuple[str, int]]
Texts = dict[Path, list[str]]


@dataclass(frozen=True)
class Labelled:
    """Texts, each with the index in `packages` of the package that it comes from.

    Attributes:
        names: matches what is cut out of the texts, as it would be of others.
    """

    packages: list[str]
    names: re.Pattern[str]
    train: Examples
    test: Examples


@dataclass(frozen=True)
class Docstrings:
    """Texts and, for each, the index in `packages` of the package that it comes from."""

    packages: list[str]
    train_texts: list[str]
    train_labels: np.ndarray
    test_texts: list[str]
    test_labels: np.ndarray


def read_docstrings(examples: int, batch_size: int, seed: int) -> Docstrings:
    """Reads the packages that have most docstrings and holds out a quarter, by whole modules.

    Names of packages and modules are cut out of the texts, and no text occurs twice.

    Args:
        examples: the most texts to train on.
        batch_size: both sets get a multiple of it, because XLA compiles for every shape.
        seed: of the choice of modules and of the order of texts.
    """
    generator = random.Random(seed)
    labelled = hold_out(library_docstrings(), generator)
    generator.shuffle(labelled.train)
    generator.shuffle(labelled.test)
    train_texts, train_labels = columns(labelled.train[:examples], batch_size)
    test_texts, test_labels = columns(labelled.test, batch_size)
    return Docstrings(labelled.packages, train_texts, train_labels, test_texts, test_labels)


def library_docstrings() -> dict[str, Texts]:
    """The docstrings of each package, by module; a module outside of packages is one of its own."""
    library = Path(sysconfig.get_path("stdlib"))
    found: dict[str, Texts] = defaultdict(dict)
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).parts
        if not NOT_LIBRARY & set(parts) and (texts := docstrings_of(path)):
            found[parts[0]][path] = texts
    return found


def hold_out(found: dict[str, Texts], generator: random.Random) -> Labelled:
    """Takes the packages that have most texts, and of each a quarter, by whole modules, to test.

    Args:
        found: the texts of each package, by module.
        generator: chooses the modules.
    """
    # A package of few modules cannot be split by module.
    sizes = {
        package: sum(map(len, modules.values()))
        for package, modules in found.items()
        if len(modules) >= MODULES
    }
    packages = sorted(sorted(sizes, key=sizes.__getitem__, reverse=True)[:PACKAGES])
    if len(packages) < 2:
        raise SystemExit("The standard library has too few Python sources to learn from.")
    names = names_to_hide(packages, [path for package in packages for path in found[package]])
    train: Examples = []
    test: Examples = []
    for label, package in enumerate(packages):
        modules = list(found[package].values())
        generator.shuffle(modules)
        room = TESTED * sizes[package]
        for texts in modules:
            held_out = len(texts) <= room
            room -= len(texts) if held_out else 0
            (test if held_out else train).extend((names.sub(" ", text), label) for text in texts)
    train = list(dict(train).items())
    known = dict(train)
    test = [(text, label) for text, label in dict(test).items() if text not in known]
    return Labelled(packages, names, train, test)


def docstrings_of(path: Path) -> list[str]:
    """The docstrings in a source file, which is parsed and never run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Old modules hold invalid escapes.
        tree = ast.parse(path.read_bytes())
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, owners)]
    return [" ".join(text.split()) for text in texts if len(text.split()) >= WORDS]


def names_to_hide(packages: list[str], modules: list[Path]) -> re.Pattern[str]:
    """Matches names of packages wherever they stand, and names of modules as whole words."""
    inner = {path.stem for path in modules} | {path.parent.name for path in modules}
    words = "|".join(map(re.escape, sorted(inner - {"__init__", "__main__"})))
    return re.compile(rf"{'|'.join(map(re.escape, packages))}|\b({words})\b", re.IGNORECASE)


def columns(examples: Examples, batch_size: int) -> tuple[list[str], np.ndarray]:
    """Texts and labels, without the last ones that fill no batch."""
    examples = examples[: len(examples) // batch_size * batch_size]
    return [text for text, _ in examples], np.array([label for _, label in examples])
