"""A WordPiece vocabulary: one piece a line, and the line's number is the piece's id."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from keras_pretrained.tokenizers.files import decode_utf8, read_bytes

# What the wordpiece model of tensorflow_text can number and store.
MAX_PIECES, MAX_PIECE_BYTES = 2**22, 256
REQUIRED = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


@dataclass(frozen=True)
class Vocabulary:
    """The pieces by id, and the bytes of the file that holds them.

    Equal lines keep their ids; the text is given the id of the last one, as in the originals.
    """

    pieces: tuple[str, ...]
    data: bytes

    @cached_property
    def ids(self) -> dict[str, int]:
        """Piece -> id."""
        return {piece: index for index, piece in enumerate(self.pieces)}

    @cached_property
    def is_cased(self) -> bool:
        """Whether a piece, other than special and unused ones in brackets, has a capital A-Z."""
        return any(
            any("A" <= character <= "Z" for character in piece)
            for piece in self.pieces
            if piece[:1] + piece[-1:] not in ("[]", "<>")
        )


def read_vocabulary(path: str | os.PathLike[str]) -> Vocabulary:
    """Reads a `vocab.txt`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is too large, no UTF-8 text, or no WordPiece vocabulary.
    """
    data = read_bytes(path, "Vocabulary file", "the vocab.txt of the checkpoint")
    return _parse(data, f"Vocabulary file {str(Path(path))!r}")


def vocabulary_of(pieces: Sequence[str]) -> Vocabulary:
    """Takes the pieces in the order of their ids.

    Raises:
        TypeError: an element is not a str.
        ValueError: an element contains a line break, or this is no WordPiece vocabulary.
    """
    for index, piece in enumerate(pieces):
        if not isinstance(piece, str):
            raise TypeError(
                f"vocabulary[{index}] must be a str. Received: {piece!r} ({type(piece).__name__})."
            )
        if "\n" in piece or "\r" in piece:
            raise ValueError(f"vocabulary[{index}] contains a line break. Received: {piece!r}.")
    try:
        data = "".join(f"{piece}\n" for piece in pieces).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"The vocabulary holds half a surrogate pair: {error}.") from None
    return _parse(data, "The vocabulary")


def _parse(data: bytes, name: str) -> Vocabulary:
    text = decode_utf8(data, name, "one piece a line")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    pieces = tuple(line.strip() for line in lines)
    missing = [piece for piece in REQUIRED if piece not in pieces]
    if missing:
        raise ValueError(
            f"{name} has {len(pieces)} lines and no {', '.join(missing)}. "
            f"A WordPiece vocabulary holds {', '.join(REQUIRED)}, each on a line of its own."
        )
    if len(pieces) > MAX_PIECES:
        raise ValueError(f"{name} has {len(pieces)} lines, expected at most {MAX_PIECES}.")
    for index, piece in enumerate(pieces):
        if len(piece) > MAX_PIECE_BYTES // 4 and len(piece.encode()) > MAX_PIECE_BYTES:
            raise ValueError(
                f"{name} has a piece of {len(piece.encode())} bytes on line {index + 1}, expected "
                f"at most {MAX_PIECE_BYTES}: {piece[:40]!r}... It is no WordPiece vocabulary."
            )
    return Vocabulary(pieces, data)
