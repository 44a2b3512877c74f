"""One training step of an image network: ours and the program that published it, images/s.

SGD with momentum, batch normalisations over the batch, no dropout. All start from the same random
weights. Before anything is timed each takes three steps, and the losses must agree.

    pip install -e ".[bench]"
    python -m benchmarks.image_training --network ResNetV1_50
    python -m benchmarks.image_training --network ResNet18      # beside torchvision
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common, image_networks
from benchmarks.common import Contestant, Result
from benchmarks.image_networks import OURS

CLASSES = 1000
LEARNING_RATE, MOMENTUM = 1e-5, 0.9
CHECK_STEPS, TOLERANCE = 3, 1e-2
"""Losses fall by 0.03 a step; random weights under batch statistics enlarge every rounding."""


class Program:
    """Its first run gives the losses of the check; every later one is a step to be timed."""

    def __init__(self, step: Callable[[], float]) -> None:
        self.step, self.checked = step, False

    def __call__(self) -> list[float]:
        steps = 1 if self.checked else CHECK_STEPS
        self.checked = True
        return [self.step() for _ in range(steps)]


def keras_step(model: Any, images: np.ndarray, labels: np.ndarray, xla: bool) -> Program:
    import keras

    # One set of variables would be trained by the other program's steps too.
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile(
        keras.optimizers.SGD(LEARNING_RATE, MOMENTUM),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=xla,
    )
    return Program(lambda: float(copy.train_on_batch(images, labels)))


def torch_step(model: Any, images: np.ndarray, labels: np.ndarray) -> Program:
    import torch

    model.train()
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM)
    given, expected = image_networks.torch_images(images), torch.from_numpy(labels).long()

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(given), expected)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Program(step)


def contestants(
    options: argparse.Namespace, images: np.ndarray, folder: Path
) -> Iterator[Contestant]:
    source = image_networks.original(options.network, images.shape[1])
    network = image_networks.ours(options.network, source, images.shape[1], folder)
    labels = np.random.default_rng(2).integers(0, CLASSES, len(images), "int32")
    if source.program == "torchvision":
        last = image_networks.channels_last(source.model)
        for name, model in {"": source.model, ", channels last": last}.items():
            yield Contestant(source.program + name, torch_step(model, images, labels), TOLERANCE)
        entries = {OURS: network}
    else:
        entries = {source.program: source.model, OURS: network}
    for name, model in entries.items():
        for suffix, xla in {"": False, ", XLA": True}.items():
            yield Contestant(name + suffix, keras_step(model, images, labels, xla), TOLERANCE)


def run(options: argparse.Namespace) -> list[Result]:
    return image_networks.run(options, "training", contestants, quick_batch_size=4)


def arguments() -> argparse.ArgumentParser:
    return image_networks.arguments(__doc__, repeats=7)


if __name__ == "__main__":
    chosen = arguments().parse_args()
    common.prepare_environment(chosen.threads)
    common.require_agreement(run(chosen))
