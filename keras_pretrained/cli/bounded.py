"""Metadata out of files, of a size that can be printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_pretrained.checkpoints.describe import describe


def bounded(value: Any, budget: list[int] | None = None, depth: int = 0) -> Any:
    """A value out of a file as what JSON holds, of bounded size.

    A few stored bytes can build a list that contains itself a billion times over. What exceeds
    100,000 values, a million characters or ten levels is cut, and says so.
    """
    budget = [100_000, 1_000_000] if budget is None else budget
    budget[0] -= 1
    if budget[0] < 0 or depth > 10:
        return "... (cut)"
    if isinstance(value, Mapping):
        parts = {}
        for key, part in value.items():
            parts[bounded(str(key), budget, depth)] = bounded(part, budget, depth + 1)
            if budget[0] < 0:
                break
        return parts
    if isinstance(value, list | tuple | set):
        items = []
        for part in value:
            items.append(bounded(part, budget, depth + 1))
            if budget[0] < 0:
                break
        return items
    if isinstance(value, str):
        room = max(0, budget[1])
        budget[1] -= len(value)
        return value if len(value) <= room else f"{value[:room]}... (cut)"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() < 64:
        return value
    if isinstance(value, float) and abs(value) < float("inf"):
        return value
    return describe(value)
