"""Values out of untrusted files, as short text for error messages."""

from __future__ import annotations

from typing import Any

_LENGTH = 80


def describe(value: Any) -> str:
    """A short text for any value.

    `str()` would not do: a few stored bytes can build a list that contains itself a billion
    times over, and then its text takes all memory.
    """
    if isinstance(value, list | tuple):
        parts = [_scalar(part) for part in value[:8]] + ["..."] * (len(value) > 8)
        text = ", ".join(parts)
        return f"[{text}]" if isinstance(value, list) else f"({text})"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str | bytes):
        return repr(value[:_LENGTH])
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        return (
            repr(value) if value.bit_length() < 200 else f"an integer of {value.bit_length()} bits"
        )
    return f"a {type(value).__name__}"
