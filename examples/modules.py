"""Real text of two kinds that every machine has: Python's own docstrings, and its functions."""

from __future__ import annotations

import ast
import random
import sysconfig
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from docstrings import NOT_LIBRARY, docstrings_of

LINES = 3


@dataclass(frozen=True)
class Modules:
    """Texts of the standard library; no module gives two of the lists.

    Attributes:
        docstrings: English.
        functions: Python, without docstrings and comments.
        held_out: more of the same.
    """

    docstrings: list[str]
    functions: list[str]
    held_out: list[str]


def read_modules(docstrings: int, functions: int, held_out: int, seed: int) -> Modules:
    """Takes modules in a random order until each list has its number of texts."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = sorted(
        path
        for path in library.rglob("*.py")
        if not NOT_LIBRARY & set(path.relative_to(library).parts)
    )
    random.Random(seed).shuffle(paths)
    modules = iter(paths)
    known: set[str] = set()
    found = Modules(
        held_out=take(modules, functions_of, held_out, known),
        functions=take(modules, functions_of, functions, known),
        docstrings=take(modules, docstrings_of, docstrings, known),
    )
    if not found.docstrings:
        raise SystemExit(f"{library} has too few Python sources to learn from.")
    return found


def take(
    modules: Iterator[Path], read: Callable[[Path], Iterable[str]], count: int, known: set[str]
) -> list[str]:
    """Texts that are not known yet, from whole modules; fewer where the modules end."""
    texts: list[str] = []
    while len(texts) < count and (path := next(modules, None)) is not None:
        fresh = [text for text in dict.fromkeys(read(path)) if text not in known]
        known.update(fresh)
        texts += fresh
    return texts[:count]


def functions_of(path: Path) -> list[str]:
    """The functions in a source file, which is parsed and never run, as Python writes them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Old modules hold invalid escapes.
        tree = ast.parse(path.read_bytes())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    texts = []
    for node in ast.walk(tree):
        if not isinstance(node, functions):
            continue
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        text = ast.unparse(node)
        if len(text.splitlines()) >= LINES:
            texts.append(text)
    return texts
