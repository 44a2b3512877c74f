"""Pickles from strangers, read as data: nothing is imported, looked up or called by name.

A pickle is a program for a small stack machine. `pickle.Unpickler` runs it with the whole of
Python at hand, and overriding `find_class` does not close every door: objects that were let in
still receive `__setstate__`, attributes and method calls, and a one-byte opcode can ask for
gigabytes. So this package has its own machine (`pickle_machine`). It knows plain values and
containers; a global is only a key into an allow-list whose entries are functions of this package
that build plain data.

Memory and time are bounded: lengths are checked against the stored bytes before anything is
made, and what is made is counted against a budget that grows with the bytes that were read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.pickle_containers import CONTAINER_OPCODES
from keras_pretrained.checkpoints.pickle_machine import Machine, Opcode
from keras_pretrained.checkpoints.pickle_objects import OBJECT_OPCODES
from keras_pretrained.checkpoints.pickle_values import VALUE_OPCODES
from keras_pretrained.checkpoints.pickled_plain import PLAIN_GLOBALS, Allowed, Record, record

__all__ = ["PLAIN_GLOBALS", "Allowed", "Record", "load_pickle", "record"]

_MAX_OPCODES = 30_000_000


def load_pickle(
    buffer: Any,
    where: str,
    *,
    offset: int = 0,
    end: int | None = None,
    allowed: Mapping[str, Allowed] = PLAIN_GLOBALS,
    stubs: Iterable[str] = (),
    persistent_load: Callable[[Any], Any] | None = None,
) -> tuple[Any, int]:
    """Reads one pickle as plain data.

    Args:
        buffer: `bytes` or a memory map.
        where: the file, and the part of it, for error messages.
        offset: where the pickle begins.
        end: where the bytes end that it may use; default: with the buffer.
        allowed: the globals that it may name.
        stubs: dotted names of further classes whose instances are harmless to keep as
            `Record`s, e.g. `"flair.data.Dictionary"`. They are never imported.
        persistent_load: turns a persistent id into data.

    Returns:
        The object and the position behind the pickle. Dictionaries of any kind are `dict`,
        `bytearray` is `bytes`, other objects are what `allowed` makes of them.

    Raises:
        CheckpointError: the pickle is damaged, hostile, or names another global.
    """
    limit = len(buffer) if end is None else end
    names = {**allowed, **{name: record(name) for name in stubs}}
    machine = Machine(buffer, offset, limit, names, persistent_load)
    try:
        return _run(machine), machine.position
    except (ValueError, OverflowError, struct.error) as error:
        raise CheckpointError(
            f"The pickle in {where} cannot be read: {error} (at byte {machine.position})."
        ) from error


def _run(machine: Machine) -> Any:
    for _ in range(_MAX_OPCODES):
        opcode = machine.take(1)
        if opcode == b".":
            return machine.pop()
        handler = _OPCODES.get(opcode)
        if handler is None:
            raise ValueError(f"opcode {opcode!r} is not allowed in a checkpoint")
        handler(machine)
    raise ValueError(f"it has more than {_MAX_OPCODES} opcodes")


def _protocol(machine: Machine) -> None:
    version = machine.take(1)[0]
    if version > 5:
        raise ValueError(f"pickle protocol {version} is unknown")


def _frame(machine: Machine) -> None:
    length = machine.number("<Q")
    if length > machine.end - machine.position:
        raise ValueError(
            f"a frame of {length} bytes, {machine.end - machine.position} bytes are left"
        )


_OPCODES: dict[bytes, Opcode] = {
    b"\x80": _protocol,
    b"\x95": _frame,
    **VALUE_OPCODES,
    **CONTAINER_OPCODES,
    **OBJECT_OPCODES,
}
