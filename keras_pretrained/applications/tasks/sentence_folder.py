"""What sentence-transformers writes beside an encoder: how a text becomes one vector."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_pretrained.presets import read_json

_POOLING_FILE, _ENCODER_FILE = "1_Pooling/config.json", "sentence_bert_config.json"
_POOLING = {"cls": "cls", "mean": "mean", "max": "max", "lasttoken": "last"}
# Each way of pooling was a boolean of its own until version 5.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}


def sentence_embedding(folder: str | os.PathLike[str]) -> Mapping[str, Any]:
    """`pooling` and `max_length` of a folder of sentence-transformers; empty for any other.

    Raises:
        ValueError: a kind of pooling, or a layer behind it, that no option here stands for.
        SourceError: a file that is no JSON object.
    """
    root = Path(folder)
    if not (root / _POOLING_FILE).is_file():
        return {}
    config = read_json(root / _POOLING_FILE)
    modes = config.get("pooling_mode") or [
        kind for flag, kind in _FLAGS.items() if config.get(flag)
    ]
    modes = [modes] if isinstance(modes, str) else modes
    behind = [path.parent.name for path in root.glob("[2-9]_Dense/config.json")]
    if len(modes) != 1 or modes[0] not in _POOLING or behind:
        raise ValueError(
            f"{str(root)!r} makes vectors by {' and '.join([*modes, *sorted(behind)])!r}. Expected "
            f"one kind of pooling alone: {', '.join(_POOLING)}. An explicit `pooling=` takes the "
            "encoder without what is behind it."
        )
    found: dict[str, Any] = {"pooling": _POOLING[modes[0]]}
    if (root / _ENCODER_FILE).is_file():
        length = read_json(root / _ENCODER_FILE).get("max_seq_length")
        if isinstance(length, int) and length > 0:
            found["max_length"] = length
    return found
