"""Protocol buffers as trees of fields: lengths are right again after any change."""

from __future__ import annotations

import random

from tests.attacks.fuzzing.mutations import damaged_bytes, damaged_list, damaged_number
from tests.checkpoints.tf_files import varint

# Number, wire type, and an integer, bytes, or the fields of a message.
Field = tuple[int, int, "int | bytes | list[Field]"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def damaged_message(data: bytes, chance: random.Random) -> bytes:
    """An encoded message with a field somewhere inside of it damaged."""
    return encoded(damaged_list(parsed(data) or [], chance, _damaged_field))


def parsed(data: bytes) -> list[Field] | None:
    """The fields of a message; None when the bytes are none.

    Bytes that happen to be a message, too, are taken for one: encoding gives the same bytes.
    """
    fields: list[Field] = []
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if at < 0 or not 0 < number < 2**29:
            return None
        if wire == _VARINT:
            value, at = _read_varint(data, at)
            fields.append((number, wire, value))
        elif wire == _BYTES:
            length, at = _read_varint(data, at)
            if at < 0 or at + length > len(data):
                return None
            body = data[at : at + length]
            inner = parsed(body)
            at += length
            is_message = inner and encoded(inner) == body
            fields.append((number, wire, inner if inner and is_message else body))
        elif wire in (_FIXED32, _FIXED64):
            width = 4 if wire == _FIXED32 else 8
            fields.append((number, wire, int.from_bytes(data[at : at + width], "little")))
            at += width
        else:
            return None
        if not 0 <= at <= len(data):
            return None
    return fields


def encoded(fields: list[Field]) -> bytes:
    out = bytearray()
    for number, wire, value in fields:
        out += varint(number << 3 | wire)
        if isinstance(value, list):
            value = encoded(value)
        if isinstance(value, bytes):
            out += varint(len(value)) + value
        elif wire == _VARINT:
            out += varint(value)
        else:
            width = 4 if wire == _FIXED32 else 8
            out += (value % 2 ** (8 * width)).to_bytes(width, "little")
    return bytes(out)


def _damaged_field(field: Field, chance: random.Random) -> Field:
    number, wire, value = field
    kind = chance.random()
    if kind < 0.08:
        return chance.choice([0, 1, 2, 3, 5, 7, 2**28]) or number, wire, value
    if kind < 0.16:
        return number, _VARINT, chance.choice([0, 1, 2**63])
    if kind < 0.2:
        return number, _BYTES, encoded([field])
    if isinstance(value, list):
        return number, wire, damaged_list(value, chance, _damaged_field)
    if isinstance(value, bytes):
        return number, wire, damaged_bytes(value, chance)
    return number, wire, damaged_number(value, chance)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number and the position behind it, which is -1 when there is none."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            return 0, -1
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    return 0, -1
