"""Files of one header and raw data: safetensors, shards of it, `.npy`."""

from __future__ import annotations

import json
import random
import re
import struct
from pathlib import Path
from typing import Any

from keras_pretrained.checkpoints.numpy_files import open_npy
from keras_pretrained.checkpoints.safetensors import open_safetensors
from tests.attacks.fuzzing.mutations import (
    EDGES,
    damaged_bytes,
    damaged_json,
    damaged_list,
    damaged_text,
    json_bytes,
)
from tests.attacks.fuzzing.pickle_program import damaged_program, instructions
from tests.attacks.fuzzing.target import Files, Target, reading

_FIELDS = {"dtype", "shape", "data_offsets"}
_DTYPES = ("F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "F4", "C64")


def _split(stored: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack_from("<Q", stored)
    return json.loads(stored[8 : 8 + length]), stored[8 + length :]


def _joined(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def _damaged_entry(item: tuple[str, Any], chance: random.Random) -> tuple[str, Any]:
    """One tensor with a field that is wrong, or one that agrees with other wrong ones."""
    name, entry = item
    if not isinstance(entry, dict) or set(entry) != _FIELDS or chance.random() < 0.2:
        return name, damaged_json(entry, chance)
    entry = json.loads(json.dumps(entry))
    kind = chance.randrange(5)
    if kind == 0:
        entry["dtype"] = chance.choice(_DTYPES)
    elif kind == 1:
        entry["shape"] = damaged_list(entry["shape"], chance, lambda n, c: c.choice(EDGES))
    elif kind == 2:
        entry["data_offsets"] = damaged_list(entry["data_offsets"], chance, damaged_json)
    elif kind == 3:
        # Right for this entry alone: only the others can tell.
        size = chance.choice([1, 2, 30, *EDGES])
        entry.update(dtype="U8", shape=[size], data_offsets=[0, size])
    else:
        name = damaged_text(name, chance)
    return name, entry


def _damaged_safetensors(stored: bytes, chance: random.Random) -> bytes:
    header, data = _split(stored)
    kind = chance.random()
    if kind < 0.04:
        return damaged_bytes(stored, chance, 500)
    if kind < 0.1:
        return _joined(json_bytes(header, chance), damaged_bytes(data, chance))
    if kind < 0.8:
        header = dict(damaged_list(list(header.items()), chance, _damaged_entry))
    else:
        header = damaged_json(header, chance)
    text = json_bytes(header, chance)
    return _joined(text if text[:1] == b"{" else b'{"x":' + text + b"}", data)


def safetensors(seeds: Path) -> Target:
    stored = (seeds / "a.safetensors").read_bytes()
    return Target(
        "safetensors",
        lambda chance: {"a.safetensors": _damaged_safetensors(stored, chance)},
        lambda: [{"a.safetensors": stored}],
        reading(open_safetensors),
        ("safetensors.open_safetensors", "json_text.parse_json_object"),
    )


def shard_index(seeds: Path) -> Target:
    """The index of two shards; now and then a shard is damaged, too."""
    _, data = _split((seeds / "a.safetensors").read_bytes())
    first = {
        "empty": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]},
        "other": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
    }
    second = {"x": {"dtype": "U8", "shape": [3, 1], "data_offsets": [0, 3]}}
    shards = {
        "m-00001-of-00002.safetensors": _joined(json.dumps(first).encode(), data[:4]),
        "m-00002-of-00002.safetensors": _joined(json.dumps(second).encode(), data[:3]),
    }
    names = list(shards)
    places = {**dict.fromkeys(first, names[0]), "x": names[1]}
    index = {"metadata": {"total_size": 42}, "weight_map": places}

    def make(chance: random.Random) -> Files:
        text = json.dumps(index).encode()
        files = dict(shards)
        if chance.random() < 0.25:
            name = chance.choice(names)
            files[name] = _damaged_safetensors(files[name], chance)
        elif chance.random() < 0.05:
            text = damaged_bytes(text, chance)
        else:
            changed = dict(index)
            if chance.random() < 0.7:
                # Whole names, which lead somewhere.
                other = [*names, "..", "../m", "/etc/passwd", "a/b", "m.safetensors.index.json", ""]
                items = damaged_list(
                    list(places.items()), chance, lambda item, c: (item[0], c.choice(other))
                )
                changed["weight_map"] = dict(items)
            text = json_bytes(damaged_json(changed, chance), chance)
        return {"m.safetensors.index.json": text, **files}

    return Target(
        "shard index",
        make,
        lambda: [{"m.safetensors.index.json": json.dumps(index).encode(), **shards}],
        doors=(
            *("json_text.parse_json_object", "opening._open_file"),
            "safetensors.open_safetensors",
        ),
    )


_TOKEN = re.compile(rb"[A-Za-z_]+|[0-9]+|'[^']*'|\s+|.", re.DOTALL)
_KEYS = (b"'descr'", b"'fortran_order'", b"'shape'")
_DESCRIPTIONS = (
    *(b"f4", b"f8", b"f2", b"i8", b"u1", b"b1", b"c8", b"V2", b"S5", b"S0", b"U3", b"U999999"),
    *(b"O", b"f9", b"M8", b"V8", b"i"),
)
_NPY_TOKENS = (
    *(b"True", b"None", b"(2, 2)", b"2, 2", b"'x'"),
    *(b"(", b")", b"[", b"]", b"{", b"}", b",", b":", b"-", b"1e5", b"0x10", b"9" * 30, b"'shape'"),
)


def _damaged_token(token: bytes, chance: random.Random) -> bytes:
    if token.isdigit():
        return b"%d" % chance.choice([0, 1, *EDGES, int(token) + 1, 2 * int(token)])
    if token in (b"True", b"False"):
        return b"True" if token == b"False" else b"False"
    if token[:1] == b"'" and chance.random() < 0.8:
        return b"'" + chance.choice(b"<>|=").to_bytes() + chance.choice(_DESCRIPTIONS) + b"'"
    return chance.choice(_NPY_TOKENS)


def damaged_npy(stored: bytes, chance: random.Random) -> bytes:
    """A `.npy` file with a changed header of the right length, or a changed pickle."""
    start = 10 + int.from_bytes(stored[8:10], "little")
    header, data = stored[10:start], stored[start:]
    kind = chance.random()
    if kind < 0.03:
        return damaged_bytes(stored, chance, start)
    if b"'|O'" in header and kind < 0.8:
        return stored[:start] + damaged_program(instructions(data), chance)

    def is_grammar(token: bytes) -> bool:
        return not token.strip(b" ,:(){}\n")

    if kind < 0.15:
        data = damaged_bytes(data, chance)
    else:
        tokens = _TOKEN.findall(header)
        for _ in range(chance.choice([1, 1, 1, 2])):
            at = chance.randrange(len(tokens))
            # The grammar around the values is one pattern, which most damage to it ends at.
            while tokens[at] in _KEYS or (is_grammar(tokens[at]) and chance.random() < 0.9):
                at = chance.randrange(len(tokens))
            tokens[at] = _damaged_token(tokens[at], chance)
        header = b"".join(tokens)
    if chance.random() < 0.1:
        return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header + data
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npy(seeds: Path) -> Target:
    stored = [(seeds / name).read_bytes() for name in ("plain.npy", "objects.npy")]
    return Target(
        "npy",
        lambda chance: {"a.npy": damaged_npy(chance.choice(stored), chance)},
        lambda: [{"a.npy": data} for data in stored],
        reading(open_npy),
        # A header that is none is refused by a pattern, as a whole.
        ("numpy_files._read_header",),
        minimum=0.5,
        allowance=40_000_000,
    )
