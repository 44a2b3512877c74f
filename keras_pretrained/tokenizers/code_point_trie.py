"""Compiles a code point table into the model of `tensorflow_text.FastBertNormalizer`.

That operation replaces code points one by one as its model says, and takes the model as a
buffer (fast_bert_normalizer_model.fbs of tensorflow_text): a FlatBuffers table of a flag, a trie
over UTF-8 bytes, the entry for U+0000, and a pool of replacement strings.

The trie is a double array in the format of darts-clone. Unit `i` holds a node. The child for
byte `b` of a node with base `B` is unit `B ^ b`, and the node's value, if it has one, is unit
`B`. A node's unit holds, from the low end: the byte that leads to it (8 bits), whether it has a
value (1), a shift flag that stays 0 here, and `i ^ B` (21). A value's unit is marked by the top
bit and holds a changed flag (bit 30), the offset in the pool (24 bits) and the length (6).

Bytes that are no UTF-8 get an empty replacement, as U+FFFD has: the operation hands them over
as the longest beginning of a character, so every inner node has the empty value.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

_BLOCK = 256
_LARGEST_OFFSET = 1 << 21
_LONGEST_REPLACEMENT = 63
_CHANGED, _IS_VALUE, _HAS_VALUE = 0x40000000, 0x80000000, 0x100
_ROOT_BASE = _BLOCK


@dataclass(eq=False)
class _Node:
    value: bytes | None = None
    children: dict[int, _Node] = field(default_factory=dict)


def compile_normalizer(table: Mapping[int, str]) -> bytes:
    """The model buffer that replaces every code point of `table` and drops invalid UTF-8.

    Args:
        table: code point -> replacement of at most 63 UTF-8 bytes.

    Raises:
        ValueError: a replacement is too long, or the table is too large for the format.
    """
    writer = _Writer()
    units = writer.write(_grow(table))
    zero = writer.value(table[0].encode()) & ~_IS_VALUE if 0 in table else 0
    return _flatbuffer(units, zero, bytes(writer.pool))


def _grow(table: Mapping[int, str]) -> _Node:
    """The trie. All but the last byte of a character tell its group of 64 code points."""
    groups: dict[int, list[tuple[int, bytes]]] = {}
    for code_point, replacement in table.items():
        value = replacement.encode()
        if len(value) > _LONGEST_REPLACEMENT:
            raise ValueError(
                f"The replacement of U+{code_point:04X} has {len(value)} bytes, "
                f"expected at most {_LONGEST_REPLACEMENT}: {replacement!r}."
            )
        groups.setdefault(code_point >> 6, []).append((code_point & 0x3F, value))
    invalid = {byte: _Node(b"") for byte in range(0x80, 0x100)}
    root = _Node(None, invalid)
    equal_groups: dict[tuple, _Node] = {}
    for group in range(0x110000 >> 6):
        if 0xD800 <= group << 6 < 0xE000:
            continue
        entries = tuple(sorted(groups.get(group, ())))
        if group < 2:
            root.children |= {group << 6 | low: _Node(value) for low, value in entries}
            root.children.pop(0, None)
            continue
        *beginning, last, _ = chr(group << 6).encode()
        node = root
        for byte in beginning:
            node = node.children.setdefault(byte, _Node(b""))
        if entries not in equal_groups:
            children = {0x80 | low: _Node(value) for low, value in entries}
            equal_groups[entries] = _Node(b"", children)
        node.children[last] = equal_groups[entries]
    return root


class _Writer:
    """Lays the nodes out; a shared node has one block, so dropped planes cost nothing."""

    def __init__(self) -> None:
        self.pool = bytearray()
        self._offsets: dict[bytes, int] = {b"": 0}
        self._units: dict[int, int] = {}
        self._bases: dict[_Node | bytes | None, int] = {}
        self._free: list[int] = []
        self._end = 2 * _BLOCK

    def write(self, root: _Node) -> np.ndarray:
        self._units[0] = self._link(0, _ROOT_BASE)
        self._children(root, _ROOT_BASE)
        units = np.zeros(self._end, "<u4")
        units[list(self._units)] = list(self._units.values())
        return units

    def _block(self) -> int:
        base, self._end = self._end, self._end + _BLOCK
        # Only bytes 0x80-0xBF follow the first byte: the other units are free for values.
        self._free += [base + unit for unit in range(1, _BLOCK) if unit >> 6 != 2]
        return base

    def _place(self) -> int:
        if not self._free:
            self._block()
        return self._free.pop()

    def value(self, replacement: bytes) -> int:
        if replacement not in self._offsets:
            self._offsets[replacement] = len(self.pool)
            self.pool += replacement
        return _IS_VALUE | _CHANGED | self._offsets[replacement] << 6 | len(replacement)

    def _link(self, unit: int, base: int) -> int:
        if unit ^ base >= _LARGEST_OFFSET:
            raise ValueError("The code point table is too large for the normaliser's format.")
        return (unit ^ base) << 10

    def _children(self, node: _Node, base: int) -> None:
        for byte, child in node.children.items():
            unit = base ^ byte
            flag = 0 if child.value is None else _HAS_VALUE
            self._units[unit] = self._link(unit, self._base(child)) | flag | byte

    def _base(self, node: _Node) -> int:
        key = node if node.children else node.value
        if key not in self._bases:
            base = self._bases[key] = self._block() if node.children else self._place()
            if node.value is not None:
                self._units[base] = self.value(node.value)
            self._children(node, base)
        return self._bases[key]


def _flatbuffer(units: np.ndarray, zero: int, pool: bytes) -> bytes:
    """One table with four fields; all offsets are relative to the place that holds them."""
    table, size = 16, 20
    units_at = table + size
    pool_at = units_at + 4 + units.nbytes
    return b"".join(
        (
            struct.pack("<I", table),
            struct.pack("<6H", 12, size, 4, 8, 12, 16),
            struct.pack("<iB3x", table - 4, False),
            struct.pack("<I", units_at - (table + 8)),
            struct.pack("<i", zero),
            struct.pack("<I", pool_at - (table + 16)),
            struct.pack("<I", len(units)),
            units.tobytes(),
            struct.pack("<I", len(pool)),
            pool,
        )
    )
