"""Image networks, forward: ours, the program that published them, and ONNX Runtime, images/s.

All compute with the same random weights: those of `keras.applications` or torchvision, which go
into ours through an `.h5` or `.pth` file, and into ONNX Runtime through our export.

    pip install -e ".[bench]"
    python -m benchmarks.images --network MobileNetV2
    python -m benchmarks.images --network ResNet50        # beside torchvision, if that is installed
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common, image_networks
from benchmarks.common import Contestant, Result
from benchmarks.image_networks import OURS, Run

TOLERANCE = 1e-3
"""Of logits whose spread is one."""


def graph(model: Any, xla: bool) -> Run:
    import tensorflow as tf

    program = tf.function(lambda x: model(x, training=False), jit_compile=xla)
    return lambda images: program(tf.constant(images)).numpy()


def onnx(model: Any, folder: Path, threads: int) -> Run:
    import onnxruntime

    from keras_pretrained import export

    path = folder / "network.onnx"
    export.to_onnx(model, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    (name,) = [each.name for each in session.get_inputs()]
    return lambda images: session.run(None, {name: images})[0]


def programs(options: argparse.Namespace, size: int, folder: Path) -> Iterator[tuple[str, Run]]:
    from keras_pretrained import applications

    source = image_networks.original(options.network, size)
    network = image_networks.ours(options.network, source, size, folder)
    if source.program == "torchvision":
        last = image_networks.channels_last(source.model)
        yield source.program, image_networks.torch_forward(source.model)
        yield f"{source.program}, channels last", image_networks.torch_forward(last)
    else:
        yield source.program, graph(source.model, False)
        yield f"{source.program}, XLA", graph(source.model, True)
    for name, model in {"": network, ", folded": applications.fold_batch_norm(network)}.items():
        yield f"{OURS}{name}", graph(model, False)
        yield f"{OURS}{name}, XLA", graph(model, True)
    if common.installed("onnxruntime", "tf2onnx"):
        yield "ONNX Runtime, our export", onnx(network, folder, options.threads)


def contestants(
    options: argparse.Namespace, images: np.ndarray, folder: Path
) -> Iterator[Contestant]:
    found = list(programs(options, images.shape[1], folder))
    spread = float(np.std(found[0][1](images)))

    def row(name: str, run: Run) -> Contestant:
        return Contestant(name, lambda: run(images) / spread, TOLERANCE)

    yield from (row(name, run) for name, run in found)


def run(options: argparse.Namespace) -> list[Result]:
    return image_networks.run(options, "forward", contestants, quick_batch_size=1)


def arguments() -> argparse.ArgumentParser:
    return image_networks.arguments(__doc__, repeats=9)


if __name__ == "__main__":
    chosen = arguments().parse_args()
    common.prepare_environment(chosen.threads)
    common.require_agreement(run(chosen))
