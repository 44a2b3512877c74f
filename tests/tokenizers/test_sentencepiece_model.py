"""Model files from strangers: refused with a reason, or harmless."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sentencepiece_goldens import FOLDER, MODELS, model

from keras_pretrained.checkpoints.protobuf import read_fields
from keras_pretrained.tokenizers import SentencePieceTokenizer
from keras_pretrained.tokenizers.sentencepiece_model import (
    SentencePieceModel,
    _field,
    _number,
    read_model,
)

DATA = model("albert").read_bytes()


def rebuilt(pieces: bytes = b"", trainer: bytes = b"", normalizer: bytes = b"") -> bytes:
    """The golden model with other fields behind its own."""
    return (
        DATA
        + pieces
        + _field(2, trainer) * bool(trainer)
        + _field(3, normalizer) * bool(normalizer)
    )


def piece(text: bytes, score: float = -1.0, kind: int = 1) -> bytes:
    return _field(1, _field(1, text) + b"\x15" + struct.pack("<f", score) + _number(3, kind))


@pytest.mark.parametrize("name", MODELS)
def test_what_is_given_to_tensorflow_is_what_was_read(name: str) -> None:
    found = read_model(model(name))
    again = read_model(found.checked_file())
    for attribute in ("pieces", "charsmap", "adds_space", "removes_spaces", "escapes_spaces"):
        assert getattr(found, attribute) == getattr(again, attribute)
    assert found.data == model(name).read_bytes()
    assert found.unknown_id == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 pieces"),
        (b"\xff" * 40, "cannot be used"),
        (DATA[:-7], "cannot be used"),
        (rebuilt(piece(b"")), "empty"),
        (rebuilt(piece(b"a\0b")), "NUL"),
        (rebuilt(piece(b"x" * 600)), "over 512 bytes"),
        (rebuilt(piece(b"\xff")), "not valid UTF-8"),
        (rebuilt(piece(b"[CLS]")), "same piece twice"),
        (rebuilt(piece(b"new", kind=2)), "2 pieces for unknown text"),
        (rebuilt(piece(b"new", kind=6)), "kind 6"),
        (rebuilt(piece(b"new", score=float("nan"))), "score nan"),
        (rebuilt(piece(b"new", score=float("inf"))), "score inf"),
        (rebuilt(piece(b"new", score=-3e38)), "score"),
        (rebuilt(trainer=_number(3, 2)), "'bpe'"),
        (rebuilt(trainer=_number(3, 1) + _number(35, 1)), "falls back to bytes"),
        (rebuilt(normalizer=_field(2, b"\1\0")), "declares a trie"),
        (rebuilt(normalizer=_field(2, struct.pack("<I", 1 << 30) + b"\0" * 99)), "a trie of"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_files_are_refused(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        SentencePieceTokenizer(data)
    file = tmp_path / "other.model"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"other\.model"):
        SentencePieceTokenizer(file)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is a folder"):
        SentencePieceTokenizer(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        SentencePieceTokenizer(tmp_path / "absent.model")


def with_trie(change: object) -> bytes:
    """The golden model, the units of whose normalisation were changed."""
    found = read_model(DATA)
    size = int.from_bytes(found.charsmap[:4], "little")
    units = np.frombuffer(found.charsmap, "<u4", size // 4, 4).copy()
    change(units)  # type: ignore[operator]
    charsmap = found.charsmap[:4] + units.tobytes() + found.charsmap[4 + size :]
    made = SentencePieceModel(found.pieces, charsmap, True, True, True, b"")
    return made.checked_file()


def test_a_trie_that_leads_outside_is_refused() -> None:
    def leave(units: np.ndarray) -> None:
        units[0] = 0x7FFFFC00

    def far_value(units: np.ndarray) -> None:
        units[np.flatnonzero(units & 0x80000000)] = 0xFFFFFFFF

    with pytest.raises(ValueError, match="leads out of itself"):
        read_model(with_trie(leave))
    with pytest.raises(ValueError, match="outside of the replacements"):
        read_model(with_trie(far_value))
    read_model(with_trie(lambda units: None))


def test_the_golden_models_are_small_and_plain() -> None:
    fields = {number for number, _, _ in read_fields(memoryview(DATA))}
    assert fields <= {1, 2, 3, 4, 5}
    assert all(model(name).stat().st_size < 60_000 for name in MODELS)


FUZZ = """
import random, sys
from pathlib import Path
from keras_pretrained.tokenizers import SentencePieceTokenizer
data, count, seed = Path(sys.argv[1]).read_bytes(), int(sys.argv[2]), int(sys.argv[3])
texts = ["In 1997, the ﬁrst “text” œ\\u200b", "", "\\u00ad\\t x", "été ``q''"]
random.seed(seed)
opened = 0
for turn in range(count):
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        # Every other one in the normalisation, which stands at the end.
        start = len(changed) - 1 - random.randrange(4000 if turn % 2 else len(changed))
        kind = random.randrange(4)
        if kind == 0:
            changed[start] ^= 1 << random.randrange(8)
        elif kind == 1:
            changed[start] = random.choice((0, 1, 127, 128, 255))
        elif kind == 2:
            del changed[start : start + random.randrange(1, 9)]
        else:
            changed[start:start] = random.randbytes(random.randrange(1, 9))
    try:
        tokenizer = SentencePieceTokenizer(bytes(changed))
    except ValueError:
        continue
    opened += 1
    tokenizer(texts, max_length=64)
print(opened)
"""


def fuzz(count: int, seed: int) -> int:
    """Mutated models in a process of their own, which TensorFlow may not bring down."""
    command = [sys.executable, "-c", FUZZ, str(FOLDER / "albert.model"), str(count), str(seed)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return int(ran.stdout.split()[-1])


def test_mutated_models_are_refused_or_run() -> None:
    assert 10 < fuzz(200, 0) < 200


@pytest.mark.exhaustive
def test_many_mutated_models_are_refused_or_run() -> None:
    for seed in range(1, 6):
        assert fuzz(1000, seed)
