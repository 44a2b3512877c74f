"""Epochs of fine-tuning on cached features of the frozen stages, from the second epoch on.

A MiniLM-size classifier with random weights trains on 128 texts of 128 tokens, in batches of 8,
whole (full fine-tuning), with its stem and first k of 6 blocks frozen (live), and on the features
that these frozen stages gave once (cached). Before anything is timed, live and cached training
take the same epochs without dropout by plain gradient descent, and the losses must agree.

A forward pass of a block is one unit of work and its backward pass two, so that without the cache
an epoch costs k + 3 (n - k) units and with it 3 (n - k): their ratio is the ceiling.

    python -m benchmarks.feature_cache                     # and with KERAS_BACKEND=jax
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.common import Contestant, Result

BLOCKS = 6
DEPTHS = (2, 4, 6)
CLASSES = 4
BATCH = 8
TOLERANCE = 1e-4
CHECK_LEARNING_RATE, CHECK_EPOCHS = 1e-2, 2
FULL = "full fine-tuning"
Epoch = Callable[[], Any]


class Task:
    """The texts, as ids, and the sizes of the network."""

    def __init__(self, folder: Path, quick: bool) -> None:
        self.folder = folder
        self.size = {"hidden_size": 384, "num_heads": 12, "intermediate_size": 1536}
        self.vocabulary, rows, length = 30522, 128, 128
        if quick:
            self.size = {"hidden_size": 16, "num_heads": 2, "intermediate_size": 32}
            self.vocabulary, rows, length = 50, 16, 8
        random = np.random.default_rng(1)
        ids = random.integers(1, self.vocabulary, (rows, length), "int32")
        zeros = np.zeros_like(ids)
        self.inputs = {"token_ids": ids, "segment_ids": zeros, "padding_mask": zeros + 1}
        self.labels = np.arange(rows, dtype="int32") % CLASSES
        self.steps = rows // BATCH
        self.weights: list[np.ndarray] = []


def model_of(task: Task, depth: int, dropout: float) -> Any:
    """The classifier, the same weights each time."""
    import keras

    from keras_pretrained.layers import BertEncoder

    architecture = {
        "vocabulary_size": task.vocabulary,
        "num_layers": BLOCKS,
        "dropout": dropout,
        "attention_dropout": dropout,
        "pooler": False,
        **task.size,
    }
    encoder = BertEncoder(architecture=architecture, pooling="mean", trainable_from=depth or "stem")
    inputs = encoder.symbolic_inputs()
    model = keras.Model(inputs, keras.layers.Dense(CLASSES)(encoder(inputs)))
    # Not by a seed: to set one makes TensorFlow compile everything again.
    task.weights = task.weights or model.get_weights()
    model.set_weights(task.weights)
    return model


def epochs_of(task: Task, depth: int, cached: bool, check: bool, folder: Path) -> Epoch:
    """A function that trains for an epoch and gives its loss."""
    import keras

    from keras_pretrained import finetune

    model = model_of(task, depth, dropout=0.0 if check else 0.1)
    data: dict[str, Any] = {"x": task.inputs, "y": task.labels, "batch_size": BATCH}
    if cached:
        arrays = (task.inputs, task.labels)
        data = {"x": finetune.cache_features(arrays, model, path=folder, batch_size=BATCH)}
        model = finetune.suffix(model)
    optimizer = keras.optimizers.AdamW(1e-4, weight_decay=0.01)
    model.compile(
        keras.optimizers.SGD(CHECK_LEARNING_RATE) if check else optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    return lambda: model.fit(**data, shuffle=False, verbose=0).history["loss"][0]


class Program:
    """Its first run gives the losses of the check; every later one is an epoch to be timed."""

    def __init__(self, task: Task, depth: int, cached: bool) -> None:
        self._make = lambda check: epochs_of(
            task, depth, cached, check, task.folder / f"{depth}-{check}"
        )
        self._epoch: Epoch | None = None

    def __call__(self) -> list[float]:
        if self._epoch is not None:
            return [self._epoch()]
        check = self._make(True)
        losses = [check() for _ in range(CHECK_EPOCHS)]
        self._epoch = self._make(False)
        self._epoch()
        return losses


def live(depth: int) -> str:
    return f"live, k = {depth}"


def cached(depth: int) -> str:
    return f"cached, k = {depth}"


def contestants(task: Task) -> list[Contestant]:
    found = [Contestant(FULL, Program(task, 0, False), TOLERANCE)]
    for depth in DEPTHS:
        found.append(Contestant(live(depth), Program(task, depth, False), TOLERANCE))
        found.append(Contestant(cached(depth), Program(task, depth, True), TOLERANCE))
    return found


def ceiling(depth: int) -> float:
    """How many times as fast an epoch can become where only blocks cost anything."""
    trained = 3 * (BLOCKS - depth)
    return (depth + trained) / trained if trained else float("inf")


def run(options: argparse.Namespace) -> list[Result]:
    import keras

    options.repeats = 1 if options.quick else options.repeats
    with tempfile.TemporaryDirectory() as folder:
        task = Task(Path(folder), options.quick)
        results = common.measure(contestants(task), options.repeats)
    named = {result.name: result for result in results}
    common.compare([named[FULL]], common.largest_difference)
    for depth in DEPTHS:
        common.compare([named[live(depth)], named[cached(depth)]], common.largest_difference)
    length = task.inputs["token_ids"].shape[1]
    common.report(
        f"Epochs on cached features, MiniLM size, {BATCH}x{length}, k of {BLOCKS} blocks frozen, "
        f"AdamW, dropout 0.1, XLA, Keras on {keras.backend.backend()}, {options.threads} threads, "
        f"medians of {options.repeats} interleaved epochs",
        ["program", "ms/step", "from, to", "to live", "ceiling", "to full", "loss difference"],
        [row(result, results, task.steps) for result in results],
    )
    return results


def row(result: Result, results: list[Result], steps: int) -> list[str]:
    depth = next((depth for depth in DEPTHS if result.name == cached(depth)), None)
    bound = "-" if depth is None or depth == BLOCKS else f"{ceiling(depth):.2f}"
    return [
        result.name,
        f"{result.median * 1e3 / steps:.1f}",
        common.spread(result, 1e3 / steps),
        "-" if depth is None else common.ratio(results, result, live(depth)),
        bound,
        common.ratio(results, result, FULL),
        f"{result.difference:.1e}",
    ]


def arguments() -> argparse.ArgumentParser:
    return common.parser(__doc__, repeats=5)


if __name__ == "__main__":
    chosen = arguments().parse_args()
    common.prepare_environment(chosen.threads)
    common.require_agreement(run(chosen))
