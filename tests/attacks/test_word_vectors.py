"""Hostile files of word vectors: an error that is ours, and no memory that is not justified."""

from __future__ import annotations

import gzip
import random
import struct
from contextlib import suppress
from pathlib import Path

import pytest

from keras_pretrained.checkpoints import CheckpointError
from keras_pretrained.checkpoints.word_vectors import open_word_vectors
from tests.attacks.attack import ALLOWANCE, GROWTH, little_memory

GOLDENS = Path(__file__).parents[1] / "goldens" / "word_vectors"
FILES = ("model.bin", "old.bin", "supervised.bin", "word2vec.bin", "word2vec.txt", "glove.txt")
# A piece of text, what it is parsed into, and the same again for each thread.
READING = 40_000_000


def read(path: Path, cache: Path | None = None) -> None:
    opened = open_word_vectors(path, cache=cache)
    opened.read().vectors.sum()
    opened.find(["the", "unseen"])


def refused(path: Path, message: str = "", cache: Path | None = None) -> None:
    size = path.stat().st_size
    with little_memory(READING + GROWTH * size), pytest.raises(CheckpointError) as caught:
        read(path, cache)
    assert message in str(caught.value), str(caught.value)
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"999999999999 300\nthe " + bytes(1200), "too few"),
        (b"3 999999\nthe " + bytes(1200), "too few"),
        (b"99999999999999999999 300\nthe " + bytes(1200), "is not a number"),
        (b"999999999 3\nthe 1 2 3\n", "promises 999,999,999"),
        (b"1 1\n" + b"a" * 70_000 + bytes(5), "has no word 1"),
        (b"the 0.5 0.5\n" + b"a" * 20_000_000, "a line of more than"),
        (b"the 0.5 0.5\n" + b"0.5 " * 200_000 + b"\n", "more than 2 values"),
        (b"the " + b"1" * 100_000 + b"\n", "holds a value that is infinite"),
        (b"the 0.5 1e999\n", "holds a value that is infinite"),
    ],
    ids=["count", "width", "digits", "lines", "word", "line", "values", "number", "infinite"],
)
def test_promises_that_the_bytes_do_not_keep(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "attack.bin"
    path.write_bytes(content)
    refused(path, message)


def model(**changes: int) -> bytes:
    """The golden model with other numbers in its header."""
    data = bytearray((GOLDENS / "model.bin").read_bytes())
    places = {"width": 8, "buckets": 40, "shortest": 44, "longest": 48, "entries": 64, "words": 68}
    places |= {"labels": 72}
    for name, value in changes.items():
        struct.pack_into("<i", data, places[name], value)
    return bytes(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 2**19},
        {"width": -6},
        {"buckets": 2**31 - 1},
        {"buckets": -1},
        {"longest": 2**30},
        {"entries": 2**31 - 1},
        {"entries": 2**31 - 1, "words": 2**31 - 1},
        {"words": 0, "labels": 49},
        {"words": 48, "labels": 1},
        {"words": -1, "entries": -1},
    ],
    ids=str,
)
def test_models_with_other_numbers(changes: dict[str, int], tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(model(**changes))
    refused(path)


@pytest.mark.parametrize("place", [(0, 2**62), (0, -1), (8, 2**62), (8, 0), (8, 7)], ids=str)
def test_models_with_another_table(place: tuple[int, int], tmp_path: Path) -> None:
    data = bytearray(model())
    table = data.index(struct.pack("<qq", 99, 6))
    struct.pack_into("<q", data, table + place[0], place[1])
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    refused(path)


def test_a_long_word_in_a_model_with_long_parts(tmp_path: Path) -> None:
    """All parts of a word are more than the word: they are made one length after the other."""
    data = model(longest=100)
    start = data.index(b"</s>\0")
    end = start + len(b"</s>")
    path = tmp_path / "model.bin"
    path.write_bytes(data[:start] + b"ab" * 10_000 + data[end:])
    with little_memory(READING):
        assert len(open_word_vectors(path).read().words) == 49


def test_what_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    path = tmp_path / "attack.gz"
    numbers = (b"a" + b" 0.5" * 500 + b"\n") * 12_000
    path.write_bytes(gzip.compress(numbers))
    with pytest.raises(CheckpointError, match="unpacks to more than"):
        open_word_vectors(path, cache=cache).read()
    path.write_bytes(gzip.compress((GOLDENS / "model.bin").read_bytes() + bytes(50_000_000)))
    refused(path, "unpacks to more than", cache)
    path.write_bytes(gzip.compress(b"the 0.5 0.5\n" * 100)[:-20])
    refused(path, "cannot be read", cache)
    assert not list(cache.iterdir())


def test_pipes_and_links_to_nowhere(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises((CheckpointError, FileNotFoundError)):
        open_word_vectors(tmp_path / "pipe.txt")
    (tmp_path / "link.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        open_word_vectors(tmp_path / "link.txt")


@pytest.mark.parametrize("name", FILES)
def test_files_that_end_early(name: str, tmp_path: Path) -> None:
    data = (GOLDENS / name).read_bytes()
    path = tmp_path / name
    # A text may end behind any digit or line, and a model's second table is not read.
    for length in range(1, len(data), 41):
        path.write_bytes(data[:length])
        survives(path)


@pytest.mark.parametrize("name", FILES)
def test_files_with_changed_bytes(name: str, tmp_path: Path) -> None:
    data = (GOLDENS / name).read_bytes()
    path = tmp_path / name
    generator = random.Random(name)
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(generator.choice([1, 2, 8])):
            place = generator.randrange(min(len(data), generator.choice([100, 10_000])))
            changed[place] = generator.choice([0, 1, 10, 32, 48, 127, 128, 255])
        path.write_bytes(changed)
        survives(path)


def survives(path: Path) -> None:
    with little_memory(ALLOWANCE + READING), suppress(CheckpointError):
        read(path)
