"""The opcodes of pickles that make containers, fill them, and remember values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_pretrained.checkpoints.pickle_machine import CONTAINER, ENTRY, VALUE, Machine, Opcode
from keras_pretrained.checkpoints.pickle_values import decimal
from keras_pretrained.checkpoints.pickled_plain import checked_key, plain_set

# Longer ones can be chosen such that their hashes are equal, and each look-up takes all of them.
_MAX_MEMO_INDEX = 2**32


def _empty(kind: Callable[[], Any]) -> Opcode:
    def run(machine: Machine) -> None:
        machine.spend(CONTAINER)
        machine.push(kind())

    return run


def _tuple(count: int) -> Opcode:
    def run(machine: Machine) -> None:
        machine.spend(VALUE)
        machine.push(tuple(machine.pop_many(count)))

    return run


def _to_mark(kind: Callable[[Any], Any]) -> Opcode:
    def run(machine: Machine) -> None:
        values = machine.pop_to_mark()
        machine.spend(CONTAINER + VALUE * len(values))
        machine.push(kind(values))

    return run


def _dictionary_to_mark(machine: Machine) -> None:
    machine.spend(CONTAINER)
    result: dict[Any, Any] = {}
    _fill(machine, result, machine.pop_to_mark())
    machine.push(result)


def _append(machine: Machine) -> None:
    value = machine.pop()
    machine.top(list, "APPEND").append(value)


def _extend(machine: Machine) -> None:
    values = machine.pop_to_mark()
    machine.top(list, "APPENDS").extend(values)


def _set_item(machine: Machine) -> None:
    values = machine.pop_many(2)
    _fill(machine, machine.top(dict, "SETITEM"), values)


def _set_items(machine: Machine) -> None:
    values = machine.pop_to_mark()
    _fill(machine, machine.top(dict, "SETITEMS"), values)


def _fill(machine: Machine, target: dict[Any, Any], values: list[Any]) -> None:
    if len(values) % 2:
        raise ValueError("a key has no value")
    machine.spend(ENTRY * len(values))
    for key, value in zip(values[::2], values[1::2], strict=True):
        target[checked_key(key)] = value


def _add_items(machine: Machine) -> None:
    values = machine.pop_to_mark()
    machine.spend(ENTRY * len(values))
    machine.top(set, "ADDITEMS").update(checked_key(value) for value in values)


def _duplicate(machine: Machine) -> None:
    machine.push(machine.peek())


def _discard_to_mark(machine: Machine) -> None:
    machine.pop_to_mark()


def _remember(machine: Machine, index: int) -> None:
    if not 0 <= index < _MAX_MEMO_INDEX:
        raise ValueError("a memo index that no program writes")
    machine.spend(ENTRY)
    machine.memo[index] = machine.peek()


def _recall(machine: Machine, index: int) -> None:
    if index not in machine.memo:
        raise ValueError(f"nothing was remembered under {index}")
    machine.push(machine.memo[index])


def _by_line(method: Callable[[Machine, int], None]) -> Opcode:
    return lambda machine: method(machine, decimal(machine.line()))


def _by_number(method: Callable[[Machine, int], None], code: str) -> Opcode:
    return lambda machine: method(machine, machine.number(code))


CONTAINER_OPCODES: dict[bytes, Opcode] = {
    b"(": Machine.mark,
    b"0": Machine.discard,
    b"1": _discard_to_mark,
    b"2": _duplicate,
    b"]": _empty(list),
    b"}": _empty(dict),
    b"\x8f": _empty(set),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"t": _to_mark(tuple),
    b"l": _to_mark(list),
    b"\x91": _to_mark(plain_set),
    b"d": _dictionary_to_mark,
    b"a": _append,
    b"e": _extend,
    b"s": _set_item,
    b"u": _set_items,
    b"\x90": _add_items,
    b"p": _by_line(_remember),
    b"q": _by_number(_remember, "<B"),
    b"r": _by_number(_remember, "<I"),
    b"\x94": lambda machine: _remember(machine, len(machine.memo)),
    b"g": _by_line(_recall),
    b"h": _by_number(_recall, "<B"),
    b"j": _by_number(_recall, "<I"),
}
