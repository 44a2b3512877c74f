"""The example finds what a library has by what it does, and reads pairs with scores."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.documents import ROOT, make_small_minilm

sys.path.insert(0, str(ROOT / "examples"))
import semantic_search

PAIRS = [
    "0.5\tA dog barks.\tTea is hot.",
    "\tNobody scored\tthis pair.",
    '4\tA "dog" barks.\tA hound howls.',
]


def test_the_library_is_read_without_tests_and_private_names() -> None:
    names, texts = semantic_search.read_library(most=None)
    assert len(names) == len(texts) == len(set(texts)) > 2000
    assert "functools.lru_cache" in names
    assert not any(part.startswith("_") for name in names for part in name.split(".")[1:])
    assert not any(name.startswith("test.") for name in names)
    for answer in semantic_search.QUESTIONS.values():
        assert {name.split(".")[0] for name in names} & set(answer.split())
    assert len(semantic_search.read_library(most=100)[0]) == 100


def test_a_rank_counts_from_one() -> None:
    names = ["gzip.open", "random.choice", "zlib"]
    assert semantic_search.rank_of("random", names, [2, 1, 0]) == 2
    assert semantic_search.rank_of("gzip zlib", names, [2, 1, 0]) == 1
    assert semantic_search.rank_of("bisect", names, [2, 1, 0]) == 4


def test_pairs_that_nobody_scored_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "2015.train.tsv").write_text("\n".join(PAIRS), encoding="utf-8")
    pairs, scores = semantic_search.read_pairs(tmp_path, "train")
    assert pairs == [("A dog barks.", "Tea is hot."), ('A "dog" barks.', "A hound howls.")]
    assert scores == [0.5, 4.0]
    with pytest.raises(SystemExit, match=r"no pairs with scores in files \*test\.tsv"):
        semantic_search.read_pairs(tmp_path, "test")


@pytest.mark.exhaustive
def test_the_whole_example_runs(tmp_path: Path) -> None:
    make_small_minilm(tmp_path / "small", num_layers=1)
    for part in ("train", "test"):
        (tmp_path / f"{part}.tsv").write_text("\n".join(PAIRS * 8), encoding="utf-8")
    script = ROOT / "examples" / "semantic_search.py"
    command = [sys.executable, script, "--source", tmp_path / "small", "--sts", tmp_path]
    done = subprocess.run(
        [*map(str, command), "--texts", "50", "--epochs", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "50 docstrings made vectors" in done.stdout
    assert len(re.findall(r"^ +\d\.\d\d ", done.stdout, re.MULTILINE)) <= 36
    assert re.search(r"^vectors +answer first \d\.\d\d", done.stdout, re.MULTILINE)
    assert re.search(r"as published +-?\d\.\d{3}", done.stdout)
    assert re.search(r"weights=None +-?\d\.\d{3}", done.stdout)
