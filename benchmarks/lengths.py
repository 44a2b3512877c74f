"""Training on short sentences: padded to 128, bucketed by length, packed into rows of 128.

A MiniLM-size classifier with random weights trains for one epoch on first sentences of docstrings;
a word counts as one token, and ids are drawn at random. A batch has as many places in all three
ways. Before anything is timed, the outputs for all sentences must agree.

    python -m benchmarks.lengths                           # and with KERAS_BACKEND=jax
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.common import Contestant, Result
from benchmarks.texts import docstrings

CLASSES, LENGTH, BATCH, TEXTS_PER_ROW = 4, 128, 8, 16
TOLERANCE = 1e-5
PADDED, BUCKETED, PACKED = "padded to 128", "bucketed", "packed"


class Task:
    """The sentences, as ids padded to 128, and the network's first weights."""

    def __init__(self, quick: bool) -> None:
        self.size = {"hidden_size": 384, "num_heads": 12, "intermediate_size": 1536}
        self.blocks, self.vocabulary, count = 6, 30522, 512
        if quick:
            self.size = {"hidden_size": 16, "num_heads": 2, "intermediate_size": 32}
            self.blocks, self.vocabulary, count = 2, 50, 32
        random = np.random.default_rng(1)
        sentences = [text.split(". ")[0].split("\n\n")[0].split() for text in docstrings(count)]
        # A token of its own at the beginning and at the end.
        lengths = np.array([min(len(words) + 2, LENGTH) for words in sentences])
        mask = (np.arange(LENGTH)[None] < lengths[:, None]).astype("int32")
        ids = random.integers(1, self.vocabulary, mask.shape, "int32")
        zeros = np.zeros_like(ids)
        self.inputs = {"token_ids": ids * mask, "segment_ids": zeros, "padding_mask": mask}
        self.labels = np.arange(count, dtype="int32") % CLASSES
        self.real = int(lengths.sum())
        self.weights: list[np.ndarray] = []


def model_of(task: Task, inputs: Any = None) -> Any:
    """The classifier, the same weights each time."""
    import keras

    from keras_pretrained.layers import BertEncoder

    architecture = {
        "vocabulary_size": task.vocabulary,
        "num_layers": task.blocks,
        "pooler": False,
        **task.size,
    }
    encoder = BertEncoder(architecture=architecture, pooling="mean")
    inputs = inputs or encoder.symbolic_inputs()
    model = keras.Model(inputs, keras.layers.Dense(CLASSES)(encoder(inputs)))
    task.weights = task.weights or model.get_weights()
    model.set_weights(task.weights)
    model.compile(
        keras.optimizers.AdamW(1e-5, weight_decay=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    return model


def padded(task: Task) -> tuple[Any, Callable[[], Any], Any]:
    model = model_of(task)
    data = {"x": task.inputs, "y": task.labels, "batch_size": BATCH}
    return model, lambda: model.predict(task.inputs, BATCH, verbose=0), data


def bucketed(task: Task) -> tuple[Any, Callable[[], Any], Any]:
    from keras_pretrained import finetune

    model = model_of(task)
    options: dict[str, Any] = {"tokens": BATCH * LENGTH, "lengths": (16, 32, LENGTH), "fill": True}
    batches = finetune.bucket_by_length(task.inputs, task.labels, **options)
    plain = finetune.bucket_by_length(task.inputs, **options)
    return model, lambda: plain.restore(model.predict(plain, verbose=0)), {"x": batches}


def packed(task: Task) -> tuple[Any, Callable[[], Any], Any]:
    from keras_pretrained import finetune

    rows = finetune.pack(task.inputs, LENGTH, TEXTS_PER_ROW)
    targets, weights = rows.targets(task.labels)
    model = model_of(task, rows.symbolic_inputs())
    data = {"x": rows.inputs, "y": targets, "sample_weight": weights, "batch_size": BATCH}
    return model, lambda: rows.unpack(model.predict(rows.inputs, BATCH, verbose=0)), data


class Program:
    """Its first run gives the outputs of all sentences; every later one is a timed epoch."""

    def __init__(self, make: Callable[[Task], Any], task: Task) -> None:
        self._make = lambda: make(task)
        self._epoch: Callable[[], Any] | None = None

    def __call__(self) -> Any:
        if self._epoch is not None:
            return self._epoch()
        model, outputs, data = self._make()
        found = outputs()
        self._epoch = lambda: model.fit(**data, shuffle=False, verbose=0)
        self._epoch()
        return found


def run(options: argparse.Namespace) -> list[Result]:
    import keras

    options.repeats = 1 if options.quick else options.repeats
    task = Task(options.quick)
    ways = {PADDED: padded, BUCKETED: bucketed, PACKED: packed}
    results = common.measure(
        [Contestant(name, Program(make, task), TOLERANCE) for name, make in ways.items()],
        options.repeats,
    )
    common.compare(results, common.largest_difference)
    mean = task.real / len(task.labels)
    common.report(
        f"Training on {len(task.labels)} sentences of {mean:.0f} tokens on average, MiniLM size, "
        f"batches of {BATCH * LENGTH} places, AdamW, dropout 0.1, XLA, Keras on "
        f"{keras.backend.backend()}, {options.threads} threads, medians of {options.repeats} "
        "interleaved epochs",
        ["program", "real tokens/s", "s/epoch", "from, to", "to padded", "output difference"],
        [
            [
                result.name,
                f"{task.real / result.median:.0f}",
                f"{result.median:.2f}",
                common.spread(result),
                common.ratio(results, result, PADDED),
                f"{result.difference:.1e}",
            ]
            for result in results
        ],
    )
    return results


def arguments() -> argparse.ArgumentParser:
    return common.parser(__doc__, repeats=3)


if __name__ == "__main__":
    chosen = arguments().parse_args()
    common.prepare_environment(chosen.threads)
    common.require_agreement(run(chosen))
