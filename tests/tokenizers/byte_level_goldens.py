"""The golden data that tests/goldens/make_byte_level_bpe.py made with the reference programs."""

from __future__ import annotations

import functools
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

GOLDENS = Path(__file__).parents[1] / "goldens"
FOLDER = GOLDENS / "byte_level_bpe"
PUBLISHED = Path(__file__).parents[2] / ".." / "shared" / "fixtures" / "gpt2"

# Ranges that Unicode has filled for long, so that programs of all ages agree on them.
BLOCKS = [
    (0x00, 0x24F),
    (0x300, 0x36F),
    (0x400, 0x52F),
    (0x5D0, 0x5EA),
    (0x620, 0x64A),
    (0x660, 0x669),
    (0x904, 0x977),
    (0xE01, 0xE3A),
    (0x2000, 0x2064),
    (0x2160, 0x2182),
    (0x2200, 0x22FF),
    (0x3000, 0x303F),
    (0x3041, 0x3096),
    (0x4E00, 0x9FA5),
    (0xAC00, 0xD7A3),
    (0xE000, 0xF8FF),
    (0xFE00, 0xFE0F),
    (0xFFF9, 0xFFFF),
    (0x1D400, 0x1D454),
    (0x1F300, 0x1F5FF),
    (0x1F600, 0x1F64F),
    (0x20000, 0x2A6D6),
    (0xE0020, 0xE007F),
    (0x10FF00, 0x10FFFF),
]
SNIPPETS = ["'s", "'S", "'ll", "'re", "'", "  ", "\r\n", "\t\t", "\n\n ", "1", "e\u0301", "\u200d"]
SNIPPETS += ["\u00a0", "\u3000", "\x85", "\u2028", "don't", " the", "THE", "\0", "\ufeff", "..."]


@functools.cache
def written_texts() -> list[str]:
    """The corpus of the WordPiece tests, and texts that are trouble for BPE."""
    texts = []
    for folder in ("wordpiece", "byte_level_bpe"):
        texts += json.loads((GOLDENS / folder / "corpus.json").read_text(encoding="ascii"))
    return texts


@functools.cache
def random_texts() -> list[str]:
    """4,000 strings of characters out of all blocks, and of snippets between them."""
    chance = random.Random(50256)
    texts = []
    for _ in range(4000):
        blocks = chance.choices(BLOCKS, k=chance.randint(1, 4))
        parts = []
        for _ in range(chance.randint(1, 40)):
            if chance.random() < 0.3:
                parts.append(chance.choice(SNIPPETS))
            else:
                parts.append(chr(chance.randint(*chance.choice(blocks))))
        texts.append("".join(parts))
    return texts


def long_texts() -> list[str]:
    """Words and runs of 100,000 characters."""
    every = ["a", "ab", " ", "\n", "!", "1", "\u4e2d", "\U0001f600", "e\u0301", "'s", " a"]
    return [part * (100_000 // len(part)) for part in every]


def digest(rows: list[list[int]]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@functools.cache
def arrays() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "goldens.npz", allow_pickle=False) as stored:
        return dict(stored)


@functools.cache
def facts() -> dict[str, Any]:
    return json.loads((FOLDER / "golden.json").read_text(encoding="ascii"))


def rows(key: str) -> list[list[int]]:
    ids = arrays()[f"{key}/ids"].tolist()
    ends = np.cumsum(arrays()[f"{key}/lengths"], dtype=int).tolist()
    return [ids[first:last] for first, last in zip([0, *ends], ends, strict=False)]
