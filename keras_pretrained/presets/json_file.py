"""Small JSON files from strangers, such as a checkpoint's configuration."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from keras_pretrained.presets.located import SourceError

_LIMIT = 4 * 1024 * 1024


def read_json(
    path: str | os.PathLike[str], limit: int = _LIMIT, kind: str = "configuration"
) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: a regular file in UTF-8.
        limit: bytes; a larger file is refused. Configurations take a few kilobytes.
        kind: what the file should be, for messages.

    Raises:
        SourceError: not a regular file, too large, not JSON, or not an object.
    """
    file = Path(path)
    # Opening anything else, such as a pipe, could wait for ever.
    if not file.is_file():
        raise SourceError(f"{str(file)!r} is not a file. Expected a JSON {kind}.")
    with file.open("rb") as stream:
        # Memory for what is asked for is set aside at once, however short the file.
        data = stream.read(min(os.fstat(stream.fileno()).st_size, limit) + 1)
    if len(data) > limit:
        raise SourceError(
            f"{str(file)!r} is larger than {limit:,} bytes ({file.stat().st_size:,}), which no "
            f"{kind} is. Check that it is the right file."
        )
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{str(file)!r} is not a valid JSON file: {error}") from error
    if not isinstance(value, dict):
        raise SourceError(
            f"{str(file)!r} holds a JSON {type(value).__name__}. Expected an object: {{...}}."
        )
    return value
