"""What every pickle may name: containers, bytes, and `argparse.Namespace` as an inert record.

An entry is a function of this file that turns stored arguments into plain data. It may raise
`TypeError` or `ValueError` on any arguments; it must allocate no more than they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_MAX_KEY_LENGTH = 16


@dataclass(frozen=True)
class Allowed:
    """A global that a pickle may name.

    Attributes:
        name: dotted, as the pickle spells it.
        build: makes plain data out of the arguments of a call; None: a mere marker.
    """

    name: str
    build: Callable[..., Any] | None = field(default=None, repr=False)


class Stateful:
    """Base of the objects of this package that a pickle may give a state (its BUILD opcode)."""

    def set_state(self, state: Any) -> None:
        """Takes the state as data. Raises `ValueError` when it is not what it must be."""
        raise NotImplementedError


@dataclass(eq=False)
class Record(Stateful):
    """An object of a foreign class, reduced to what was stored: no class, no behaviour.

    Attributes:
        name: the class as the pickle spells it, e.g. `"argparse.Namespace"`.
        arguments: what its constructor would have received.
        state: its attributes.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    state: dict[Any, Any] = field(default_factory=dict)

    def set_state(self, state: Any) -> None:
        """Takes the state as data: a dictionary, or a pair of dictionaries (slots)."""
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.state.update(part)
            elif part is not None:
                self.state[""] = part


def record(name: str) -> Allowed:
    """Allows a class by name; its instances become inert `Record`s."""
    return Allowed(name, lambda *arguments: Record(name, arguments))


def _ordered_dict(items: Any = ()) -> dict[Any, Any]:
    return _pairs(items.items() if isinstance(items, dict) else items)


def _pairs(items: Any) -> dict[Any, Any]:
    result = {}
    for item in items:
        if not isinstance(item, list | tuple) or len(item) != 2:
            raise ValueError("expected pairs")
        result[checked_key(item[0])] = item[1]
    return result


def _default_dict(factory: Any = None, *items: Any) -> dict[Any, Any]:
    return _ordered_dict(*items)


def _plain_list(items: Any = ()) -> list[Any]:
    return list(_checked_iterable(items))


def _plain_tuple(items: Any = ()) -> tuple[Any, ...]:
    return tuple(_checked_iterable(items))


def plain_set(items: Any = ()) -> set[Any]:
    return {checked_key(item) for item in _checked_iterable(items)}


def _checked_iterable(items: Any) -> Any:
    if not isinstance(items, list | tuple | set | frozenset):
        raise ValueError("expected a list, tuple or set")
    return items


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """`_codecs.encode`, by which Python 3 writes bytes in protocol 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("expected text and 'latin1'")
    return text.encode("latin-1")


def _bytes(*arguments: Any) -> bytes:
    """`bytes()`, by which protocol 2 writes the empty ones."""
    if arguments:
        raise ValueError("expected no arguments")
    return b""


def _bytearray(content: Any = b"", encoding: Any = "latin-1") -> bytes:
    return content if isinstance(content, bytes) else _encode(content, encoding)


def _reconstructor(kind: Any, base: Any, state: Any) -> Any:
    """`copyreg._reconstructor`, by which protocols 0 and 1 make objects."""
    if not isinstance(kind, Allowed) or kind.build is None or state is not None:
        raise ValueError("expected an allowed class without base state")
    return kind.build()


def _either(modules: Iterable[str], name: str, build: Any = None) -> dict[str, Allowed]:
    return {f"{module}.{name}": Allowed(f"{module}.{name}", build) for module in modules}


_BUILTINS = ("builtins", "__builtin__")

PLAIN_GLOBALS: Mapping[str, Allowed] = {
    **_either(["collections"], "OrderedDict", _ordered_dict),
    **_either(["collections"], "defaultdict", _default_dict),
    **_either(["collections"], "Counter", _ordered_dict),
    **_either(_BUILTINS, "dict", _ordered_dict),
    **_either(_BUILTINS, "list", _plain_list),
    **_either(_BUILTINS, "tuple", _plain_tuple),
    **_either(_BUILTINS, "set", plain_set),
    **_either(_BUILTINS, "frozenset", plain_set),
    **_either(_BUILTINS, "bytes", _bytes),
    **_either(_BUILTINS, "bytearray", _bytearray),
    **_either(_BUILTINS, "object"),
    **_either(["_codecs"], "encode", _encode),
    **_either(["copyreg", "copy_reg"], "_reconstructor", _reconstructor),
    "argparse.Namespace": record("argparse.Namespace"),
}
"""What every pickle may name: containers, bytes, and `argparse.Namespace` as a record."""


def checked_key(key: Any) -> Any:
    """Keys whose hashing cannot be made slow: text, small numbers, short tuples of text.

    Nested tuples that share their parts take exponential time to hash, and integers of any
    size can be made to collide.
    """
    kind = type(key)
    if kind in (str, bytes, bool, type(None), float, Allowed):
        return key
    if kind is int and -(2**63) <= key < 2**64:
        return key
    is_short = kind is tuple and len(key) <= _MAX_KEY_LENGTH
    if is_short and all(type(part) in (str, bytes) for part in key):
        return key
    raise ValueError(f"a dictionary or set is keyed by a {kind.__name__} that cannot be a key")
