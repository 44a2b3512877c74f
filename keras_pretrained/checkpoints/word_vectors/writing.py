"""Word vectors back into the formats that the original programs read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

WRITTEN = ("glove", "word2vec", "word2vec-text", "fasttext")
_ROWS = 1000


def write_word_vectors(
    path: str | os.PathLike[str],
    words: Sequence[str],
    vectors: np.ndarray,
    dialect: str,
    encoding: str = "utf-8",
) -> Path:
    """Writes word vectors: whole or not at all, and so that reading gives the same bits.

    Args:
        path: the file to write.
        words: without line feeds; without spaces too where the format ends a word with one.
        vectors: (words, width), written as float32.
        dialect: `"glove"`: text without a header; `"word2vec-text"` and `"fasttext"`: text with
            one, as word2vec writes it and fastText its `.vec`; `"word2vec"`: binary. fastText's
            `.bin` holds the parts of words too, which nobody but fastText makes.
        encoding: of the words.

    Raises:
        ValueError: an unknown dialect, sizes that do not fit, or a word that cannot be written.
    """
    if dialect not in WRITTEN:
        raise ValueError(f"`dialect` must be one of {', '.join(WRITTEN)}. Received: {dialect!r}")
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or len(words) != len(vectors):
        raise ValueError(
            f"Expected one row of `vectors` a word. Received: {len(words)} words and vectors of "
            f"shape {vectors.shape}"
        )
    names = _encoded(words, encoding, spaces=dialect == "glove")
    place = Path(path)
    new = place.with_name(f".{place.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as file:
            if dialect != "glove":
                file.write(f"{len(names)} {vectors.shape[1]}\n".encode("ascii"))
            for start in range(0, len(names), _ROWS):
                rows = vectors[start : start + _ROWS].astype("<f4")
                pieces = _binary(rows) if dialect == "word2vec" else _texts(rows)
                block = zip(names[start : start + _ROWS], pieces, strict=True)
                file.write(b"".join(name + b" " + piece + b"\n" for name, piece in block))
        os.replace(new, place)
    finally:
        new.unlink(missing_ok=True)
    return place


def _encoded(words: Sequence[str], encoding: str, spaces: bool) -> list[bytes]:
    names = []
    for word in words:
        try:
            name = word.encode(encoding, "surrogateescape")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"The word {word!r} cannot be written as {encoding}: {error}"
            ) from None
        if not name or b"\n" in name or (b" " in name and not spaces):
            raise ValueError(
                f"The word {word!r} cannot be written in this dialect: a word ends with a space"
                f"{', and a line' if spaces else ''} with a line feed."
            )
        names.append(name)
    return names


def _binary(rows: np.ndarray) -> Iterator[bytes]:
    return (row.tobytes() for row in rows)


def _texts(rows: np.ndarray) -> Iterator[bytes]:
    """The shortest decimals that give the same float32: those of the file, if it came from one."""
    pattern = b" ".join([b"%.6g"] * rows.shape[1])
    for row in rows:
        text = pattern % tuple(row.tolist())
        # NumPy's own shortest decimals take ten times as long.
        if np.array_equal(np.array(text.split(), np.float64).astype("<f4"), row):
            yield text
        else:
            yield " ".join(map(str, row)).encode("ascii")
