"""Zip archives out of parts: whatever the parts are, checksums, sizes and offsets are right.

Damage to the directory is made on purpose, in both of the places where a fact is written.
"""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass, field

from tests.attacks.fuzzing.mutations import EDGES, damaged_number, damaged_text

STORED, DEFLATED = 0, 8


@dataclass
class Part:
    """One member.

    Attributes:
        name, data, method: what it is.
        lies: field -> what the archive says instead of the truth: `size`, `stored_size`, `crc`,
            `offset`, `method`, `flags`, `name`.
        is_wide: whether its sizes are written in 64 bits.
    """

    name: str
    data: bytes
    method: int = STORED
    lies: dict[str, int | str] = field(default_factory=dict)
    is_wide: bool = False


def packed(parts: list[Part], padding: int = 0, end_lies: dict[str, int] | None = None) -> bytes:
    """The archive. `padding` bytes of extra field stand before each member's data."""
    out = bytearray()
    directory = bytearray()
    for part in parts:
        data = _deflated(part.data) if part.method == DEFLATED else part.data
        facts: dict[str, int | str] = {
            **{"flags": 0x800, "method": part.method, "crc": zlib.crc32(part.data)},
            **{"stored_size": len(data), "size": len(part.data), "offset": len(out)},
            **{"name": part.name, **part.lies},
        }
        number = {key: int(value) for key, value in facts.items() if key != "name"}
        name = str(facts["name"]).encode("utf-8", "surrogatepass")[:0xFFFF]
        extra = struct.pack("<HH", 0xFFFF, padding) + bytes(padding) if padding else b""
        head = (number["flags"] % 2**16, number["method"] % 2**16, 0, 0, number["crc"] % 2**32)
        wide = b""
        sizes = [number["stored_size"], number["size"]]
        offset = number["offset"]
        if part.is_wide or any(not 0 <= value < 2**32 - 1 for value in (*sizes, offset)):
            big = [value % 2**64 for value in (sizes[1], sizes[0], offset)]
            wide = struct.pack("<HHQQQ", 1, 24, *big)
            sizes, offset = [2**32 - 1] * 2, 2**32 - 1
        out += b"PK\x03\x04" + struct.pack("<5H", 45, *head[:4])
        out += struct.pack("<III", head[4], *sizes) + struct.pack("<HH", len(name), len(extra))
        out += name + extra + data
        directory += b"PK\x01\x02" + struct.pack("<6H", 45, 45, *head[:4])
        directory += struct.pack("<III", head[4], *sizes)
        directory += struct.pack("<HHHHHII", len(name), len(wide), 0, 0, 0, 0, offset)
        directory += name + wide
    end = {"count": len(parts), "size": len(directory), "offset": len(out), **(end_lies or {})}
    count, size, start = (end[key] for key in ("count", "size", "offset"))
    out += directory
    if any(part.is_wide for part in parts):
        record = len(out)
        out += b"PK\x06\x06" + struct.pack("<QHHII", 44, 45, 45, 0, 0)
        out += struct.pack("<QQQQ", *(value % 2**64 for value in (count, count, size, start)))
        out += b"PK\x06\x07" + struct.pack("<IQI", 0, record, 1)
        count, size, start = 0xFFFF, 2**32 - 1, 2**32 - 1
    count %= 2**16
    out += b"PK\x05\x06"
    out += struct.pack("<HHHHIIH", 0, 0, count, count, size % 2**32, start % 2**32, 0)
    return bytes(out)


def damaged_directory(parts: list[Part], chance: random.Random) -> bytes:
    """An archive whose directory lies about one or two members, or about itself."""
    changed = [Part(p.name, p.data, p.method, {}, chance.random() < 0.2) for p in parts]
    end_lies: dict[str, int] = {}
    for _ in range(chance.choice([1, 1, 2])):
        part = chance.choice(changed)
        kind = chance.randrange(8)
        if kind == 0:
            part.lies["name"] = chance.choice([damaged_text(part.name, chance), changed[0].name])
        elif kind == 1:
            part.lies["offset"] = chance.choice([*EDGES, *range(0, 400, 30)])
        elif kind == 2:
            key = chance.choice(["crc", "flags", "method"])
            part.lies[key] = chance.choice([0, 1, 8, 9, 0x41, 0x2000, 99])
        elif kind == 3:
            key = chance.choice(["count", "size", "offset"])
            end_lies[key] = chance.choice([*EDGES, len(parts) + 1])
        elif kind == 4:
            changed.insert(chance.randrange(len(changed)), part)
        elif kind == 5:
            part.method = DEFLATED - part.method
        else:
            size = damaged_number(len(part.data), chance)
            part.lies["size"] = size
            if chance.random() < 0.6:
                part.lies["stored_size"] = size
    return packed(changed, chance.choice([0, 0, 5]), end_lies)


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()
