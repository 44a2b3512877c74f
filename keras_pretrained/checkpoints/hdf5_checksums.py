"""The checksums of HDF5: Jenkins' lookup3 over structure, Fletcher's over packed values."""

from __future__ import annotations

import numpy as np

from keras_pretrained.checkpoints.checkpoint import CheckpointError

_LOW = 0xFFFFFFFF
_MIX = ((0, 2, 4), (1, 0, 6), (2, 1, 8), (0, 2, 16), (1, 0, 19), (2, 1, 4))
_FINISH = ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24))

_WORDS = 1 << 16


def check_structure(data: bytes, stored: bytes, what: str) -> None:
    """Compares a part of the structure with the four bytes of checksum behind it.

    Raises:
        CheckpointError: they differ.
    """
    if lookup3(data) != int.from_bytes(stored, "little"):
        raise CheckpointError(f"{what} has a wrong checksum")


def lookup3(data: bytes) -> int:
    """Bob Jenkins' hash (2006), by which HDF5 protects headers of its second version."""
    whole = max(0, (len(data) - 1) // 12 * 12)
    state = [(0xDEADBEEF + len(data)) & _LOW] * 3
    words = np.frombuffer(data, "<u4", count=whole // 4).tolist()
    for at in range(0, len(words), 3):
        for index in range(3):
            state[index] = (state[index] + words[at + index]) & _LOW
        _mix(state)
    rest = data[whole:]
    if rest:
        for index in range(3):
            part = int.from_bytes(rest[4 * index : 4 * index + 4], "little")
            state[index] = (state[index] + part) & _LOW
        for target, source, bits in _FINISH:
            value = state[target] ^ state[source]
            state[target] = (value - _rotated(state[source], bits)) & _LOW
    return state[2]


def _mix(state: list[int]) -> None:
    for target, source, bits in _MIX:
        value = (state[target] - state[source]) & _LOW
        state[target] = value ^ _rotated(state[source], bits)
        other = 3 - target - source
        state[source] = (state[source] + state[other]) & _LOW


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _LOW


def fletcher32(data: bytes) -> int:
    """Fletcher's checksum of big-endian 16-bit words, the last one padded."""
    words = np.frombuffer(data if len(data) % 2 == 0 else data + b"\0", ">u2")
    first = second = 0
    for start in range(0, words.size, _WORDS):
        part = words[start : start + _WORDS].astype(np.uint64)
        weights = np.arange(part.size, 0, -1, dtype=np.uint64)
        second = _folded(second + part.size * first + int(part @ weights))
        first = _folded(first + int(part.sum()))
    return second << 16 | first


def _folded(total: int) -> int:
    """Modulo 65535, where only an exact 0 stays 0."""
    return (total - 1) % 0xFFFF + 1 if total else 0


def matches_fletcher32(data: bytes, stored: bytes) -> bool:
    """Whether values have their checksum; HDF5 1.6.2 and older wrote its halves byte-swapped."""
    swapped = bytes((stored[1], stored[0], stored[3], stored[2]))
    return fletcher32(data).to_bytes(4, "little") in (stored, swapped)
