"""JSON out of untrusted files."""

from __future__ import annotations

import json
from typing import Any

from keras_pretrained.checkpoints.checkpoint import CheckpointError


def parse_json_object(data: bytes, what: str) -> dict[str, Any]:
    """Parses a JSON object strictly: UTF-8, no duplicate names, no `NaN`.

    Args:
        data: the text. Its length is the caller's bound on memory.
        what: the file, and the part of it, for error messages.

    Raises:
        CheckpointError: it is anything else.
    """
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{what} is not valid JSON: {error}. Get the file again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(
            f"{what} is not valid: expected a JSON object, received {type(value).__name__}."
        )
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {name[:100]!r} stands twice in one object")
            seen.add(name)
    return result


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")
