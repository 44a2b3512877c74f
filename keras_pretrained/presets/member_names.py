"""File names of a source that are patterns: the names of an archive's members vary.

`*` stands for any characters but `/`, and `{a,b}` for one of several. `"*.ckpt{,.index}"` is a
TensorFlow checkpoint of either format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def is_pattern(name: str) -> bool:
    """Whether a name stands for others."""
    return "*" in name or "{" in name


def matching(name: str, names: Iterable[str]) -> list[str]:
    """Those of the names that a name or pattern stands for."""
    if not is_pattern(name):
        return [each for each in names if each == name]
    pattern = re.compile(_regular_expression(name))
    return sorted(each for each in names if pattern.fullmatch(each))


def find_name(name: str, names: Iterable[str]) -> str | None:
    """The one that a name or pattern stands for; None where there is none, or several."""
    found = matching(name, names)
    return found[0] if len(found) == 1 else None


def spelled_out(name: str) -> str:
    """A pattern for people: `"*.ckpt or *.ckpt.index"`."""
    opened = re.fullmatch(r"(.*)\{(.*)\}(.*)", name)
    if not opened:
        return name
    before, alternatives, after = opened.groups()
    return " or ".join(f"{before}{each}{after}" for each in alternatives.split(","))


def _regular_expression(name: str) -> str:
    pieces = re.split(r"(\*|\{[^{}]*\})", name)
    return "".join(map(_piece, pieces))


def _piece(text: str) -> str:
    if text == "*":
        return "[^/]*"
    if text.startswith("{") and text.endswith("}"):
        return f"(?:{'|'.join(map(re.escape, text[1:-1].split(',')))})"
    return re.escape(text)
