"""Reading a GloVe text of 400,000 words with 300 values each: the first time, and the second.

The reference is the loop that tutorials show: `numpy.fromstring` for every line. All rows end with
the words and one array in memory. "Again" reads the binary copy that the first reading left in the
cache, and "the disk" is `numpy.fromfile` of the same bytes. The text is in the page cache, and it
repeats the same thousands of vectors under different words, which no program here takes advantage
of. `--words 10000` is for the rows that look up a part of the words, the most frequent ones and
those from all over the file.

    pip install -e ".[bench]"
    python -m benchmarks.word_vectors
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.common import Contestant, Result

LOOP, FIRST, AGAIN = "NumPy, line by line", "keras_pretrained, first", "keras_pretrained, again"
DISK, GENSIM = "the disk: numpy.fromfile", "gensim"
_DIFFERENT_ROWS = 4000

Vectors = tuple[list[str], np.ndarray]


def write_text(path: Path, rows: int, width: int) -> None:
    """A file as GloVe's: five digits, as the published ones have."""
    random = np.random.default_rng(0)
    values = random.standard_normal((min(rows, _DIFFERENT_ROWS), width)) * 0.4
    lines = [" ".join(map("{:.5g}".format, row)) for row in values.tolist()]
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            file.write(f"word{number} {lines[number % len(lines)]}\n")


def numpy_loop(path: Path) -> Vectors:
    words, rows = [], []
    with path.open(encoding="utf-8") as file:
        for line in file:
            word, values = line.split(maxsplit=1)
            words.append(word)
            rows.append(np.fromstring(values, "float32", sep=" "))
    return words, np.array(rows)


def ours(path: Path, cache: Path, fresh: bool) -> Vectors:
    from keras_pretrained.checkpoints.word_vectors import open_word_vectors

    if fresh:
        shutil.rmtree(cache, ignore_errors=True)
    table = open_word_vectors(path, cache=cache).read()
    # The copy is what a layer makes of it; without it, nothing would have been read again.
    return table.words, np.array(table.vectors)


def from_disk(plain: Path, words: list[str], width: int) -> Vectors:
    return words, np.fromfile(plain, "float32").reshape(-1, width)


def gensim(path: Path) -> Vectors:
    from gensim.models import KeyedVectors

    found = KeyedVectors.load_word2vec_format(str(path), no_header=True)
    return found.index_to_key, found.vectors


def subset(path: Path, words: list[str]) -> Vectors:
    from keras_pretrained.checkpoints.word_vectors import open_word_vectors

    table = open_word_vectors(path).find(words)
    return table.words, table.vectors


def contestants(folder: Path, options: argparse.Namespace) -> Iterator[Contestant]:
    text, cache = folder / "vectors.txt", folder / "cache"
    write_text(text, options.rows, options.width)
    words, vectors = ours(text, cache, fresh=True)
    vectors.tofile(folder / "plain")
    yield Contestant(LOOP, partial(numpy_loop, text), 0.0)
    yield Contestant(FIRST, partial(ours, text, cache, fresh=True), 0.0)
    yield Contestant(AGAIN, partial(ours, text, cache, fresh=False), 0.0)
    yield Contestant(DISK, partial(from_disk, folder / "plain", words, options.width), 0.0)
    if common.installed("gensim"):
        yield Contestant(GENSIM, partial(gensim, text), 0.0)


def parts(folder: Path, options: argparse.Namespace) -> Iterator[Contestant]:
    """The same words, of which the reference takes those that it read before."""
    text = folder / "vectors.txt"
    step = max(1, options.rows // options.words)
    everywhere = [f"word{number}" for number in range(0, options.rows, step)]
    frequent = [f"word{number}" for number in range(len(everywhere))]
    yield Contestant(f"{len(frequent):,} frequent words", partial(subset, text, frequent), 0.0)
    yield Contestant(f"{len(frequent):,} words of all", partial(subset, text, everywhere), 0.0)


def difference(expected: Any, received: Any) -> float:
    if list(expected[0]) != list(received[0]):
        return float("inf")
    return common.largest_difference(expected[1], received[1])


def run(options: argparse.Namespace) -> list[Result]:
    if options.quick:
        options.rows, options.width, options.words, options.repeats = 3000, 20, 100, 1
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        results = common.measure(list(contestants(folder, options)), options.repeats)
        common.compare(results, difference)
        some = common.measure(list(parts(folder, options)), options.repeats)
        size = (folder / "vectors.txt").stat().st_size
    words, vectors = results[0].output
    rows = {word: row for row, word in enumerate(words)}
    for result in some:
        found, received = result.output
        expected = vectors[[rows[word] for word in found]]
        result.difference = common.largest_difference(expected, received)
    common.report(
        f"Reading a GloVe text of {options.rows:,} words with {options.width} values, "
        f"{size / 1e6:.0f} MB, {options.threads} threads, medians of {options.repeats} interleaved "
        "repeats",
        ["program", "s", "from, to", "ratio to the loop", "ratio to the disk", "difference"],
        [
            [
                result.name,
                f"{result.median:.3g}",
                common.spread(result),
                common.ratio([*results, result], result, LOOP),
                common.ratio([*results, result], result, DISK),
                f"{result.difference:.1e}",
            ]
            for result in [*results, *some]
        ],
    )
    return [*results, *some]


def arguments() -> argparse.ArgumentParser:
    parser = common.parser(__doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=400_000, help="default: %(default)s")
    parser.add_argument("--width", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--words", type=int, default=10_000, help="default: %(default)s")
    return parser


if __name__ == "__main__":
    chosen = arguments().parse_args()
    common.prepare_environment(chosen.threads)
    common.require_agreement(run(chosen))
