"""Damage to bytes, numbers, lists and JSON: what every format's own damage is made of."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

EDGES = (
    *(0, 1, 2, 3, 4, 7, 8, 16, 64, 127, 128, 255, 256, 1000),
    *(2**15, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32),
    *(2**40, 2**53, 2**59, 2**61 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
)

TEXTS = ("", "\0", "..", "../x", "/etc/passwd", "x" * 300, "é" * 9, "\u202e", "__class__", "\n")


def damaged_number(value: int, chance: random.Random) -> int:
    """Another number: a neighbour, a multiple, or one at which something overflows."""
    kind = chance.randrange(6)
    if kind == 0:
        return value + chance.choice([-1, 1])
    if kind == 1:
        return value * chance.choice([2, 3, 4, 8, -1]) // chance.choice([1, 1, 2])
    if kind == 2:
        return value ^ (1 << chance.randrange(64))
    if kind == 3:
        return chance.randrange(300)
    return chance.choice(EDGES) * chance.choice([1, 1, 1, -1])


def damaged_text(text: str, chance: random.Random) -> str:
    """Another text: a part, a repetition, a foreign one."""
    kind = chance.randrange(4)
    at = chance.randrange(len(text) + 1)
    if kind == 0:
        return chance.choice(TEXTS)
    if kind == 1:
        return text[:at]
    if kind == 2:
        return text[:at] + chance.choice(TEXTS) + text[at:]
    return text * chance.choice([2, 5])


def damaged_bytes(data: bytes, chance: random.Random, structure: int | None = None) -> bytes:
    """A damaged copy: wrong bytes, lies about lengths, bytes removed, doubled or cut off.

    Args:
        data: the honest bytes.
        chance: source of the choices.
        structure: how many bytes at the start are worth more attention.
    """
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 8])):
        end = len(changed)
        if structure and chance.random() < 0.5:
            end = min(end, structure)
        at = chance.randrange(max(1, end))
        kind = chance.random()
        if kind < 0.3:
            changed[at : at + 1] = bytes([chance.randrange(256)])
        elif kind < 0.4 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif kind < 0.55:
            changed[at : at + 1] = chance.choice([b"\0", b"\xff", b"\x7f", b"\x80"])
        elif kind < 0.75:
            width = chance.choice([2, 4, 8])
            value = chance.choice([*EDGES, chance.randrange(2 * end + 1)])
            changed[at : at + width] = (value % 2 ** (8 * width)).to_bytes(width, "little")
        elif kind < 0.83:
            other = chance.randrange(max(1, end))
            changed[at : at + 8] = changed[other : other + 8]
        elif kind < 0.89:
            del changed[at : at + chance.choice([1, 4, 8, 64])]
        elif kind < 0.95:
            changed[at:at] = changed[at : at + chance.choice([1, 4, 8, 64])]
        else:
            del changed[at:]
    return bytes(changed)


def overwritten(
    data: bytearray, start: int, length: int, chance: random.Random, values: list[int]
) -> None:
    """Replaces one field inside of a region, in place; nothing moves.

    Args:
        data: the whole file.
        start, length: the region.
        chance: source of the choices.
        values: numbers that mean something in this file, such as addresses.
    """
    width = min(length, chance.choice([1, 1, 2, 4, 8]))
    at = start + chance.randrange(length - width + 1)
    if chance.random() < 0.7:
        at -= (at - start) % width
    old = int.from_bytes(data[at : at + width], "little")
    if values and chance.random() < 0.3:
        new = chance.choice(values)
    else:
        new = damaged_number(old, chance)
    data[at : at + width] = (new % 2 ** (8 * width)).to_bytes(width, "little")


def damaged_list(
    items: list[T], chance: random.Random, change: Callable[[T, random.Random], T]
) -> list[T]:
    """A copy with items changed, dropped, repeated, moved or replaced by another."""
    result = list(items)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        if not result:
            break
        at, other = chance.randrange(len(result)), chance.randrange(len(result))
        kind = chance.random()
        if kind < 0.6:
            result[at] = change(result[at], chance)
        elif kind < 0.7:
            del result[at]
        elif kind < 0.8:
            result.insert(other, result[at])
        elif kind < 0.9:
            result[at], result[other] = result[other], result[at]
        else:
            result[at] = result[other]
    return result


def damaged_json(value: Any, chance: random.Random) -> Any:
    """A JSON value with something inside of it changed, dropped, doubled or of another type."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        items = [(key, part) for key, part in value.items()]
        return dict(damaged_list(items, chance, _damaged_item))
    if isinstance(value, list) and value and chance.random() < 0.9:
        return damaged_list(value, chance, damaged_json)
    if type(value) is int and chance.random() < 0.8:
        return damaged_number(value, chance)
    if isinstance(value, str) and chance.random() < 0.8:
        return damaged_text(value, chance)
    return chance.choice(
        [
            None,
            True,
            0,
            -1,
            1.5,
            1e308,
            "",
            "x",
            [],
            {},
            [[]],
            {"x": {}},
            2**64,
            [value],
            str(value),
        ]
    )


def _damaged_item(item: tuple[str, Any], chance: random.Random) -> tuple[str, Any]:
    key, part = item
    if chance.random() < 0.2:
        return damaged_text(key, chance), part
    return key, damaged_json(part, chance)


def json_bytes(value: Any, chance: random.Random) -> bytes:
    """JSON text, now and then with what `json.dumps` would not write."""
    text = json.dumps(value, separators=chance.choice([(",", ":"), (", ", ": ")]))
    kind = chance.random()
    if kind < 0.03:
        text = text.replace('"', "'")
    elif kind < 0.06 and '":' in text:
        at = text.index('":') + 2
        text = text[:at] + chance.choice(["NaN", "1e999", "-Infinity", "9" * 30, "[" * 99]) + ","
    elif kind < 0.1 and text.startswith('{"'):
        # A name that stands twice.
        text = "{" + text[1:-1] + "," + text[1:]
    return text.encode("utf-8", "surrogatepass")
