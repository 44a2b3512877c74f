"""Decimal numbers in text, thousands at a time: the part of reading vectors that takes the time.

Nearly every number in a file of vectors is written as `-0.12345`: perhaps a sign, one digit, a
point, a few digits. These are parsed eight digits at once with arithmetic on 64-bit words, which
NumPy does for whole blocks; every other number goes through `float()`. Both give the same bits: a
whole number below 2**53 divided by a power of ten up to 10**22 is rounded once.
"""

from __future__ import annotations

import numpy as np

MARGIN = 16
"""Bytes that must stand before the first number: the digits are taken from behind."""

# Digits behind the point that, with the one before it, stay below 2**53.
_MOST_DIGITS = 14
_BLOCK = 32_768

_ZEROS = np.uint64(0x3030303030303030)
_HIGH_HALVES = np.uint64(0xF0F0F0F0F0F0F0F0)
_SIXES = np.uint64(0x0606060606060606)
_THREES = np.uint64(0x3333333333333333)
# By the number of digits, 0 to 8, which of the eight bytes hold them: the last ones, which are
# the high ones of a little-endian word.
_KEPT = np.array([((1 << 8 * n) - 1) << (64 - 8 * n) for n in range(9)], np.uint64)
_FILLED = _ZEROS & ~_KEPT
_POWERS = 10.0 ** np.arange(_MOST_DIGITS + 1)
_SIGNS = np.array([1.0, -1.0])
_MINUS, _POINT, _ZERO = ord("-"), ord("."), np.uint8(ord("0"))


class NotANumber(ValueError):
    """What stands at one place is no number.

    Attributes:
        index: which one.
        text: what stands there.
    """

    def __init__(self, index: int, text: bytes) -> None:
        super().__init__(f"{text[:40]!r} is not a number")
        self.index = index
        self.text = text


def parse_decimals(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The numbers that stand in a text.

    Args:
        data: uint8, the bytes of the text, with `MARGIN` bytes before the first number.
        starts, ends: (count,) where each number begins, and where it has ended.

    Returns:
        float32 (count,): what `numpy.float32(float(text))` gives.

    Raises:
        NotANumber: for the first that is none.
    """
    numbers = np.empty(len(starts), np.float32)
    # Small blocks, so that what each step makes of them is still near when the next one needs it.
    for at in range(0, len(starts), _BLOCK):
        part = slice(at, at + _BLOCK)
        try:
            # Too large a number is infinite, as `numpy.float32(float(text))` is.
            with np.errstate(over="ignore"):
                numbers[part] = _parse_block(data, starts[part], ends[part])
        except NotANumber as error:
            raise NotANumber(at + error.index, error.text) from None
    return numbers


def _parse_block(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    negative = data[starts] == _MINUS
    begins = starts + negative
    whole = data[begins] - _ZERO
    count = ends - begins - 2
    regular = (whole <= 9) & (count > 0) & (count <= _MOST_DIGITS)
    regular &= data[np.minimum(begins + 1, len(data) - 1)] == _POINT
    count = np.clip(count, 0, _MOST_DIGITS)
    eights = _eights(data)
    fraction, valid = _digits(eights[ends - 8], np.minimum(count, 8))
    regular &= valid
    mantissa = fraction.astype(np.float64)
    (long,) = np.nonzero(count > 8)
    if long.size:
        before, valid = _digits(eights[ends[long] - 16], count[long] - 8)
        regular[long] &= valid
        mantissa[long] += before.astype(np.float64) * 1e8
    powers = _POWERS[count]
    numbers = (whole * powers + mantissa) / powers * _SIGNS[negative.view(np.uint8)]
    for index in np.flatnonzero(~regular).tolist():
        numbers[index] = _any_number(data[starts[index] : ends[index]].tobytes(), index)
    return numbers


def _eights(data: np.ndarray) -> np.ndarray:
    """The eight bytes from each place on, as one little-endian word."""
    return np.ndarray((len(data) - 7,), "<u8", data.data, 0, (1,))


def _digits(words: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last `count` of eight characters as whole numbers, and whether all of them are digits."""
    words = (words & _KEPT[count]) | _FILLED[count]
    upper = words & _HIGH_HALVES
    valid = (upper | ((words + _SIXES) & _HIGH_HALVES) >> np.uint64(4)) == _THREES
    # Neighbours are joined to pairs, pairs to fours, fours to eight.
    words = (words & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561) >> np.uint64(8)
    words = (words & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    words = (words & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32)
    return words, valid


def _any_number(text: bytes, index: int) -> float:
    try:
        # Python's literals may have underscores, which no program writes into a file of numbers.
        if b"_" not in text:
            return float(text)
    except ValueError:
        pass
    raise NotANumber(index, text)
