"""The parts of words that fastText has vectors for: character n-grams, by their hashes.

A word stands between `<` and `>`, and all its pieces of `shortest` to `longest` characters count,
except for a single `<` or `>`. A character begins with a byte that does not continue another one in
UTF-8, whatever the encoding is. (Bojanowski et al. 2017, and `Dictionary::computeSubwords`.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

_OFFSET, _PRIME = np.uint32(2166136261), np.uint32(16777619)
END_OF_SENTENCE = b"</s>"
"""fastText's word for the end of a line, which has no parts."""


def subword_buckets(
    words: Sequence[bytes], shortest: int, longest: int, buckets: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The buckets of all parts of the words, one length after the other.

    Args:
        words: without `<` and `>`.
        shortest, longest: characters of a part.
        buckets: how many there are.

    Yields:
        For the parts of one length, int64 (parts,): the indices of their words, in order, and
        their buckets.
    """
    framed = [b"" if word == END_OF_SENTENCE else b"<" + word + b">" for word in words]
    data = np.frombuffer(b"".join(framed), np.uint8)
    word_ends = np.cumsum([len(word) for word in framed], dtype=np.int64)
    (starts,) = np.nonzero((data & 0xC0) != 0x80)
    owners = np.searchsorted(word_ends, starts, side="right")
    borders = np.append(starts, len(data))
    for size in range(max(shortest, 1), min(longest, len(starts)) + 1):
        (first,) = np.nonzero(owners[: len(owners) - size + 1] == owners[size - 1 :])
        ends = borders[first + size]
        if size == 1:
            opens = np.append(-1, owners)[first] != owners[first]
            closes = ends == word_ends[owners[first]]
            first, ends = first[~(opens | closes)], ends[~(opens | closes)]
        if not len(first):
            continue
        hashes = _hashes(data, starts[first], ends)
        yield owners[first], (hashes % np.uint32(buckets)).astype(np.int64)


def _hashes(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """FNV-1a of slices, of bytes that are signed, as fastText's first version had them."""
    signed = data.view(np.int8)
    hashes = np.full(len(starts), _OFFSET, np.uint32)
    for place in range(int((ends - starts).max(initial=0))):
        inside = starts + place < ends
        byte = signed[np.where(inside, starts + place, 0)].astype(np.int32).view(np.uint32)
        hashes = np.where(inside, (hashes ^ byte) * _PRIME, hashes)
    return hashes
