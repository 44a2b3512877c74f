"""Pickles from strangers, read as data: nothing is imported, looked up or called by name.

A pickle is a program for a small stack machine. `pickle.Unpickler` runs it with the whole of
Python at hand, and overriding `find_class` does not close every door: objects that were let in
still receive `__setstate__`, attributes and method calls, and a one-byte opcode can ask for
gigabytes. So this file has its own machine. It knows plain values and containers; a global is
only a key into an allow-list whose entries are functions of this package that build plain data.

Memory and time are bounded: lengths are checked against the stored bytes before anything is
made, and what is made is counted against a budget that grows with the bytes that were read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.pickled_plain import (
    PLAIN_GLOBALS,
    Allowed,
    Record,
    Stateful,
    checked_key,
    plain_set,
    record,
)

__all__ = ["PLAIN_GLOBALS", "Allowed", "Record", "load_pickle", "record"]

# What may be allocated, in bytes: so much for nothing, and so much for each byte of the pickle
# that was read. A plain value takes at most 40 times its opcode, which is not even counted.
_FREE_MEMORY = 32_000_000
_MEMORY_PER_BYTE = 48
_MAX_OPCODES = 30_000_000

# What things take in CPython, rounded up.
_VALUE = 40
_CONTAINER = 240
_ENTRY = 120
_OBJECT = 500

_MAX_DEPTH_OF_MARKS = 10_000
_MAX_INTEGER_BYTES = 128
_MAX_LINE = 4096


class _Machine:
    """Runs one pickle; see `load_pickle`."""

    def __init__(
        self,
        buffer: Any,
        position: int,
        end: int,
        allowed: Mapping[str, Allowed],
        persistent_load: Callable[[Any], Any] | None,
    ) -> None:
        self.buffer = buffer
        self.position = position
        self.end = end
        self.allowed = allowed
        self.persistent_load = persistent_load
        self.start = position
        self.spent = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(_MAX_OPCODES):
            opcode = self.take(1)
            if opcode == b".":
                return self.pop()
            handler = _HANDLERS.get(opcode)
            if handler is None:
                raise ValueError(f"opcode {opcode!r} is not allowed in a checkpoint")
            handler(self)
        raise ValueError(f"it has more than {_MAX_OPCODES} opcodes")

    def spend(self, amount: int) -> None:
        """Draws on the budget of memory; called before the allocation where it is large."""
        self.spent += amount
        if self.spent > _FREE_MEMORY + _MEMORY_PER_BYTE * (self.position - self.start):
            raise ValueError("it builds much more than it holds, as no checkpoint does")

    # Reading

    def take(self, length: int) -> bytes:
        if length > self.end - self.position:
            raise ValueError(f"{length} bytes are announced, {self.end - self.position} are left")
        data = self.buffer[self.position : self.position + length]
        self.position += length
        return data

    def number(self, code: str) -> int:
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def line(self) -> bytes:
        limit = min(self.end, self.position + _MAX_LINE)
        stop = self.buffer.find(b"\n", self.position, limit)
        if stop < 0:
            raise ValueError("a line of text does not end")
        data = self.take(stop - self.position)
        self.position += 1
        return data

    # The stack

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("it takes more values from the stack than are there")
        return self.stack.pop()

    def pop_many(self, count: int) -> list[Any]:
        return [self.pop() for _ in range(count)][::-1]

    def pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise ValueError("it takes values up to a mark that is not there")
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def top(self, kind: Any, what: str) -> Any:
        value = self.pop()
        self.push(value)
        if type(value) is not kind:
            raise ValueError(f"{what} needs a {kind.__name__}, not a {type(value).__name__}")
        return value

    # Opcodes

    def protocol(self) -> None:
        version = self.take(1)[0]
        if version > 5:
            raise ValueError(f"pickle protocol {version} is unknown")

    def frame(self) -> None:
        length = self.number("<Q")
        if length > self.end - self.position:
            raise ValueError(f"a frame of {length} bytes, {self.end - self.position} are left")

    def mark(self) -> None:
        if len(self.marks) >= _MAX_DEPTH_OF_MARKS:
            raise ValueError("it is nested too deeply")
        self.marks.append(len(self.stack))

    def discard(self) -> None:
        if self.marks and len(self.stack) == self.marks[-1]:
            self.marks.pop()
        else:
            self.pop()

    def discard_to_mark(self) -> None:
        self.pop_to_mark()

    def duplicate(self) -> None:
        value = self.pop()
        self.push(value)
        self.push(value)

    def integer_line(self) -> None:
        text = self.line()
        if text in (b"00", b"01"):
            self.push(text == b"01")
        else:
            self.push(_decimal(text))

    def long_integer(self, code: str) -> None:
        length = self.number(code)
        if not 0 <= length <= _MAX_INTEGER_BYTES:
            raise ValueError(f"an integer of {length} bytes")
        self.push(int.from_bytes(self.take(length), "little", signed=True))

    def float_line(self) -> None:
        self.push(float(self.line().decode("ascii")))

    def text(self, code: str) -> None:
        self.push(self.take(self.number(code)).decode("utf-8", "surrogatepass"))

    def text_line(self) -> None:
        self.push(self.line().decode("raw_unicode_escape"))

    def old_text(self, code: str) -> None:
        """Python 2 wrote text and bytes alike; torch, too, takes it for UTF-8 first."""
        length = self.number(code)
        if length < 0:
            raise ValueError("a string of negative length")
        self._push_old(self.take(length))

    def old_text_line(self) -> None:
        quoted = self.line()
        if len(quoted) < 2 or quoted[:1] != quoted[-1:] or quoted[:1] not in (b"'", b'"'):
            raise ValueError("a string of protocol 0 is not quoted")
        if b"\\" in quoted:
            raise ValueError("strings with escapes of protocol 0 are not supported")
        self._push_old(quoted[1:-1])

    def _push_old(self, data: bytes) -> None:
        try:
            self.push(data.decode("utf-8"))
        except UnicodeDecodeError:
            self.push(data)

    def bytes_(self, code: str) -> None:
        self.push(self.take(self.number(code)))

    def empty(self, kind: Callable[[], Any]) -> None:
        self.spend(_CONTAINER)
        self.push(kind())

    def tuple_(self, count: int) -> None:
        self.spend(_VALUE)
        self.push(tuple(self.pop_many(count)))

    def container_to_mark(self, kind: Callable[[Any], Any]) -> None:
        values = self.pop_to_mark()
        self.spend(_CONTAINER + _VALUE * len(values))
        self.push(kind(values))

    def dictionary_to_mark(self) -> None:
        self.spend(_CONTAINER)
        result: dict[Any, Any] = {}
        self._fill(result, self.pop_to_mark())
        self.push(result)

    def append(self) -> None:
        value = self.pop()
        self.top(list, "APPEND").append(value)

    def extend(self) -> None:
        values = self.pop_to_mark()
        self.top(list, "APPENDS").extend(values)

    def set_item(self) -> None:
        values = self.pop_many(2)
        self._fill(self.top(dict, "SETITEM"), values)

    def set_items(self) -> None:
        values = self.pop_to_mark()
        self._fill(self.top(dict, "SETITEMS"), values)

    def _fill(self, target: dict[Any, Any], values: list[Any]) -> None:
        if len(values) % 2:
            raise ValueError("a key has no value")
        self.spend(_ENTRY * len(values))
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[checked_key(key)] = value

    def add_items(self) -> None:
        values = self.pop_to_mark()
        self.spend(_ENTRY * len(values))
        self.top(set, "ADDITEMS").update(checked_key(value) for value in values)

    def remember(self, index: int) -> None:
        if index < 0:
            raise ValueError("a negative memo index")
        self.spend(_ENTRY)
        value = self.pop()
        self.push(value)
        self.memo[index] = value

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise ValueError(f"nothing was remembered under {index}")
        self.push(self.memo[index])

    def find(self, module: str, name: str) -> None:
        key = f"{module}.{name}"
        found = self.allowed.get(key)
        if found is None:
            self._refuse(key)
        self.push(found)

    def _refuse(self, name: str) -> NoReturn:
        raise CheckpointError(
            f"it refers to {name[:200]!r}, which is not on the list of plain data that a "
            "checkpoint may hold. Nothing was run. If the file holds more than weights, load it "
            "in its own program and save the state dict alone, best as safetensors"
        )

    def global_line(self) -> None:
        self.find(self.line().decode("utf-8"), self.line().decode("utf-8"))

    def global_stack(self) -> None:
        module, name = self.pop_many(2)
        if type(module) is not str or type(name) is not str:
            raise ValueError("a global is not named by text")
        self.find(module, name)

    def call(self, function: Any, arguments: Any) -> None:
        if type(function) is not Allowed:
            raise ValueError(f"it calls a {type(function).__name__}")
        if function.build is None or type(arguments) is not tuple:
            raise ValueError(f"it calls {function.name} as only a hostile file does")
        self.spend(_OBJECT + sum(_cost(argument) for argument in arguments))
        try:
            self.push(function.build(*arguments))
        except CheckpointError:
            raise
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise ValueError(f"{function.name} does not take these arguments: {error}") from error

    def reduce(self) -> None:
        self.call(*self.pop_many(2))

    def new_with_keywords(self) -> None:
        kind, arguments, keywords = self.pop_many(3)
        if type(keywords) is not dict or keywords:
            raise ValueError("an object is made with keyword arguments")
        self.call(kind, arguments)

    def object_line(self) -> None:
        self.global_line()
        kind = self.pop()
        self.call(kind, tuple(self.pop_to_mark()))

    def object_stack(self) -> None:
        values = self.pop_to_mark()
        if not values:
            raise ValueError("an object has no class")
        self.call(values[0], tuple(values[1:]))

    def build(self) -> None:
        state = self.pop()
        target = self.pop()
        self.push(target)
        if type(target) is dict:
            # An OrderedDict keeps torch's bookkeeping in attributes (`_metadata`).
            return
        if not isinstance(target, Stateful):
            raise ValueError(f"it changes the inside of a {type(target).__name__}")
        parts = state if type(state) is tuple else (state,)
        self.spend(_OBJECT + sum(_cost(part) for part in parts))
        target.set_state(state)

    def persistent(self) -> None:
        identifier = self.pop()
        if self.persistent_load is None:
            raise ValueError("it refers to data outside of the pickle, and there is none")
        self.spend(_OBJECT)
        self.push(self.persistent_load(identifier))


def _cost(argument: Any) -> int:
    """What a function may allocate for an argument that it copies or encodes."""
    if isinstance(argument, dict | list | tuple | set):
        return _ENTRY * len(argument)
    return 2 * len(argument) if isinstance(argument, str | bytes) else 0


def _decimal(text: bytes) -> int:
    if len(text) > 2 * _MAX_INTEGER_BYTES:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text.removesuffix(b"L").decode("ascii"))


def _with(method: Callable[..., None], *arguments: Any) -> Callable[[_Machine], None]:
    return lambda machine: method(machine, *arguments)


def _push(value: Any) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(value)


def _number(code: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.number(code))


def _memo(method: Callable[..., None], code: str) -> Callable[[_Machine], None]:
    return lambda machine: method(machine, machine.number(code))


# Not here, and so refused: the extension registry (EXT1, EXT2, EXT4), persistent ids as text,
# and buffers outside of the stream. No checkpoint uses them.
_HANDLERS: dict[bytes, Callable[[_Machine], None]] = {
    b"\x80": _Machine.protocol,
    b"\x95": _Machine.frame,
    b"(": _Machine.mark,
    b"0": _Machine.discard,
    b"1": _Machine.discard_to_mark,
    b"2": _Machine.duplicate,
    b"N": _push(None),
    b"\x88": _push(True),
    b"\x89": _push(False),
    b"I": _Machine.integer_line,
    b"L": lambda machine: machine.push(_decimal(machine.line())),
    b"J": _number("<i"),
    b"K": _number("<B"),
    b"M": _number("<H"),
    b"\x8a": _with(_Machine.long_integer, "<B"),
    b"\x8b": _with(_Machine.long_integer, "<i"),
    b"F": _Machine.float_line,
    b"G": _number(">d"),
    b"S": _Machine.old_text_line,
    b"T": _with(_Machine.old_text, "<i"),
    b"U": _with(_Machine.old_text, "<B"),
    b"V": _Machine.text_line,
    b"X": _with(_Machine.text, "<I"),
    b"\x8c": _with(_Machine.text, "<B"),
    b"\x8d": _with(_Machine.text, "<Q"),
    b"B": _with(_Machine.bytes_, "<I"),
    b"C": _with(_Machine.bytes_, "<B"),
    b"\x8e": _with(_Machine.bytes_, "<Q"),
    b"\x96": _with(_Machine.bytes_, "<Q"),
    b")": _push(()),
    b"]": _with(_Machine.empty, list),
    b"}": _with(_Machine.empty, dict),
    b"\x8f": _with(_Machine.empty, set),
    b"\x85": _with(_Machine.tuple_, 1),
    b"\x86": _with(_Machine.tuple_, 2),
    b"\x87": _with(_Machine.tuple_, 3),
    b"t": _with(_Machine.container_to_mark, tuple),
    b"l": _with(_Machine.container_to_mark, list),
    b"\x91": _with(_Machine.container_to_mark, plain_set),
    b"d": _Machine.dictionary_to_mark,
    b"a": _Machine.append,
    b"e": _Machine.extend,
    b"s": _Machine.set_item,
    b"u": _Machine.set_items,
    b"\x90": _Machine.add_items,
    b"p": lambda machine: machine.remember(_decimal(machine.line())),
    b"q": _memo(_Machine.remember, "<B"),
    b"r": _memo(_Machine.remember, "<I"),
    b"\x94": lambda machine: machine.remember(len(machine.memo)),
    b"g": lambda machine: machine.recall(_decimal(machine.line())),
    b"h": _memo(_Machine.recall, "<B"),
    b"j": _memo(_Machine.recall, "<I"),
    b"c": _Machine.global_line,
    b"\x93": _Machine.global_stack,
    b"R": _Machine.reduce,
    b"\x81": _Machine.reduce,
    b"\x92": _Machine.new_with_keywords,
    b"i": _Machine.object_line,
    b"o": _Machine.object_stack,
    b"b": _Machine.build,
    b"Q": _Machine.persistent,
}


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
    machine = _Machine(buffer, offset, limit, names, persistent_load)
    try:
        return machine.run(), machine.position
    except (ValueError, OverflowError, struct.error) as error:
        raise CheckpointError(
            f"The pickle in {where} cannot be read: {error} (at byte {machine.position})."
        ) from error
