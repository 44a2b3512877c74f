"""The files that the tests of word vectors read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
GOLDENS = ROOT / "tests" / "goldens" / "word_vectors"
FIXTURES = ROOT.parent / "shared" / "fixtures" / "vectors"

fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="absent: ../shared/fixtures/vectors")


def expected() -> dict[str, np.ndarray]:
    """What fastText and gensim say of the goldens; see tests/goldens/make_word_vectors.py."""
    return dict(np.load(GOLDENS / "expected.npz"))


def write_binary(path: Path, words: list[str], vectors: np.ndarray, line_feeds: bool) -> None:
    """word2vec's binary format, as its own program writes it or as gensim does."""
    end = b"\n" if line_feeds else b""
    with path.open("wb") as file:
        file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
        for word, row in zip(words, vectors.astype("<f4"), strict=True):
            file.write(word.encode() + b" " + row.tobytes() + end)
