"""The golden data that tests/goldens/make_wordpiece.py made with the reference programs."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[1] / "goldens" / "wordpiece"
LOWERCASE = {"uncased": True, "cased": False, "chinese": True}


@functools.cache
def texts() -> list[str]:
    return json.loads((FOLDER / "corpus.json").read_text(encoding="ascii"))


@functools.cache
def arrays() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "goldens.npz", allow_pickle=False) as stored:
        return dict(stored)


def facts() -> dict[str, Any]:
    return json.loads(arrays()["facts"].tobytes())


def rows(key: str) -> list[list[int]]:
    ids = arrays()[f"{key}/ids"].tolist()
    ends = np.cumsum(arrays()[f"{key}/lengths"], dtype=int).tolist()
    return [ids[first:last] for first, last in zip([0, *ends], ends, strict=False)]
