"""Loading in a fresh process, watched from outside: seconds, memory, and what it then computes."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from benchmarks import common
from benchmarks.common import Result
from benchmarks.memory import Peak


@dataclass(frozen=True)
class Loading:
    """One fresh process: seconds to load, seconds of the first use, bytes, and the output."""

    seconds: float
    first_use: float
    grown: int
    output: np.ndarray


def child(load: Callable[[str], Any], use: Callable[[Any], Any], folder: str) -> None:
    """The process that loads; its imports are done.

    Each line on stdout is a step done; a line on stdin lets the next one begin.
    """
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    loaded = load(folder)
    print(time.perf_counter() - start, flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    output = np.asarray(use(loaded))
    print(json.dumps([time.perf_counter() - start, output.tolist()]), flush=True)


def load_once(module: str, program: str, folder: Path) -> Loading:
    """Runs `python -m MODULE --child PROGRAM FOLDER`, which ends in `child`."""
    command = [sys.executable, "-m", module, "--child", program, str(folder)]
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages, text=True
        )

        to_child, from_child = cast(IO[str], process.stdin), cast(IO[str], process.stdout)

        def step(go: bool = True) -> Any:
            if go:
                to_child.write("\n")
                to_child.flush()
            line = from_child.readline()
            if not line:
                process.wait()
                messages.seek(0)
                raise SystemExit(f"{program} could not load {folder}:\n{messages.read()[-3000:]}")
            return line if line == "ready\n" else json.loads(line)

        with process:
            step(go=False)
            peak = Peak(process.pid)
            seconds = step()
            grown = peak.stop()
            first_use, output = step()
    return Loading(seconds, first_use, grown, np.array(output))


def measure(
    module: str,
    what: str,
    rows: Mapping[str, tuple[str, Path]],
    weights: int,
    tolerance: float,
    options: argparse.Namespace,
) -> list[Result]:
    """Runs every row in turns, and prints the table.

    Args:
        module: see `load_once`.
        what: the name of the network.
        rows: name -> program and folder.
        weights: their bytes.
        tolerance: the difference of outputs that counts as rounding.
        options: `repeats` and `threads`.
    """
    if not Path("/proc/self/status").exists():
        raise SystemExit("This benchmark reads /proc, which only Linux has.")
    loadings: dict[str, list[Loading]] = {name: [] for name in rows}
    for number in range(options.repeats):
        common.progress(f"loading, repeat {number + 1} of {options.repeats}")
        for name, (program, folder) in rows.items():
            loadings[name].append(load_once(module, program, folder))
    results = [
        Result(name, each[0].output, tolerance, [loading.seconds for loading in each])
        for name, each in loadings.items()
    ]
    common.compare(results, common.largest_difference)
    table = []
    for result in results:
        each = loadings[result.name]
        grown = statistics.median(loading.grown for loading in each)
        first = statistics.median(loading.seconds + loading.first_use for loading in each)
        cells = [f"{result.median:.2f}", common.spread(result), f"{first:.2f}"]
        cells += [f"{grown / 1e6:.0f} MB", f"{grown / weights:.2f}", f"{result.difference:.1e}"]
        table.append([result.name, *cells])
    common.report(
        f"Loading {what}: {weights / 1e6:.1f} MB of weights, {options.threads} threads, medians "
        f"of {options.repeats} fresh processes a row",
        ["program, files", "s", "from, to", "with first output", "RssAnon", "/ weights", "diff."],
        table,
    )
    return results
