"""What was parsed once is read from the cache, and never anything else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError
from keras_pretrained.checkpoints.word_vectors import open_word_vectors, text
from tests.checkpoints.word_vectors.files import GOLDENS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(GOLDENS / "glove.txt", tmp_path))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for every piece of text that is parsed."""
    pieces: list[int] = []
    original = text.parse_lines

    def counted(lines: bytes, width: int) -> object:
        pieces.append(len(lines))
        return original(lines, width)

    monkeypatch.setattr(text, "parse_lines", counted)
    return pieces


def test_a_text_is_parsed_once(file: Path, tmp_path: Path, parsed: list[int]) -> None:
    cache = tmp_path / "cache"
    first = open_word_vectors(file, cache=cache).read()
    assert len(parsed) == 1
    opened = open_word_vectors(file, cache=cache)
    again = opened.read()
    assert again.words == first.words
    np.testing.assert_array_equal(again.vectors, first.vectors)
    assert opened.find(["dog"]).words == ["dog"]
    assert len(parsed) == 1
    # In a map, not in memory, and not to be written to.
    assert not again.vectors.flags.owndata
    assert not again.vectors.flags.writeable
    file.rename(tmp_path / "renamed.txt")
    open_word_vectors(tmp_path / "renamed.txt", cache=cache).read()
    assert len(parsed) == 1


def test_a_changed_file_is_parsed_again(file: Path, tmp_path: Path, parsed: list[int]) -> None:
    cache = tmp_path / "cache"
    open_word_vectors(file, cache=cache).read()
    data = file.read_bytes()
    file.write_bytes(data.replace(b"dog ", b"god "))
    os.utime(file, ns=(1, file.stat().st_mtime_ns))
    assert "god" in open_word_vectors(file, cache=cache).read().words
    assert len(parsed) == 2
    file.write_bytes(data)
    os.utime(file, ns=(0, 10**9))
    assert "dog" in open_word_vectors(file, cache=cache).read().words
    assert len(parsed) == 3


def test_parts_of_a_file_are_not_kept(file: Path, tmp_path: Path) -> None:
    opened = open_word_vectors(file, cache=tmp_path / "cache")
    opened.find(["dog"])
    opened.read(limit=3)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["manifest.json", "words", "vectors.npy"])
@pytest.mark.parametrize("damage", ["removed", "cut", "garbage"])
def test_a_spoiled_cache_is_made_anew(
    name: str, damage: str, file: Path, tmp_path: Path, parsed: list[int]
) -> None:
    cache = tmp_path / "cache"
    table = open_word_vectors(file, cache=cache).read()
    words, vectors = table.words, np.array(table.vectors)
    (entry,) = cache.iterdir()
    place = entry / name
    if damage == "removed":
        place.unlink()
    elif damage == "cut":
        place.write_bytes(place.read_bytes()[:-5])
    else:
        place.write_bytes(b"\n" * 40)
    for _ in range(2):
        received = open_word_vectors(file, cache=cache).read()
        assert received.words == words
        np.testing.assert_array_equal(received.vectors, vectors)
    assert len(parsed) == 2
    assert [each.name for each in cache.iterdir()] == [entry.name]


def test_without_a_place_for_the_cache_nothing_is_lost(file: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert "dog" in open_word_vectors(file, cache=tmp_path / "cache").read().words
    packed = tmp_path / "model.bin.gz"
    import gzip

    packed.write_bytes(gzip.compress((GOLDENS / "model.bin").read_bytes()))
    with pytest.raises(CheckpointError, match="cannot be unpacked into"):
        open_word_vectors(packed, cache=tmp_path / "cache")


def test_what_a_dead_process_left_is_removed(file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in (".new-old", ".new-young"):
        (cache / name).mkdir(parents=True)
    os.utime(cache / ".new-old", (0, 0))
    open_word_vectors(file, cache=cache).read()
    names = {each.name for each in cache.iterdir()}
    assert ".new-young" in names
    assert ".new-old" not in names
