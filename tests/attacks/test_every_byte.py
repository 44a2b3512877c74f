"""Every byte of the structure of honest files, replaced; and every place where one can be cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_pretrained.checkpoints import CheckpointError, open_checkpoint
from tests.attacks.attack import read_all

STRUCTURE = 4000
FILES = (
    *("a.safetensors", "plain.npy", "objects.npy", "chunked.h5", "latest.h5", "old_keras.h5"),
    *("model.keras", "model.weights.h5", "nested.pth", "layouts.pth", "nested_legacy.pth"),
    *("layouts_legacy.pth",),
)


def survives(path: Path, content: bytes) -> bool:
    """Whether a file is read; if it is not, then only by a `CheckpointError`."""
    # A new file for each: a map of the one before may be alive, and must not change.
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    try:
        read_all(open_checkpoint(path))
    except CheckpointError:
        return False
    return True


@pytest.mark.parametrize("name", FILES)
def test_cut_files(name: str, seeds: Path, tmp_path: Path) -> None:
    content = (seeds / name).read_bytes()
    for length in range(0, len(content), max(1, len(content) // 60)):
        assert not survives(tmp_path / name, content[:length])
    assert survives(tmp_path / name, content)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FILES)
def test_every_byte_of_the_structure(name: str, seeds: Path, tmp_path: Path) -> None:
    content = (seeds / name).read_bytes()
    for position in range(min(len(content), STRUCTURE)):
        for value in (0, 255, content[position] ^ 1):
            survives(tmp_path / name, content[:position] + bytes([value]) + content[position + 1 :])
