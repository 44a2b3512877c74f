"""docs/parity.md lists exactly the rows that are declared, and the recorder does not lie."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.parity.recording import Record, rounded_up
from tests.parity.rows import ROWS
from tests.parity.table import COMMAND, parse, render

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "parity.md"


def test_the_committed_table_has_exactly_the_declared_rows() -> None:
    text = PAGE.read_text(encoding="utf-8")
    results = parse(text)
    assert list(results) == list(ROWS), f"run: {COMMAND}"
    assert render(results) == text, f"run: {COMMAND}"


def test_the_committed_differences_are_within_the_tolerances() -> None:
    for name, outputs in parse(PAGE.read_text(encoding="utf-8")).items():
        assert outputs
        for text in outputs.values():
            assert float(text.partition(" of ")[0]) <= ROWS[name].tolerance, name


def test_a_row_that_is_not_declared_or_not_measured_is_an_error() -> None:
    results = parse(PAGE.read_text(encoding="utf-8"))
    with pytest.raises(KeyError, match="was not measured"):
        render({name: each for name, each in results.items() if name != "bert/google-v1"})
    with pytest.raises(KeyError, match=r"rows\.py has no row 'bert/unheard'"):
        Record()("bert/unheard")


def test_a_table_with_another_row_is_found_stale() -> None:
    text = PAGE.read_text(encoding="utf-8")
    changed = parse(text.replace("| bert | google | V1 |", "| bert | google | V7 |"))
    assert "bert/google-v1" not in changed
    assert len(changed) == len(ROWS)


def test_the_recorder_keeps_the_worst_and_fails_beyond_the_tolerance() -> None:
    record = Record()
    measured = record("bert/google-v2")
    for step in (3e-7, 8.1e-7, 1e-7):
        measured.close("pooled", np.array([1.0, step]), np.array([1.0, 0.0]))
    assert record.texts() == {"bert/google-v2": {"pooled": "9e-7"}}
    with pytest.raises(AssertionError, match="hidden: differs by"):
        measured.close("hidden", np.ones(3), np.ones(3) + 2e-5)
    with pytest.raises(AssertionError, match="differs by nan"):
        measured.close("hidden", np.array([np.nan]), np.ones(1))
    with pytest.raises(AssertionError, match=r"\(3,\) and \(1,\)"):
        measured.close("hidden", np.ones(3), np.ones(1))
    assert "hidden" not in record.texts()["bert/google-v2"]


def test_the_recorder_counts_what_is_not_equal() -> None:
    record = Record()
    record("wordpiece/cased/google").equal("ids", [[1], [2], [3]], [[1], [9], [3]])
    assert record.texts()["wordpiece/cased/google"] == {"ids": "1 of 3"}
    with pytest.raises(AssertionError, match=r"differ at \[1\], allowed 0"):
        record("wordpiece/cased/huggingface").equal("ids", [[1], [2]], [[1], [9]])
    with pytest.raises(AssertionError, match="2 and 1"):
        record("wordpiece/cased/huggingface").equal("ids", [[1], [2]], [[1]])


def test_results_of_several_processes_are_one() -> None:
    first, second, whole = Record(), Record(), Record()
    first("bert/google-v2").close("pooled", np.array([2e-7]), np.array([0.0]))
    second("bert/google-v2").close("pooled", np.array([7e-7]), np.array([0.0]))
    second("wordpiece/cased/google").equal("ids", [[1], [2]], [[1], [9]])
    for record in (first, second):
        whole.add(json.loads(json.dumps(record.plain())))
    assert whole.texts() == {
        "bert/google-v2": {"pooled": "7e-7"},
        "wordpiece/cased/google": {"ids": "1 of 2"},
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (3.0e-7, "3e-7"),
        (3.01e-7, "4e-7"),
        (9.2e-7, "1e-6"),
        (1e-6, "1e-6"),
        (2.5, "3e0"),
    ],
)
def test_differences_are_rounded_up(value: float, text: str) -> None:
    assert rounded_up(value) == text


def test_what_is_no_difference_is_refused() -> None:
    for value in (float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match="finite"):
            rounded_up(value)


def test_an_incomplete_run_writes_no_table(tmp_path: Path) -> None:
    page = tmp_path / "parity.md"
    here = "tests/parity/test_table.py::test_what_is_no_difference_is_refused"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", here, "--parity-table", str(page)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "was not written. Not measured: bert/minilm-l6, bert/hf-safetensors-erf" in done.stdout
    assert not page.exists()
