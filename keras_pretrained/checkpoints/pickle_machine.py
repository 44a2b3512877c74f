"""The stack machine that pickles are programs for: its bytes, its stack, its budget.

What the opcodes do to it is in `pickle_values`, `pickle_containers` and `pickle_objects`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from keras_pretrained.checkpoints.pickled_plain import Allowed

# What may be allocated, in bytes: so much for nothing, and so much for each byte of the pickle
# that was read. A plain value takes at most 40 times its opcode, which is not even counted.
_FREE_MEMORY = 32_000_000
_MEMORY_PER_BYTE = 48

# What things take in CPython, rounded up.
VALUE = 40
CONTAINER = 240
ENTRY = 120
OBJECT = 500

_MAX_DEPTH_OF_MARKS = 10_000
_MAX_LINE = 4096


class Machine:
    """The state of one run.

    Attributes:
        position: of the next byte.
        end: where the bytes end.
        allowed: the globals that may be named.
        persistent_load: turns a persistent id into data.
        memo: what was remembered, by index.

    Every method raises `ValueError` when the pickle asks for what is not there.
    """

    def __init__(
        self,
        buffer: Any,
        position: int,
        end: int,
        allowed: Mapping[str, Allowed],
        persistent_load: Callable[[Any], Any] | None,
    ) -> None:
        self.position = position
        self.end = end
        self.allowed = allowed
        self.persistent_load = persistent_load
        self.memo: dict[int, Any] = {}
        self._buffer = buffer
        self._start = position
        self._spent = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []

    def spend(self, amount: int) -> None:
        """Draws on the budget of memory and work.

        Called before the allocation or the loop, so that neither can be larger than the budget.
        """
        self._spent += amount
        if self._spent > _FREE_MEMORY + _MEMORY_PER_BYTE * (self.position - self._start):
            raise ValueError("it builds much more than it holds, as no checkpoint does")

    # Bytes

    def take(self, length: int) -> bytes:
        """The next bytes."""
        if length > self.end - self.position:
            raise ValueError(f"{length} bytes are announced, {self.end - self.position} are left")
        data = self._buffer[self.position : self.position + length]
        self.position += length
        return data

    def number(self, code: str) -> int:
        """The next number, by its `struct` code."""
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def line(self) -> bytes:
        """The bytes up to the next line feed, which is skipped."""
        limit = min(self.end, self.position + _MAX_LINE)
        stop = self._buffer.find(b"\n", self.position, limit)
        if stop < 0:
            raise ValueError("a line of text does not end")
        data = self.take(stop - self.position)
        self.position += 1
        return data

    # The stack

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise ValueError("it takes more values from the stack than are there")
        return self._stack.pop()

    def pop_many(self, count: int) -> list[Any]:
        """The topmost values, the lowest first."""
        return [self.pop() for _ in range(count)][::-1]

    def pop_to_mark(self) -> list[Any]:
        """The values above the last mark, which is taken away, too."""
        if not self._marks:
            raise ValueError("it takes values up to a mark that is not there")
        mark = self._marks.pop()
        values = self._stack[mark:]
        del self._stack[mark:]
        return values

    def peek(self) -> Any:
        """The topmost value, which stays."""
        value = self.pop()
        self.push(value)
        return value

    def top(self, kind: Any, what: str) -> Any:
        """The topmost value, which stays and must be of one type."""
        value = self.peek()
        if type(value) is not kind:
            raise ValueError(f"{what} needs a {kind.__name__}, not a {type(value).__name__}")
        return value

    def mark(self) -> None:
        if len(self._marks) >= _MAX_DEPTH_OF_MARKS:
            raise ValueError("it is nested too deeply")
        self._marks.append(len(self._stack))

    def discard(self) -> None:
        """Takes away the topmost value, or the mark where that is topmost."""
        if self._marks and len(self._stack) == self._marks[-1]:
            self._marks.pop()
        else:
            self.pop()


Opcode = Callable[[Machine], None]
"""What one opcode does."""
