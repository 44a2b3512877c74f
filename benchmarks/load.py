"""Loading BERT-base from the files of every publisher: seconds and peak memory.

Each row is a fresh process that imports its program and waits; then this one watches from
outside how the memory that it owns grows while it loads (RssAnon: mapped files do not count).
The files are in the page cache, so the time is work, not disk. "First output" adds a forward
pass of 2x16 tokens, because a program may map the file and read the weights when they are used.
Linux only.

    pip install -e ".[bench]"
    python -m benchmarks.load
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from benchmarks import bert_files, common
from benchmarks.common import Result
from benchmarks.memory import Peak

OURS, HUB, TORCH = "keras_pretrained", "KerasHub", "transformers"
# Program and kind of checkpoint. The peers read no others: KerasHub wants safetensors, and
# transformers 5 no longer reads TensorFlow's files.
ROWS = [
    *((OURS, kind) for kind in bert_files.KINDS),
    (HUB, "safetensors"),
    (TORCH, "safetensors"),
    (TORCH, "bin"),
]
NEEDED = {HUB: ("keras_hub", "safetensors"), TORCH: ("transformers", "torch")}
TOKEN_IDS = np.arange(1, 33, dtype="int32").reshape(2, 16)
# The pooler's tanh after 12 blocks, computed by different programs in float32.
TOLERANCE = 1e-4


# --- the process that loads -------------------------------------------------------------------


def loader(program: str) -> tuple[Callable[[str], Any], Callable[[Any], Any]]:
    """Imports a program; how it loads a folder, and how what it loaded runs."""
    if program == TORCH:
        import torch
        from transformers import BertModel

        ids = torch.from_numpy(TOKEN_IDS).long()
        return BertModel.from_pretrained, lambda model: model.eval()(ids).pooler_output.detach()
    import keras

    keras.ops.zeros(1)  # The backend starts on its first use, not when it is imported.
    if program == HUB:
        import keras_hub

        inputs = {"token_ids": TOKEN_IDS, "segment_ids": TOKEN_IDS * 0}
        inputs["padding_mask"] = inputs["segment_ids"] + 1
        load = keras_hub.models.BertBackbone.from_preset
        return load, lambda model: model(inputs, training=False)["pooled_output"]
    from keras_pretrained.layers import BertEncoder

    return lambda folder: BertEncoder(folder, pooling="pooler"), lambda layer: layer(TOKEN_IDS)


def child(program: str, folder: str) -> None:
    """Each line on stdout is a step done; a line on stdin lets the next one begin."""
    load, use = loader(program)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    loaded = load(folder)
    print(time.perf_counter() - start, flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    output = np.asarray(use(loaded))
    print(json.dumps([time.perf_counter() - start, output.tolist()]), flush=True)


# --- the process that watches -----------------------------------------------------------------


@dataclass(frozen=True)
class Loading:
    """One fresh process: seconds to load, seconds of the first use, bytes, and the output."""

    seconds: float
    first_use: float
    grown: int
    output: np.ndarray


def load_once(program: str, folder: Path) -> Loading:
    command = [sys.executable, "-m", "benchmarks.load", "--child", program, str(folder)]
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


def run(options: argparse.Namespace) -> list[Result]:
    if not Path("/proc/self/status").exists():
        raise SystemExit("This benchmark reads /proc, which only Linux has.")
    size = "bert-base"
    if options.quick:
        size, options.repeats = "tiny", 1
    rows = [row for row in ROWS if common.installed(*NEEDED.get(row[0], ()))]
    kinds = [kind for kind in bert_files.KINDS if kind != "bin" or common.installed("torch")]
    rows = [(program, kind) for program, kind in rows if kind in kinds]
    loadings: dict[str, list[Loading]] = {f"{program}, {kind}": [] for program, kind in rows}
    with tempfile.TemporaryDirectory() as folder:
        common.progress(f"writing {size} as {', '.join(kinds)}")
        weights = bert_files.write(Path(folder), size, *kinds)
        for number in range(options.repeats):
            common.progress(f"repeat {number + 1} of {options.repeats}")
            for program, kind in rows:
                found = load_once(program, Path(folder) / kind)
                loadings[f"{program}, {kind}"].append(found)
    results = [
        Result(name, each[0].output, TOLERANCE, [loading.seconds for loading in each])
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
        f"Loading {size}: {weights / 1e6:.1f} MB of weights, {options.threads} threads, medians "
        f"of {options.repeats} fresh processes a row",
        ["program, files", "s", "from, to", "with first output", "RssAnon", "/ weights", "diff."],
        table,
    )
    return results


def arguments() -> argparse.ArgumentParser:
    parser = common.parser(__doc__, repeats=5)
    parser.add_argument("--child", nargs=2, metavar=("PROGRAM", "FOLDER"), help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    chosen = arguments().parse_args()
    if chosen.child:
        child(*chosen.child)
    else:
        common.prepare_environment(chosen.threads)
        common.require_agreement(run(chosen))
