"""Real texts that every machine has: the docstrings of Python's own modules."""

from __future__ import annotations

import ast
import random
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path


def docstrings(count: int) -> list[str]:
    """Docstrings of this Python's own modules, from files in a random but fixed order."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = sorted(
        path
        for path in library.rglob("*.py")
        if not {"site-packages", "dist-packages"} & set(path.relative_to(library).parts)
    )
    random.Random(1).shuffle(paths)
    found: list[str] = []
    for path in paths:
        if len(found) >= count:
            break
        found.extend(_docstrings_of(path))
    return found[:count]


def _docstrings_of(path: Path) -> Iterator[str]:
    """The docstrings in a source file, which is parsed and never run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):  # The test suite keeps broken files on purpose.
            return
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, owners) and (text := ast.get_docstring(node)):
            yield text
