"""The opcodes of pickles that push plain values: numbers, texts and bytes."""

from __future__ import annotations

from typing import Any

from keras_pretrained.checkpoints.pickle_machine import Machine, Opcode

_MAX_INTEGER_BYTES = 128


def decimal(text: bytes) -> int:
    """An integer of protocol 0. Raises `ValueError` for one of more digits than any has."""
    if len(text) > 2 * _MAX_INTEGER_BYTES:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text.removesuffix(b"L").decode("ascii"))


def _integer_line(machine: Machine) -> None:
    text = machine.line()
    if text in (b"00", b"01"):
        machine.push(text == b"01")
    else:
        machine.push(decimal(text))


def _long_line(machine: Machine) -> None:
    machine.push(decimal(machine.line()))


def _float_line(machine: Machine) -> None:
    machine.push(float(machine.line().decode("ascii")))


def _text_line(machine: Machine) -> None:
    machine.push(machine.line().decode("raw_unicode_escape"))


def _old_text_line(machine: Machine) -> None:
    quoted = machine.line()
    if len(quoted) < 2 or quoted[:1] != quoted[-1:] or quoted[:1] not in (b"'", b'"'):
        raise ValueError("a string of protocol 0 is not quoted")
    if b"\\" in quoted:
        raise ValueError("strings with escapes of protocol 0 are not supported")
    machine.push(_old_text(quoted[1:-1]))


def _old_text(data: bytes) -> str | bytes:
    """Python 2 wrote text and bytes alike; torch, too, takes it for UTF-8 first."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def _push(value: Any) -> Opcode:
    return lambda machine: machine.push(value)


def _number(code: str) -> Opcode:
    return lambda machine: machine.push(machine.number(code))


def _long_integer(code: str) -> Opcode:
    def run(machine: Machine) -> None:
        length = machine.number(code)
        if not 0 <= length <= _MAX_INTEGER_BYTES:
            raise ValueError(f"an integer of {length} bytes")
        machine.push(int.from_bytes(machine.take(length), "little", signed=True))

    return run


def _bytes(code: str) -> Opcode:
    return lambda machine: machine.push(machine.take(machine.number(code)))


def _text(code: str) -> Opcode:
    def run(machine: Machine) -> None:
        machine.push(machine.take(machine.number(code)).decode("utf-8", "surrogatepass"))

    return run


def _counted_old_text(code: str) -> Opcode:
    def run(machine: Machine) -> None:
        length = machine.number(code)
        if length < 0:
            raise ValueError("a string of negative length")
        machine.push(_old_text(machine.take(length)))

    return run


VALUE_OPCODES: dict[bytes, Opcode] = {
    b"N": _push(None),
    b"\x88": _push(True),
    b"\x89": _push(False),
    b"I": _integer_line,
    b"L": _long_line,
    b"J": _number("<i"),
    b"K": _number("<B"),
    b"M": _number("<H"),
    b"\x8a": _long_integer("<B"),
    b"\x8b": _long_integer("<i"),
    b"F": _float_line,
    b"G": _number(">d"),
    b"S": _old_text_line,
    b"T": _counted_old_text("<i"),
    b"U": _counted_old_text("<B"),
    b"V": _text_line,
    b"X": _text("<I"),
    b"\x8c": _text("<B"),
    b"\x8d": _text("<Q"),
    b"B": _bytes("<I"),
    b"C": _bytes("<B"),
    b"\x8e": _bytes("<Q"),
    b"\x96": _bytes("<Q"),
    b")": _push(()),
}
