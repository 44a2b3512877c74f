"""Text and JSON for people and scripts, out of files that may be hostile."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

_WIDEST = 80


def safe(text: str) -> str:
    """The text with everything that a terminal might obey written as an escape.

    Names come out of files from strangers: control sequences can rewrite a terminal's screen, and
    marks of writing direction its order.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def emit(line: str = "") -> None:
    """Prints one line of result on standard output, escaped."""
    _write(sys.stdout, safe(line))


def emit_json(value: Any) -> None:
    """Prints a value as JSON in plain ASCII on standard output."""
    text = json.dumps(value, indent=2, allow_nan=False)
    # The one control character that JSON does not escape.
    _write(sys.stdout, text.replace("\x7f", "\\u007f"))


def complain(message: str) -> None:
    """Prints a message of one or more lines on standard error, escaped."""
    _write(sys.stderr, "\n".join(map(safe, message.split("\n"))))


def flush() -> None:
    """Writes out what is buffered, so that a failure to write is seen here."""
    sys.stdout.flush()


def table(rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    """Lines with aligned columns.

    Args:
        rows: cells, the same number in every row.
        right: the columns that are aligned on the right.
    """
    cells = [[safe(cell) for cell in row] for row in rows]
    # One endless name must not pad every other line to its length.
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*cells, strict=True)]
    for row in cells:
        aligned = (
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(aligned).rstrip()


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
