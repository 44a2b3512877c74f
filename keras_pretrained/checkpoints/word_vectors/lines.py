"""Lines of text, each a word and its vector: `the 0.418 0.24968 -0.41242 ...`.

A word may hold spaces itself (GloVe's 840B file has such), so a line is read from its right end.
"""

from __future__ import annotations

import re

import numpy as np

from keras_pretrained.checkpoints.word_vectors.decimals import MARGIN, NotANumber, parse_decimals
from keras_pretrained.checkpoints.word_vectors.vectors import shown

_NEWLINE, _BLANK = ord("\n"), ord(" ")
_DECIMAL = re.compile(rb"[-+]?\d+\.\d+(?:[eE][-+]?\d+)?")
# A blank behind the last value (word2vec, fastText), and the carriage return of Windows.
_MOST_TRAILING = 2


class WrongLine(ValueError):
    """A line that is no word with its vector.

    Attributes:
        line: its place among the lines given, from 0.
        problem: what is wrong with it.
        start: its first characters.
    """

    def __init__(self, line: int, problem: str, text: bytes) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem
        self.start = shown(text.split(b"\n")[line])


def parse_lines(text: bytes, width: int) -> tuple[list[bytes], np.ndarray]:
    """The words and vectors of whole lines.

    Args:
        text: lines, each with its line feed.
        width: how many values stand behind a word.

    Returns:
        One word a line, and float32 (lines, width).

    Raises:
        WrongLine: the first line that is something else.
    """
    if text.endswith(b"\n\n"):
        text = text.rstrip(b"\n") + b"\n"
    if text == b"\n":
        return [], np.empty((0, width), np.float32)
    # Bytes that are no blanks stand before the first line; see `parse_decimals`.
    data = np.frombuffer(b"\xff" * MARGIN + text, np.uint8)
    blanks = np.flatnonzero(data <= _BLANK)
    closing = np.flatnonzero(data[blanks] == _NEWLINE)
    line_ends = blanks[closing]
    line_starts = np.concatenate([[MARGIN], line_ends[:-1] + 1])
    first = np.concatenate([[0], closing[:-1] + 1])
    last = closing
    for _ in range(_MOST_TRAILING):
        before = np.maximum(last - 1, 0)
        last = last - ((last > first) & (blanks[before] == blanks[last] - 1))
    behind_word = last - width
    if (behind_word < first).any():
        line = int(np.argmax(behind_word < first))
        raise WrongLine(line, f"has {max(int(last[line] - first[line]), 0)} values", text)
    bounds = blanks[behind_word[:, None] + np.arange(width + 1)]
    try:
        values = parse_decimals(data, (bounds[:, :-1] + 1).ravel(), bounds[:, 1:].ravel())
    except NotANumber as error:
        raise WrongLine(error.index // width, str(error), text) from None
    spans = zip((line_starts - MARGIN).tolist(), (bounds[:, 0] - MARGIN).tolist(), strict=True)
    words = [text[start:end] for start, end in spans]
    for line in np.flatnonzero(behind_word > first).tolist():
        # A word may hold blanks, but not what can only be a value that the other lines lack.
        if _DECIMAL.fullmatch(words[line].rsplit(b" ", 1)[-1]):
            raise WrongLine(line, f"has more than {width} values", text)
    return words, values.reshape(-1, width)


def count_values(line: bytes) -> int:
    """How many numbers stand at the right end of a line, behind a word."""
    parts = line.split()
    # Where a blank comes first, the word is empty.
    values = parts if line[:1].isspace() else parts[1:]
    count = 0
    for part in reversed(values):
        try:
            float(part)
        except ValueError:
            break
        count += 1
    return count
