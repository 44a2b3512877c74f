"""One training step of a MiniLM-size classifier: batch 8x128, AdamW, dropout on.

All programs start from the same random weights (a Hugging Face folder that each loads in its
own way), pool by the mean and classify with the same dense layer. Before anything is timed,
each takes three steps without dropout by plain gradient descent, and the losses must agree: the
same network and the same gradients. (Not by AdamW: on TensorFlow, Keras squares the gradients
of a repeated token one by one before it adds them, so that embeddings take larger steps than in
PyTorch or on JAX.)

    pip install -e ".[bench]"
    python -m benchmarks.train_step                        # and with KERAS_BACKEND=jax
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import bert_files, common
from benchmarks.common import Contestant, Result
from benchmarks.peers import keras_hub_mean

CLASSES = 4
LEARNING_RATE, WEIGHT_DECAY = 1e-4, 0.01
CHECK_LEARNING_RATE, CHECK_STEPS, TOLERANCE = 1e-3, 3, 1e-4
DROPOUT = 0.1
OURS, HUB = "keras_pretrained", "KerasHub"
XLA_ONLY = {", XLA": True}
Step = Callable[[], float]


class Task:
    """The batch and the classifier's first weights."""

    def __init__(self, folder: Path, size: str, batch: int, length: int) -> None:
        random = np.random.default_rng(1)
        sizes = bert_files.SIZES[size]
        self.folder = str(folder)
        self.token_ids = random.integers(1, sizes["vocab_size"], (batch, length), "int32")
        self.labels = np.arange(batch, dtype="int32") % CLASSES
        shape = (sizes["hidden_size"], CLASSES)
        self.kernel = random.standard_normal(shape, "float32") * np.float32(0.5)


def keras_step(task: Task, symbolic: Any, pooled: Any, check: bool, jit: bool) -> Step:
    import keras

    dense = keras.layers.Dense(CLASSES)
    model = keras.Model(symbolic, dense(pooled))
    dense.kernel.assign(task.kernel)
    optimizer = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    model.compile(
        keras.optimizers.SGD(CHECK_LEARNING_RATE) if check else optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit,
    )
    zeros = np.zeros_like(task.token_ids)
    inputs = {"token_ids": task.token_ids, "segment_ids": zeros, "padding_mask": zeros + 1}
    return lambda: float(model.train_on_batch(inputs, task.labels))


def ours(task: Task, check: bool, jit: bool) -> Step:
    from keras_pretrained.layers import BertEncoder

    rate = 0.0 if check else DROPOUT
    rates = {"dropout": rate, "attention_dropout": rate}
    encoder = BertEncoder(task.folder, pooling="mean", architecture=rates)
    inputs = encoder.symbolic_inputs()
    return keras_step(task, inputs, encoder(inputs), check, jit)


def keras_hub(task: Task, check: bool, jit: bool) -> Step:
    rate = 0.0 if check else DROPOUT
    symbolic, pooled = keras_hub_mean(task.folder, exact_gelu=False, dropout=rate)
    return keras_step(task, symbolic, pooled, check, jit)


def transformers(task: Task, check: bool, jit: bool) -> Step:
    import torch
    from transformers import BertModel, logging

    logging.set_verbosity_error()
    rate = 0.0 if check else DROPOUT
    rates = {"hidden_dropout_prob": rate, "attention_probs_dropout_prob": rate}
    encoder = BertModel.from_pretrained(task.folder, add_pooling_layer=False, **rates).train()
    dense = torch.nn.Linear(len(task.kernel), CLASSES)
    with torch.no_grad():
        dense.weight.copy_(torch.from_numpy(task.kernel.T))
        dense.bias.zero_()
    weights = [*encoder.parameters(), *dense.parameters()]
    optimizer: Any = torch.optim.SGD(weights, CHECK_LEARNING_RATE)
    if not check:
        optimizer = torch.optim.AdamW(weights, LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    ids, labels = (torch.from_numpy(array).long() for array in (task.token_ids, task.labels))

    def step() -> float:
        optimizer.zero_grad()
        hidden = encoder(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        loss = torch.nn.functional.cross_entropy(dense(hidden.mean(dim=1)), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


class Program:
    """Its first run gives the losses of the check; every later one is a step to be timed."""

    def __init__(self, build: Callable[[Any, bool, Any], Step], task: Any, jit: Any) -> None:
        self.build = lambda check: build(task, check, jit)
        self.step: Step | None = None

    def __call__(self) -> list[float]:
        if self.step is not None:
            return [self.step()]
        check = self.build(True)
        losses = [check() for _ in range(CHECK_STEPS)]
        self.step = self.build(False)
        self.step()
        return losses


def contestants(task: Task) -> Iterator[Contestant]:
    import keras

    # On JAX a step is always compiled.
    choices = {"": False, ", XLA": True} if keras.backend.backend() == "tensorflow" else XLA_ONLY
    programs = {OURS: ours}
    if common.installed("keras_hub", "safetensors"):
        programs[HUB] = keras_hub
    for name, build in programs.items():
        for suffix, jit in choices.items():
            yield Contestant(name + suffix, Program(build, task, jit), TOLERANCE)
    if common.installed("torch", "transformers"):
        yield Contestant("transformers", Program(transformers, task, jit=False), TOLERANCE)


def run(options: argparse.Namespace) -> list[Result]:
    import keras

    size = "minilm-l6"
    if options.quick:
        size, options.batch_size, options.length, options.repeats = "tiny", 4, 16, 1
    with tempfile.TemporaryDirectory() as folder:
        bert_files.write(Path(folder), size, "safetensors")
        task = Task(Path(folder) / "safetensors", size, options.batch_size, options.length)
        results = common.measure(list(contestants(task)), options.repeats)
    common.compare(results, common.largest_difference)
    common.report(
        f"Training step, {size} size, {options.batch_size}x{options.length}, AdamW, "
        f"dropout {DROPOUT}, Keras on {keras.backend.backend()}, {options.threads} threads, "
        f"medians of {options.repeats} interleaved steps",
        ["program", "ms/step", "from, to", "ratio to KerasHub's best", "loss difference"],
        [
            [
                result.name,
                f"{result.median * 1e3:.0f}",
                common.spread(result, 1e3),
                common.ratio(results, result, HUB, f"{HUB}, XLA"),
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
