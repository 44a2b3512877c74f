"""word2vec's binary files: both ways to end a vector, and a few words out of a huge file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.checkpoints import CheckpointError
from keras_pretrained.checkpoints.word_vectors import open_word_vectors
from tests.checkpoints.word_vectors.files import write_binary

WORDS = ["the", "new york", "ö", "犬"]
VECTORS = np.random.default_rng(0).normal(size=(4, 10)).astype("float32")


@pytest.mark.parametrize("line_feeds", [True, False])
def test_both_ways_to_end_a_vector(line_feeds: bool, tmp_path: Path) -> None:
    words = [word.replace(" ", "_") for word in WORDS]
    write_binary(tmp_path / "v.bin", words, VECTORS, line_feeds)
    table = open_word_vectors(tmp_path / "v.bin").read()
    assert table.words == words
    np.testing.assert_array_equal(table.vectors, VECTORS)
    found = open_word_vectors(tmp_path / "v.bin").find(["犬", "absent", "the"])
    assert found.words == ["犬", "the"]
    np.testing.assert_array_equal(found.vectors, VECTORS[[3, 0]])


def test_repeated_words(tmp_path: Path) -> None:
    write_binary(tmp_path / "v.bin", ["a", "b", "a", "c"], VECTORS, True)
    table = open_word_vectors(tmp_path / "v.bin").read()
    assert (table.words, table.repeated) == (["a", "b", "c"], 1)
    np.testing.assert_array_equal(table.vectors, VECTORS[[0, 1, 3]])
    limited = open_word_vectors(tmp_path / "v.bin").read(limit=2)
    assert limited.words == ["a", "b"]


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    write_binary(path, ["a", "b", "c", "d"], VECTORS, True)
    data = path.read_bytes()
    path.write_bytes(data[:-30])
    with pytest.raises(CheckpointError, match=r"has no word 4 of 4|are too few"):
        open_word_vectors(path).read()
    path.write_bytes(data + b"more")
    with pytest.raises(CheckpointError, match="goes on for 5 bytes behind the 4 words"):
        open_word_vectors(path).read()
    path.write_bytes(data.replace(b"4 10\n", b"4 11\n"))
    with pytest.raises(CheckpointError):
        open_word_vectors(path).read()
    values = VECTORS.copy()
    values[2, 3] = np.inf
    write_binary(path, ["a", "b", "c", "d"], values, True)
    with pytest.raises(CheckpointError, match="the vector of 'c' holds a value that is infinite"):
        open_word_vectors(path).read()
    assert open_word_vectors(path).find(["b"]).words == ["b"]


FIND = r"""
import json, re, sys, threading, time
from pathlib import Path
import numpy
from keras_pretrained.checkpoints.word_vectors import open_word_vectors

def memory():
    text = Path("/proc/self/status").read_text()
    return [int(re.search(rf"Rss{kind}:\s+(\d+)", text)[1]) * 1024 for kind in ("Anon", "File")]

open_word_vectors(sys.argv[1]).find(["word0"])
words = [f"word{number}" for number in range(0, int(sys.argv[3]), int(sys.argv[2]))]
before, peak, done = memory(), [0, 0], threading.Event()

def watch():
    while not done.wait(0.001):
        peak[:] = map(max, peak, memory())

thread = threading.Thread(target=watch)
thread.start()
start = time.perf_counter()
table = open_word_vectors(sys.argv[1]).find(words)
seconds = time.perf_counter() - start
done.set()
thread.join()
peak = map(max, peak, memory())
assert table.words == words
assert [row[0] for row in table.vectors] == [float(word[4:]) for word in words]
print(json.dumps([now - first for now, first in zip(peak, before)] + [seconds]))
"""


def find(path: Path, step: int, stop: int) -> tuple[int, int, float]:
    """In a process of its own: bytes that it owned, bytes of the file that it saw, seconds."""
    done = subprocess.run(
        [sys.executable, "-c", FIND, str(path), str(step), str(stop)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    owned, seen, seconds = json.loads(done.stdout)
    return owned, seen, seconds


def rows(count: int, width: int) -> Iterator[bytes]:
    rest = b" %b" + bytes(4 * (width - 1)) + b"\n"
    for number in range(count):
        yield b"word%d" % number + rest.replace(b"%b", np.float32(number).tobytes())


def check_subset(path: Path, count: int, width: int, words: int) -> None:
    needed = shutil.disk_usage(path.parent).free
    size = count * (4 * width + 12)
    if needed < 2 * size:
        pytest.skip(f"absent: {2 * size} bytes of disk")
    with path.open("wb", buffering=2**20) as file:
        file.write(b"%d %d\n" % (count, width))
        file.writelines(rows(count, width))
    try:
        size = path.stat().st_size
        vectors = words * width * 4
        # Words from all over the file: it is gone through, and not taken into memory.
        owned, _, seconds = find(path, count // words, count)
        assert owned < 3 * vectors + 20e6, f"{owned / 1e6:.0f} MB of {size / 1e6:.0f} MB"
        print(f"{size / 1e6:.0f} MB: {owned / 1e6:.1f} MB of memory, {seconds:.2f} s")
        # Frequent words stand at the beginning: the rest of the file is not touched.
        owned, seen, seconds = find(path, 1, words)
        assert owned < 3 * vectors + 20e6
        assert seen < 2 * words * (4 * width + 12) + 4e6, f"{seen / 1e6:.0f} MB of the file"
        print(
            f"frequent: {owned / 1e6:.1f} MB in memory, {seen / 1e6:.1f} MB seen, {seconds:.2f} s"
        )
    finally:
        path.unlink()


linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="absent: /proc")


@linux
def test_a_part_of_the_words_takes_little_memory(tmp_path: Path) -> None:
    check_subset(tmp_path / "v.bin", 100_000, 300, 1000)


@linux
@pytest.mark.exhaustive
def test_ten_thousand_of_three_million_words(tmp_path: Path) -> None:
    check_subset(tmp_path / "v.bin", 3_000_000, 300, 10_000)
