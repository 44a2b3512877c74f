"""A SentencePiece model file, read and checked before any other program sees it.

The file is one protocol buffer, `ModelProto` of google/sentencepiece: pieces with scores and
kinds, how the model was trained, and how texts are normalised. tensorflow_text trusts it: a wrong
offset in the normalisation ends the whole process. So it is given a file of our own, written from
what was checked.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from functools import cached_property

from keras_pretrained.checkpoints.damage import Malformed
from keras_pretrained.checkpoints.protobuf import BYTES, FIXED32, VARINT, Message
from keras_pretrained.tokenizers.files import MAX_FILE_BYTES, read_bytes
from keras_pretrained.tokenizers.sentencepiece_charsmap import check_charsmap

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5
_KINDS = (NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED)
_UNIGRAM = 1
_MODEL_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
# The longest piece of a published model has 16 characters; trainers allow any length.
_MAX_PIECE_BYTES = 512
_MAX_PIECES = 2**18
# What tensorflow_text computes with: float32, where larger scores would be infinite once added.
_LARGEST_SCORE = 1e9


@dataclass(frozen=True)
class Piece:
    """One piece: its text, where a space is U+2581, its score and its kind."""

    text: str
    score: float
    kind: int


@dataclass(frozen=True)
class SentencePieceModel:
    """What a checked file holds.

    Attributes:
        pieces: by id.
        charsmap: the compiled normalisation, or nothing.
        adds_space: whether a text begins with a space of its own.
        removes_spaces: whether spaces around a text, and all but one between words, go.
        escapes_spaces: whether spaces are U+2581 in pieces.
        data: the file.
    """

    pieces: tuple[Piece, ...]
    charsmap: bytes
    adds_space: bool
    removes_spaces: bool
    escapes_spaces: bool
    data: bytes

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The texts of the pieces, by id."""
        return tuple(piece.text for piece in self.pieces)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Piece -> id."""
        return {piece.text: index for index, piece in enumerate(self.pieces)}

    @cached_property
    def unknown_id(self) -> int:
        """The id of texts that no piece covers."""
        return next(index for index, piece in enumerate(self.pieces) if piece.kind == UNKNOWN)

    def checked_file(self) -> bytes:
        """A model file that holds what was checked, and nothing else."""
        pieces = b"".join(
            _field(1, _field(1, piece.text.encode()) + _score(piece.score) + _number(3, piece.kind))
            for piece in self.pieces
        )
        # No ids that the trainer may have set aside: the pieces' kinds say all that is needed.
        trainer = _number(3, _UNIGRAM) + _number(40, self.unknown_id)
        trainer += b"".join(_number(number, 2**64 - 1) for number in (41, 42, 43))
        normalizer = _field(2, self.charsmap)
        for number, flag in enumerate(
            (self.adds_space, self.removes_spaces, self.escapes_spaces), 3
        ):
            normalizer += _number(number, int(flag))
        return pieces + _field(2, trainer) + _field(3, normalizer)


def read_model(source: str | os.PathLike[str] | bytes) -> SentencePieceModel:
    """Reads a model file.

    Args:
        source: its path, or its content.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is too large, damaged, no SentencePiece model, or one that was not trained
            with the unigram algorithm.
    """
    if isinstance(source, bytes):
        data, name = source, "The SentencePiece model"
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"{name} is larger than {MAX_FILE_BYTES // 2**20} MiB.")
    else:
        name = f"SentencePiece model {os.fspath(source)!r}"
        data = read_bytes(source, "SentencePiece model", "the .model file of the checkpoint")
    try:
        return _parse(data)
    except Malformed as error:
        raise ValueError(
            f"{name} cannot be used: {error} Expected a model of google/sentencepiece, such as "
            "spiece.model or 30k-clean.model; get the file again from its publisher."
        ) from None


def _parse(data: bytes) -> SentencePieceModel:
    model = Message(memoryview(data), {1: BYTES, 2: BYTES, 3: BYTES})
    trainer = Message(model.view(2), {3: VARINT, 24: VARINT, 35: VARINT})
    kind = trainer.integer(3) if 3 in trainer else _UNIGRAM
    if kind != _UNIGRAM:
        raise Malformed(
            f"It was trained with the algorithm {_MODEL_TYPES.get(kind, kind)!r}, only 'unigram' "
            "is read here."
        )
    if trainer.integer(24) or trainer.integer(35):
        raise Malformed("It marks spaces behind words or falls back to bytes, which is not read.")
    normalizer = Message(model.view(3), {2: BYTES, 3: VARINT, 4: VARINT, 5: VARINT})
    charsmap = bytes(normalizer.view(2))
    check_charsmap(charsmap)

    def flag(number: int) -> bool:
        return number not in normalizer or bool(normalizer.integer(number))

    return SentencePieceModel(
        pieces=_pieces(model.views(1)),
        charsmap=charsmap,
        adds_space=flag(3),
        removes_spaces=flag(4),
        escapes_spaces=flag(5),
        data=data,
    )


def _pieces(stored: list[memoryview]) -> tuple[Piece, ...]:
    if not 0 < len(stored) <= _MAX_PIECES:
        raise Malformed(f"It has {len(stored)} pieces, expected 1 to {_MAX_PIECES}.")
    pieces = tuple(_piece(view, index) for index, view in enumerate(stored))
    if len({piece.text for piece in pieces}) < len(pieces):
        raise Malformed("It has the same piece twice.")
    unknown = sum(piece.kind == UNKNOWN for piece in pieces)
    if unknown != 1:
        raise Malformed(f"It has {unknown} pieces for unknown text, expected 1.")
    return pieces


def _piece(view: memoryview, index: int) -> Piece:
    message = Message(view, {1: BYTES, 2: FIXED32, 3: VARINT})
    text = message.text(1)
    kind = message.integer(3) if 3 in message else NORMAL
    (score,) = struct.unpack("<f", struct.pack("<I", message.integer(2)))
    if not text or len(message.view(1)) > _MAX_PIECE_BYTES or "\0" in text:
        raise Malformed(
            f"Piece {index} is empty, holds a NUL or has over {_MAX_PIECE_BYTES} bytes."
        )
    if kind not in _KINDS:
        raise Malformed(f"Piece {index}, {text[:40]!r}, is of the kind {kind}, which is not read.")
    if not math.isfinite(score) or abs(score) > _LARGEST_SCORE:
        raise Malformed(f"Piece {index}, {text[:40]!r}, has the score {score}.")
    return Piece(text, score, kind)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | VARINT) + _varint(value)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _score(value: float) -> bytes:
    return _varint(2 << 3 | FIXED32) + struct.pack("<f", value)
