"""The opcodes of pickles that name globals, call them and give objects a state.

In Python these are the ones that run code. Here a global is a key into a list of functions of
this package, and an object is one of its `Stateful`s.
"""

from __future__ import annotations

from typing import Any, NoReturn

from keras_pretrained.checkpoints.checkpoint import CheckpointError
from keras_pretrained.checkpoints.pickle_machine import ENTRY, OBJECT, VALUE, Machine, Opcode
from keras_pretrained.checkpoints.pickled_plain import Allowed, Stateful


def _find(machine: Machine, module: str, name: str) -> Allowed:
    key = f"{module}.{name}"
    found = machine.allowed.get(key)
    if found is None:
        _refuse(key)
    return found


def _refuse(name: str) -> NoReturn:
    raise CheckpointError(
        f"it refers to {name[:200]!r}, which is not on the list of plain data that a "
        "checkpoint may hold. Nothing was run. If the file holds more than weights, load it "
        "in its own program and save the state dict alone, best as safetensors"
    )


def _named_by_lines(machine: Machine) -> Allowed:
    return _find(machine, machine.line().decode("utf-8"), machine.line().decode("utf-8"))


def _global_lines(machine: Machine) -> None:
    machine.push(_named_by_lines(machine))


def _global_of_stack(machine: Machine) -> None:
    module, name = machine.pop_many(2)
    if type(module) is not str or type(name) is not str:
        raise ValueError("a global is not named by text")
    machine.push(_find(machine, module, name))


def _call(machine: Machine, function: Any, arguments: Any) -> None:
    if type(function) is not Allowed:
        raise ValueError(f"it calls a {type(function).__name__}")
    if function.build is None or type(arguments) is not tuple:
        raise ValueError(f"it calls {function.name} as only a hostile file does")
    _spend_on(machine, arguments)
    try:
        machine.push(function.build(*arguments))
    except CheckpointError:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise ValueError(f"{function.name} does not take these arguments: {error}") from error


def _spend_on(machine: Machine, values: tuple[Any, ...]) -> None:
    """Pays for what a function may make of its arguments, and for looking at them.

    One long tuple can be remembered and passed again and again, at three bytes a time.
    """
    machine.spend(OBJECT + VALUE * len(values))
    machine.spend(sum(_cost(value) for value in values))


def _cost(value: Any) -> int:
    if isinstance(value, dict | list | tuple | set):
        return ENTRY * len(value)
    return 2 * len(value) if isinstance(value, str | bytes) else 0


def _reduce(machine: Machine) -> None:
    function, arguments = machine.pop_many(2)
    _call(machine, function, arguments)


def _new_with_keywords(machine: Machine) -> None:
    kind, arguments, keywords = machine.pop_many(3)
    if type(keywords) is not dict or keywords:
        raise ValueError("an object is made with keyword arguments")
    _call(machine, kind, arguments)


def _object_by_lines(machine: Machine) -> None:
    kind = _named_by_lines(machine)
    _call(machine, kind, tuple(machine.pop_to_mark()))


def _object_of_stack(machine: Machine) -> None:
    values = machine.pop_to_mark()
    if not values:
        raise ValueError("an object has no class")
    _call(machine, values[0], tuple(values[1:]))


def _build(machine: Machine) -> None:
    state = machine.pop()
    target = machine.peek()
    if type(target) is dict:
        # An OrderedDict keeps torch's bookkeeping in attributes (`_metadata`).
        return
    if not isinstance(target, Stateful):
        raise ValueError(f"it changes the inside of a {type(target).__name__}")
    _spend_on(machine, state if type(state) is tuple else (state,))
    target.set_state(state)


def _persistent(machine: Machine) -> None:
    identifier = machine.pop()
    if machine.persistent_load is None:
        raise ValueError("it refers to data outside of the pickle, and there is none")
    machine.spend(OBJECT)
    machine.push(machine.persistent_load(identifier))


# Not here, and so refused: the extension registry (EXT1, EXT2, EXT4), persistent ids as text,
# and buffers outside of the stream. No checkpoint uses them.
OBJECT_OPCODES: dict[bytes, Opcode] = {
    b"c": _global_lines,
    b"\x93": _global_of_stack,
    b"R": _reduce,
    b"\x81": _reduce,
    b"\x92": _new_with_keywords,
    b"i": _object_by_lines,
    b"o": _object_of_stack,
    b"b": _build,
    b"Q": _persistent,
}
