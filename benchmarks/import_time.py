"""How long imports take, each in a fresh process, and which backends they load.

The start of the interpreter itself is not counted; compiled bytecode and files are cached.

    pip install -e ".[bench]"
    python -m benchmarks.import_time
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from benchmarks import common
from benchmarks.common import Result

# Name -> statement, and the module without which the row is left out.
STATEMENTS = {
    "`import keras_pretrained`": ("import keras_pretrained", ""),
    "... and `list_presets()`": (
        "import keras_pretrained; keras_pretrained.list_presets()",
        "",
    ),
    "... and `preset_info('minilm-l6')`": (
        "import keras_pretrained; keras_pretrained.preset_info('minilm-l6')",
        "",
    ),
    "`import keras_pretrained.layers`": ("import keras_pretrained.layers", ""),
    "`import tensorflow`": ("import tensorflow", ""),
    "`import keras`": ("import keras", ""),
    "`import keras_hub`": ("import keras_hub", "keras_hub"),
    "`import transformers`": ("import transformers", "transformers"),
    "`from transformers import BertModel`": ("from transformers import BertModel", "torch"),
    "`import sentence_transformers`": ("import sentence_transformers", "sentence_transformers"),
}
BACKENDS = ("tensorflow", "jax", "torch")
CHILD = """
import sys, time
start = time.perf_counter()
{statement}
seconds = time.perf_counter() - start
import json
print(json.dumps([seconds, [name for name in {backends} if name in sys.modules]]))
"""


def once(statement: str) -> tuple[float, list[str]]:
    """Seconds of one statement in a fresh process, and the backends that it loaded."""
    code = CHILD.format(statement=statement, backends=BACKENDS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"`{statement}` failed:\n{done.stderr[-3000:]}")
    seconds, loaded = json.loads(done.stdout.splitlines()[-1])
    return seconds, loaded


def run(options: argparse.Namespace) -> list[Result]:
    repeats = 1 if options.quick else options.repeats
    rows = {
        name: statement
        for name, (statement, needed) in STATEMENTS.items()
        if not needed or common.installed(needed)
    }
    results = {name: Result(name, None) for name in rows}
    # The first round is thrown away: it compiles bytecode and fills the page cache.
    for number in range(repeats + (not options.quick)):
        common.progress(f"round {number + 1}")
        for name, statement in rows.items():
            seconds, loaded = once(statement)
            results[name].output = loaded
            if number or options.quick:
                results[name].seconds.append(seconds)
    found = list(results.values())
    common.report(
        f"Imports, medians of {repeats} interleaved fresh processes",
        ["statement", "seconds", "from, to", "backends that it loads"],
        [
            [
                result.name,
                f"{result.median:.3f}",
                common.spread(result),
                ", ".join(result.output) or "none",
            ]
            for result in found
        ],
    )
    return found


def arguments() -> argparse.ArgumentParser:
    return common.parser(__doc__, repeats=9)


if __name__ == "__main__":
    chosen = arguments().parse_args()
    common.prepare_environment(chosen.threads)
    run(chosen)
