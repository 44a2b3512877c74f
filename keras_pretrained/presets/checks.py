"""Strict reading of what a table holds: whatever is unknown or of the wrong type is an error."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from keras_pretrained.presets.preset import PresetError


def check(
    entries: Mapping[str, Any],
    types: Mapping[str, type],
    where: str,
    required: Iterable[str] = (),
) -> None:
    """Fails unless every entry is known and of exactly its type, and no required one is missing."""
    for key, value in entries.items():
        known(key, types, f"{where}, entry")
        # Exact types: `True` is an int and a date-time is a date to isinstance.
        if type(value) is not types[key]:
            raise PresetError(
                f"{where}: {key!r} must be of type {types[key].__name__}, "
                f"not {type(value).__name__} ({value!r})."
            )
    missing = [key for key in required if key not in entries]
    if missing:
        raise PresetError(f"{where}: missing {', '.join(missing)}.")


def strings(values: list[Any], where: str, title: str) -> tuple[str, ...]:
    """The values, all of which must be strings."""
    for value in values:
        if type(value) is not str:
            raise PresetError(f"{where}: {title} must be strings, not {value!r}.")
    return tuple(values)


def match(pattern: re.Pattern[str], text: str, where: str, title: str, expected: str) -> None:
    """Fails unless the whole text matches."""
    if not pattern.fullmatch(text):
        raise PresetError(f"{where}: wrong {title} {text!r}. Expected: {expected}.")


def known(value: str, allowed: Collection[str], where: str) -> None:
    """Fails unless the value is one of those allowed."""
    if value not in allowed:
        expected = ", ".join(allowed) or "nothing"
        raise PresetError(f"{where}: unknown value {value!r}. Expected: {expected}.")
