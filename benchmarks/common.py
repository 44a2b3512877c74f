"""What the benchmarks share: interleaved timing, the comparison of outputs, the report."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import logging
import math
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

# Worker threads of one program spin for a moment before they sleep; the next must not pay for it.
PAUSE_SECONDS = 0.3
_PACKAGES = (
    "keras-pretrained",
    "keras",
    "tensorflow",
    "tensorflow-text",
    "jax",
    "onnxruntime",
    "keras-hub",
    "torch",
    "transformers",
    "sentence-transformers",
    "tokenizers",
)


@dataclass(frozen=True)
class Contestant:
    """One program that does the work.

    Attributes:
        name: its row in the table.
        run: does all of the work once; what it returns is compared with the others.
        tolerance: the difference from the reference up to which it counts as the same work.
    """

    name: str
    run: Callable[[], Any]
    tolerance: float


@dataclass
class Result:
    """What one contestant returned, how far it is from the reference, and how long it took."""

    name: str
    output: Any
    tolerance: float = math.inf
    seconds: list[float] = field(default_factory=list)
    difference: float = math.nan

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def measure(contestants: Sequence[Contestant], repeats: int) -> list[Result]:
    """Runs every contestant once untimed (to trace, compile and fill caches), then in turns.

    In turns, because the speed of a shared machine drifts: what disturbs one disturbs all.
    """
    results = []
    for contestant in contestants:
        progress(f"preparing: {contestant.name}")
        results.append(Result(contestant.name, contestant.run(), contestant.tolerance))
    for number in range(repeats):
        progress(f"repeat {number + 1} of {repeats}")
        for contestant, result in zip(contestants, results, strict=True):
            time.sleep(PAUSE_SECONDS)
            start = time.perf_counter()
            contestant.run()
            result.seconds.append(time.perf_counter() - start)
    return results


def compare(results: Sequence[Result], difference: Callable[[Any, Any], float]) -> None:
    """Notes how far each output is from the first result's."""
    for result in results:
        result.difference = difference(results[0].output, result.output)


def largest_difference(expected: Any, received: Any) -> float:
    """The largest absolute difference of two arrays; infinite when their shapes differ."""
    expected, received = np.asarray(expected, "float64"), np.asarray(received, "float64")
    if expected.shape != received.shape:
        return math.inf
    difference = float(np.abs(expected - received).max(initial=0.0))
    return math.inf if math.isnan(difference) else difference


def require_agreement(results: Sequence[Result]) -> None:
    """Ends the program with an error when a contestant did other work than the reference.

    Called after the table is printed: its numbers show what is wrong, but compare nothing.
    """
    wrong = [result for result in results if not result.difference <= result.tolerance]
    if wrong:
        lines = (f"{r.name}: {r.difference:.2g}, allowed {r.tolerance:.2g}" for r in wrong)
        raise SystemExit(
            f"These outputs differ too much from those of {results[0].name}, so that the times "
            "above compare different work:\n  " + "\n  ".join(lines)
        )


def ratio(results: Sequence[Result], result: Result, *baselines: str) -> str:
    """How many times as fast as the fastest of the named results; `-` when none is there."""
    found = [other.median for other in results if other.name in baselines]
    return f"{min(found) / result.median:.2f}" if found else "-"


def spread(result: Result, unit: float = 1.0) -> str:
    """The fastest and the slowest repeat."""
    return f"{min(result.seconds) * unit:.3g} to {max(result.seconds) * unit:.3g}"


def report(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a Markdown section: what was measured, where, with which versions, and the table."""
    lines = [f"### {title}", "", f"{datetime.date.today()}, {machine()}; {versions()}", ""]
    lines += ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    print("\n".join(lines), flush=True)


def progress(text: str) -> None:
    """Says on stderr what is going on; the report alone goes to stdout."""
    print(f"  {text}", file=sys.stderr, flush=True)


def machine() -> str:
    """The machine in words, for instance `2 cores, AVX-512 CPU, 24 GB`."""
    flags = ""
    if Path("/proc/cpuinfo").exists():
        flags = Path("/proc/cpuinfo").read_text()
    kinds = {"AVX-512": " avx512f ", "AVX2": " avx2 "}
    kind = next((name for name, flag in kinds.items() if flag in flags), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{cores()} cores, {kind} CPU, {memory:.0f} GB"


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> str:
    """Python and every package that takes part, as far as it is installed."""
    found = [f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def installed(*modules: str) -> bool:
    """Whether all these modules can be imported; says on stderr which row is left out if not."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        progress(f"left out, not installed: {', '.join(missing)}")
    return not missing


def parser(description: str | None, repeats: int) -> argparse.ArgumentParser:
    """The arguments that all benchmarks have."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="tiny sizes: checks outputs, not times")
    made.add_argument("--repeats", type=int, default=repeats, help="default: %(default)s")
    made.add_argument("--threads", type=int, default=cores(), help="default: all cores")
    return made


def prepare_environment(threads: int) -> None:
    """The same number of threads for every program; to be called before any is imported."""
    for name in ("OMP", "MKL", "OPENBLAS", "RAYON", "TF_NUM_INTRAOP", "TF_NUM_INTEROP"):
        os.environ[name + ("_THREADS" if name.startswith("TF") else "_NUM_THREADS")] = str(threads)
    # These compare CPUs. A GPU would serve only the programs that happen to be built for it.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    for name, value in {"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1"}.items():
        os.environ.setdefault(name, value)
    # The peers have much to say about each other, and TensorFlow about every new shape.
    warnings.simplefilter("ignore")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
