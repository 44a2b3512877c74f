"""Texts that are longer than a row of a network, in parts that fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """A part of a text that fits into a row.

    Attributes:
        begin, end: its first word, and the word behind its last.
        first, last: of the words that count here; those around them are context, and count in the
            windows beside this one.
    """

    begin: int
    first: int
    last: int
    end: int


def word_windows(counts: np.ndarray, room: int, context: int) -> Iterator[Window]:
    """Windows of words in which every word counts once.

    Args:
        counts: pieces of each word, at most `room`.
        room: pieces that a row holds.
        context: pieces, about, that stand on either side of the words that count.
    """
    count = len(counts)
    place = np.concatenate([[0], np.cumsum(counts)])
    first = 0
    while first < count:
        # Context gives way to a word that is as long as a row.
        before = min(context, room - int(counts[first])) if first else 0
        begin = int(np.searchsorted(place, place[first] - before))
        end = int(np.searchsorted(place, place[begin] + room, side="right")) - 1
        last = end
        if end < count:
            last = int(np.searchsorted(place, place[end] - context, side="right")) - 1
            last = max(last, first + 1)
        yield Window(begin, first, last, end)
        first = last


def piece_windows(count: int, room: int, step: int) -> Iterator[tuple[int, int]]:
    """Begin and end of windows of `room` pieces, each `step` pieces behind the one before it.

    As the program of BERT's authors cuts contexts for SQuAD.
    """
    begin = 0
    while True:
        end = min(begin + room, count)
        yield begin, end
        if end == count:
            return
        begin += min(step, room)
