"""What the parity tests measured in this run; the fixture `parity` is its `Record`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.parity.rows import ROWS, Row


@dataclass
class Measured:
    """The results of one row: output -> text, the worst of all comparisons."""

    row: Row
    differences: dict[str, float] = field(default_factory=dict)
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def close(self, output: str, ours: Any, original: Any) -> None:
        """Fails if two arrays differ by more than the row's tolerance, and records by how much."""
        ours, original = np.asarray(ours), np.asarray(original)
        assert ours.shape == original.shape, f"{output}: {ours.shape} and {original.shape}"
        found = float(np.max(np.abs(ours.astype("float64") - original))) if ours.size else 0.0
        assert found <= self.row.tolerance, (
            f"{output}: differs by {found}, allowed {self.row.tolerance}"
        )
        self.differences[output] = max(found, self.differences.get(output, 0.0))

    def equal(self, output: str, ours: list[Any], original: list[Any]) -> None:
        """Fails if more items differ than the row's tolerance says, and records how many."""
        assert len(ours) == len(original), f"{output}: {len(ours)} and {len(original)}"
        different = [i for i, (a, b) in enumerate(zip(ours, original, strict=True)) if a != b]
        assert len(different) <= self.row.tolerance, (
            f"{output}: differ at {different[:20]}, allowed {self.row.tolerance}"
        )
        self.counts[output] = (len(different), len(ours))

    def texts(self) -> dict[str, str]:
        """Output -> its largest difference, for the table."""
        return {
            **{output: rounded_up(value) for output, value in self.differences.items()},
            **{output: f"{n} of {total:,}" for output, (n, total) in self.counts.items()},
        }


class Record:
    """The measured rows of one run of pytest."""

    def __init__(self) -> None:
        self.measured: dict[str, Measured] = {}

    def __call__(self, name: str) -> Measured:
        if name not in ROWS:
            raise KeyError(f"tests/parity/rows.py has no row {name!r}. It has: {', '.join(ROWS)}")
        return self.measured.setdefault(name, Measured(ROWS[name]))

    def plain(self) -> dict[str, Any]:
        """The results as plain data, for another process."""
        return {
            name: [each.differences, {key: list(counts) for key, counts in each.counts.items()}]
            for name, each in self.measured.items()
        }

    def add(self, plain: dict[str, Any]) -> None:
        """Adds the results of another process."""
        for name, (differences, counts) in plain.items():
            measured = self(name)
            for output, value in differences.items():
                measured.differences[output] = max(value, measured.differences.get(output, 0.0))
            measured.counts |= {output: (n, total) for output, (n, total) in counts.items()}

    def texts(self) -> dict[str, dict[str, str]]:
        return {name: each.texts() for name, each in self.measured.items()}


def rounded_up(value: float) -> str:
    """One significant digit, upwards: the next run and the next machine differ in the others.

    Raises:
        ValueError: not a finite number.
    """
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"A difference is a finite number, not {value}")
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(value))
    digit = math.ceil(round(value / 10.0**exponent, 6))
    return f"1e{exponent + 1}" if digit == 10 else f"{digit}e{exponent}"
