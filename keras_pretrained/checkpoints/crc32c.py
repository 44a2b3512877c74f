"""CRC-32C (Castagnoli), vectorised, and the masked form that TensorFlow and LevelDB store."""

from __future__ import annotations

from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
_SHORT = 512
# Many short lanes amortise the Python steps, and a chunk stays in the processor's cache.
_LANE = 256
_CHUNK = 1 << 20


def crc32c(data: memoryview | bytes, previous: int = 0) -> int:
    """The CRC-32C of `data`, or of earlier bytes with checksum `previous` followed by `data`.

    Args:
        data: contiguous bytes.
        previous: checksum of the bytes before; 0 when there are none.
    """
    stored = np.frombuffer(data, np.uint8)
    state = previous ^ 0xFFFFFFFF
    for start in range(0, stored.size, _CHUNK):
        state = _extend(state, stored[start : start + _CHUNK])
    return state ^ 0xFFFFFFFF


def masked_crc32c(data: memoryview | bytes) -> int:
    """The stored form of `crc32c(data)`."""
    return mask(crc32c(data))


def mask(checksum: int) -> int:
    """Rotate and offset: a checksum over bytes that contain checksums would be weak."""
    rotated = ((checksum >> 15) | (checksum << 17)) & 0xFFFFFFFF
    return (rotated + _MASK_DELTA) & 0xFFFFFFFF


def _extend(state: int, stored: np.ndarray) -> int:
    if stored.size < _SHORT:
        table = _byte_table().tolist()
        for byte in stored.tolist():
            state = (state >> 8) ^ table[(state ^ byte) & 0xFF]
        return state
    # The checksum is linear: every lane is advanced from state 0 at once, then neighbours are
    # joined. Zero bytes in front do not change state 0, so the first lane may be padded.
    lane = min(_LANE, 1 << (stored.size.bit_length() // 2))
    lanes = -(-stored.size // lane)
    padding = lanes * lane - stored.size
    padded = np.zeros(lanes * lane, np.uint8)
    padded[padding:] = stored
    padded[padding : padding + 4] ^= np.frombuffer(state.to_bytes(4, "little"), np.uint8)
    words = np.ascontiguousarray(padded.view("<u4").reshape(lanes, lane // 4).T)
    low, high = _shift_tables(4)
    states = np.zeros(lanes, "<u4")
    halves = states.view("<u2").reshape(lanes, 2)
    for word in words:
        states ^= word
        np.bitwise_xor(low.take(halves[:, 0]), high.take(halves[:, 1]), out=states)
    return _join(states, lane)


def _join(states: np.ndarray, lane: int) -> int:
    while states.size > 1:
        if states.size % 2:
            states = np.concatenate([np.zeros(1, np.uint32), states])
        low, high = _shift_tables(lane)
        left, right = states[0::2], states[1::2]
        states = low[left & 0xFFFF] ^ high[left >> 16] ^ right
        lane *= 2
    return int(states[0])


@cache
def _byte_table() -> np.ndarray:
    table: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ np.where(table & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    return table


@cache
def _shift_tables(count: int) -> tuple[np.ndarray, np.ndarray]:
    """What `count` (a power of two) zero bytes make of a state, by its low and high 16 bits."""
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    if count == 1:
        columns = (bits >> 8) ^ _byte_table()[bits & 0xFF]
    else:
        low, high = _shift_tables(count // 2)
        half = low[bits & 0xFFFF] ^ high[bits >> 16]
        columns = low[half & 0xFFFF] ^ high[half >> 16]
    return _span(columns[:16]), _span(columns[16:])


def _span(columns: np.ndarray) -> np.ndarray:
    """All 65,536 exclusive-or combinations of 16 columns, by the bits of the index."""
    table = np.zeros(1, np.uint32)
    for column in columns:
        table = np.concatenate([table, table ^ column])
    return table
