"""Pickles as programs: instructions are changed, dropped, doubled and exchanged, none is cut."""

from __future__ import annotations

import pickletools
import random
import struct

from tests.attacks.fuzzing.mutations import (
    damaged_bytes,
    damaged_list,
    damaged_number,
    damaged_text,
)

GLOBALS = (
    *("os.system", "posix.system", "builtins.eval", "builtins.getattr", "subprocess.Popen"),
    *("collections.OrderedDict", "collections.defaultdict", "builtins.list", "builtins.set"),
    *("builtins.bytes", "builtins.bytearray", "argparse.Namespace", "_codecs.encode"),
    *("copyreg._reconstructor", "builtins.object", "torch.Size", "torch.device", "torch.float32"),
    *("torch.FloatStorage", "torch.BoolStorage", "torch.storage.UntypedStorage", "torch.Tensor"),
    *("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"),
    *("torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter"),
    *("torch._tensor._rebuild_from_type_v2", "numpy.dtype", "numpy.ndarray"),
    *("numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct"),
    *("numpy._core.numeric._frombuffer", "pathlib.PosixPath"),
)
_FRAME = b"\x95"
_PLAIN = (
    *(b"N", b"\x88", b"\x89", b")", b"]", b"}", b"\x8f", b"(", b"0", b"1", b"2", b"a", b"s"),
    *(b"R", b"\x81", b"b", b"Q", b"o", b"t", b"l", b"d", b"e", b"u", b"\x85", b"\x86", b"\x87"),
    *(b"\x90", b"\x91", b"\x92", b"\x93", b"\x94", b".", b"\x80\x04", b"h\x00", b"q\x00"),
    *(b"h\x01", b"K\x00", b"K\xff", b"\x82\x01", b"\x97", b"Px\n"),
)


def instructions(data: bytes) -> list[bytes]:
    """The instructions of the first pickle in `data`, one after the other.

    Frames are left out: they are optional, and the first that is too long ends everything.
    """
    starts = [position or 0 for _, _, position in pickletools.genops(data)]
    ends = [*starts[1:], starts[-1] + 1]
    found = [data[start:end] for start, end in zip(starts, ends, strict=True)]
    return [instruction for instruction in found if instruction[:1] != _FRAME]


def damaged_program(program: list[bytes], chance: random.Random) -> bytes:
    """A pickle whose instructions are damaged; it nearly always ends."""
    if chance.random() < 0.05:
        return damaged_bytes(b"".join(program), chance)
    changed = damaged_list(program, chance, _damaged_instruction)
    if changed[-1:] != [b"."] and chance.random() < 0.9:
        changed.append(b".")
    return b"".join(changed)


def _damaged_instruction(instruction: bytes, chance: random.Random) -> bytes:
    opcode = instruction[:1]
    if chance.random() < 0.15:
        return chance.choice(_PLAIN)
    if opcode in (b"X", b"\x8c", b"U", b"T", b"S", b"V"):
        skipped = {b"X": 5, b"T": 5, b"S": 2, b"V": 1}.get(opcode, 2)
        return text(damaged_text(instruction[skipped:].decode("utf-8", "replace"), chance))
    if opcode in (b"K", b"M", b"J", b"\x8a", b"I", b"L"):
        return integer(damaged_number(_value(instruction), chance))
    if opcode in (b"c", b"\x93"):
        return global_(chance.choice(GLOBALS))
    if opcode in (b"q", b"h"):
        return opcode + bytes([chance.randrange(40)])
    if opcode in (b"B", b"C"):
        return b"B" + struct.pack("<I", chance.randrange(40)) + instruction[5:]
    return chance.choice(_PLAIN)


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def global_(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def integer(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def _value(instruction: bytes) -> int:
    body = instruction[1:]
    if instruction[:1] in (b"I", b"L"):
        return int(body.strip().rstrip(b"L") or b"0")
    body = body[1:] if instruction[:1] == b"\x8a" else body
    return int.from_bytes(body, "little")
