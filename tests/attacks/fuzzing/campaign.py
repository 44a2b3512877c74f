"""Starts the process that reads damaged checkpoints, and tells what became of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path(__file__).parents[3]


@dataclass
class Report:
    """What became of the cases of one target; see `worker.run`."""

    name: str
    read: int = 0
    refused: int = 0
    stopped: int = 0
    places: list[tuple[str, int]] = field(default_factory=list)
    failures: list[tuple[int, str]] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return self.read + self.refused + self.stopped + len(self.failures)

    @property
    def share(self) -> float:
        """The share of cases that reached the parser."""
        return (self.read + self.refused) / max(1, self.cases)

    def __str__(self) -> str:
        return (
            f"{self.name:<20} {self.cases:>6} cases, {self.share:>6.1%} reached the parser "
            f"({self.refused} refused there, {self.read} read), {self.stopped} stopped before it"
        )


def fuzz(name: str, first: int, count: int, seeds: Path, work: Path, seconds: float) -> Report:
    """Reads `count` cases in a process of their own.

    A crash, a hang and an exception that is not the reader's are failures of the report.
    """
    command = [sys.executable, "-m", "tests.attacks.fuzzing.worker", name, str(first), str(count)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(_ROOT)}
    work.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            [*command, str(seeds), str(work)],
            cwd=_ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        code, output, errors = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired:
        code, output, errors = -1, "", f"all cases together took more than {seconds} seconds"
    if code == 0:
        return Report(name, **json.loads(output))
    case = work / "case"
    number = int(case.read_text()) if case.exists() else -1
    return Report(name, failures=[(number, f"exit status {code}: {errors[-3000:]}")])
