"""The golden data that tests/goldens/make_sentencepiece.py made with the reference programs."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import wordpiece_goldens

FOLDER = Path(__file__).parents[1] / "goldens" / "sentencepiece"
MODELS = ("albert", "plain")


def model(name: str) -> Path:
    return FOLDER / f"{name}.model"


@functools.cache
def texts() -> list[str]:
    own = json.loads((FOLDER / "corpus.json").read_text(encoding="ascii"))
    return wordpiece_goldens.texts() + own


@functools.cache
def _arrays() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "goldens.npz", allow_pickle=False) as stored:
        return dict(stored)


def note() -> dict[str, Any]:
    return json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))


def rows(key: str) -> list[list[int]]:
    ids = _arrays()[f"{key}/ids"].tolist()
    ends = np.cumsum(_arrays()[f"{key}/lengths"], dtype=int).tolist()
    return [ids[first:last] for first, last in zip([0, *ends], ends, strict=False)]
