"""Words with tags that every machine has: the tokens of Python's own standard library."""

from __future__ import annotations

import builtins
import io
import keyword
import random
import sysconfig
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = (
    "keyword",
    "operator",
    "number",
    "text",
    "builtin",
    "definition",
    "call",
    "attribute",
    "argument",
    "name",
)
LONGEST_WORD, FEWEST, MOST = 20, 4, 20
TESTED = 0.2
NOT_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages"}
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}

Line = tuple[list[str], list[int]]


@dataclass(frozen=True)
class Lines:
    """Logical lines: the words of each, and of each word its index in `KINDS`."""

    train: list[Line]
    test: list[Line]


def read_lines(count: int, seed: int) -> Lines:
    """Lines of code to train on, and a fifth as many, of other modules, to test on.

    Args:
        count: lines to train on.
        seed: of the choice of modules and lines.
    """
    library = Path(sysconfig.get_path("stdlib"))
    modules = [
        path
        for path in sorted(library.rglob("*.py"))
        if not NOT_LIBRARY & set(path.relative_to(library).parts)
    ]
    random.Random(seed).shuffle(modules)
    held_out = max(1, int(TESTED * len(modules)))
    return Lines(
        train=_take(modules[held_out:], count, seed),
        test=_take(modules[:held_out], max(1, int(TESTED * count)), seed),
    )


def _take(modules: list[Path], count: int, seed: int) -> list[Line]:
    """Different lines, ten a module so that none is over-represented."""
    found: dict[tuple[str, ...], Line] = {}
    for path in modules:
        try:
            lines = list(tagged_lines(path.read_text(encoding="utf-8")))
        except (SyntaxError, UnicodeDecodeError, tokenize.TokenError):
            continue  # Python's own tests of broken files.
        random.Random(seed).shuffle(lines)
        found.update({tuple(words): (words, tags) for words, tags in lines[:10]})
        if len(found) >= count:
            break
    return list(found.values())[:count]


def tagged_lines(source: str) -> Iterator[Line]:
    """The logical lines of a source file that are neither very short nor very long."""
    tokens: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NEWLINE:
            if FEWEST <= len(tokens) <= MOST:
                # A text's own words would be spaces within a word.
                words = ["".join(each.string.split())[:LONGEST_WORD] for each in tokens]
                yield words, [KINDS.index(kind) for kind in kinds(tokens)]
            tokens = []
        elif token.type not in LAYOUT:
            tokens.append(token)


def kinds(tokens: list[tokenize.TokenInfo]) -> list[str]:
    """The kind of each token of a logical line; of a name it is what the name does there."""
    found, depth = [], 0
    strings = ["", *(token.string for token in tokens), ""]
    for place, token in enumerate(tokens, 1):
        before, word, behind = strings[place - 1 : place + 2]
        depth += (word in ("(", "[", "{")) - (word in (")", "]", "}"))
        if token.type == tokenize.OP:
            kind = "operator"
        elif token.type == tokenize.NUMBER:
            kind = "number"
        elif token.type != tokenize.NAME:
            kind = "text"
        elif keyword.iskeyword(word):
            kind = "keyword"
        elif before in ("def", "class"):
            kind = "definition"
        elif before == ".":
            kind = "call" if behind == "(" else "attribute"
        elif depth and behind == "=":
            kind = "argument"
        elif behind == "(":
            kind = "builtin" if hasattr(builtins, word) else "call"
        else:
            kind = "builtin" if hasattr(builtins, word) else "name"
        found.append(kind)
    return found
