"""torch's two containers and pickles alone: the program is damaged, the container is right."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.pickled_state import flatten
from keras_pretrained.checkpoints.restricted_pickle import load_pickle
from keras_pretrained.checkpoints.torch_files import open_torch
from keras_pretrained.checkpoints.torch_tensors import TORCH_GLOBALS, storage_from_id
from tests.attacks.fuzzing.mutations import damaged_bytes, damaged_number
from tests.attacks.fuzzing.pickle_program import damaged_program, instructions
from tests.attacks.fuzzing.target import Target, reading
from tests.attacks.fuzzing.targets.archives import DOORS, parts_of
from tests.attacks.fuzzing.zip_parts import DEFLATED, Part, packed

# What `load_pickle` may build for nothing.
_ALLOWANCE = 40_000_000


def torch_zip(seeds: Path) -> Target:
    stored = [(seeds / f"{name}.pth").read_bytes() for name in ("nested", "layouts")]
    honest = [parts_of(data) for data in stored]
    programs = [instructions(_pickle(parts).data) for parts in honest]

    def make(chance: random.Random) -> dict[str, bytes]:
        which = chance.randrange(len(honest))
        parts = [Part(part.name, part.data) for part in honest[which]]
        kind = chance.random()
        if kind < 0.7:
            _pickle(parts).data = damaged_program(programs[which], chance)
        elif kind < 0.95:
            part = chance.choice([part for part in parts if "/data/" in part.name])
            part.data = damaged_bytes(part.data, chance)
            if chance.random() < 0.3:
                parts.append(Part(part.name.split("/")[0] + "/byteorder", b"big"))
        else:
            return {"a.pth": damaged_bytes(packed(parts), chance)}
        for part in parts:
            part.method = DEFLATED if chance.random() < 0.1 else 0
        return {"a.pth": packed(parts, chance.choice([0, 24]))}

    return Target(
        "torch zip",
        make,
        lambda: [{"a.pth": data} for data in stored],
        reading(open_torch),
        (*DOORS, "torch_files.open_torch"),
        allowance=_ALLOWANCE,
    )


def _pickle(parts: list[Part]) -> Part:
    return next(part for part in parts if part.name.endswith("data.pkl"))


def torch_stream(seeds: Path) -> Target:
    stored = [(seeds / f"{name}_legacy.pth").read_bytes() for name in ("nested", "layouts")]

    def make(chance: random.Random) -> dict[str, bytes]:
        data = chance.choice(stored)
        programs, rest = _programs(data)
        kind = chance.random()
        if kind < 0.8:
            which = chance.choice([1, 2, 3, 3, 3, 3, 4, 4])
            changed = [b"".join(program) for program in programs]
            changed[which] = damaged_program(programs[which], chance)
            return {"a.pth": b"".join(changed) + rest}
        if kind < 0.95:
            # The first count of elements, or what follows it.
            (count,) = struct.unpack_from("<q", rest)
            if chance.random() < 0.5:
                count = max(-(2**63), min(2**63 - 1, damaged_number(count, chance)))
                rest = struct.pack("<q", count) + rest[8:]
            else:
                rest = rest[:8] + damaged_bytes(rest[8:], chance)
            return {"a.pth": data[: -len(rest)] + rest}
        return {"a.pth": damaged_bytes(data, chance)}

    return Target(
        "torch stream",
        make,
        lambda: [{"a.pth": data} for data in stored],
        reading(open_torch),
        ("torch_files.open_torch", "torch_files._open_stream"),
        allowance=_ALLOWANCE,
    )


def _programs(data: bytes) -> tuple[list[list[bytes]], bytes]:
    """The five pickles of a stream, and the storages behind them."""
    programs = []
    for _ in range(5):
        programs.append(instructions(data))
        data = data[sum(map(len, programs[-1])) :]
    return programs, data


def pickle_alone(seeds: Path) -> Target:
    """No container and no doors: the machine runs from the first byte."""
    names = ("nested", "layouts")
    stored = [_pickle(parts_of((seeds / f"{name}.pth").read_bytes())).data for name in names]
    start = 10 + int.from_bytes((seeds / "objects.npy").read_bytes()[8:10], "little")
    stored.append((seeds / "objects.npy").read_bytes()[start:])
    programs = [instructions(data) for data in stored]

    def read(path: Path) -> None:
        found, _ = load_pickle(
            FileBytes(path).buffer,
            str(path),
            allowed=TORCH_GLOBALS,
            persistent_load=lambda identifier: storage_from_id(identifier)[0],
        )
        flatten(found, str(path))

    return Target(
        "pickle",
        lambda chance: {"a.pkl": damaged_program(chance.choice(programs), chance)},
        lambda: [{"a.pkl": data} for data in stored],
        read,
        minimum=1.0,
        allowance=_ALLOWANCE,
    )
