"""Image networks, forward: ours, `keras.applications` and ONNX Runtime, images/s.

All compute with the same random weights: those of the Keras network, which go into ours through an
`.h5` file, and into ONNX Runtime through our export.

    pip install -e ".[bench]"
    python -m benchmarks.images --network MobileNetV2
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.common import Contestant, Result

NETWORKS = {
    "MobileNetV1": "MobileNet",
    "MobileNetV2": "MobileNetV2",
    "ResNetV1_50": "ResNet50",
    "InceptionV3": "InceptionV3",
    "VGG16": "VGG16",
    "Xception": "Xception",
}
TOLERANCE = 1e-3
"""Of logits whose spread is one."""


def reference(name: str, size: int) -> Any:
    """The network of `keras.applications`, with weights that keep its logits in range."""
    import keras

    make = getattr(keras.applications, NETWORKS[name])
    model = make(weights=None, input_shape=(size, size, 3), classifier_activation=None)
    generator = np.random.default_rng(0)
    for variable in model.weights:
        shape, kind = variable.shape, variable.name
        if kind in ("gamma", "moving_variance"):
            variable.assign(generator.uniform(0.5, 1.0, shape))
        elif kind in ("beta", "bias", "moving_mean"):
            variable.assign(generator.normal(0, 0.1, shape))
    return model


def write_h5(model: Any, path: Path) -> Path:
    """The weights as Keras 2 wrote them."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{variable.name}:0" for variable in layer.weights]
            for name, variable in zip(names, layer.weights, strict=True):
                group[name] = np.asarray(variable)
            group.attrs["weight_names"] = [name.encode() for name in names]
    return path


def graph(model: Any, xla: bool) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    program = tf.function(lambda x: model(x, training=False), jit_compile=xla)
    return lambda images: program(tf.constant(images)).numpy()


def onnx(model: Any, folder: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    from keras_pretrained import export

    path = folder / "network.onnx"
    export.to_onnx(model, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    (name,) = [each.name for each in session.get_inputs()]
    return lambda images: session.run(None, {name: images})[0]


def contestants(
    options: argparse.Namespace, images: np.ndarray, folder: Path
) -> Iterator[Contestant]:
    from keras_pretrained import applications

    keras_model = reference(options.network, images.shape[1])
    arguments = {"alpha": 1.0} if options.network.startswith("MobileNet") else {}
    ours = getattr(applications, options.network)(
        weights=write_h5(keras_model, folder / "weights.h5"),
        input_shape=images.shape[1:],
        preprocessing=False,
        classifier_activation=None,
        **arguments,
    )
    folded = applications.fold_batch_norm(ours)
    spread = float(np.std(graph(keras_model, False)(images)))

    def row(name: str, run: Callable[[np.ndarray], np.ndarray]) -> Contestant:
        return Contestant(name, lambda: run(images) / spread, TOLERANCE)

    yield row("keras.applications", graph(keras_model, False))
    yield row("keras.applications, XLA", graph(keras_model, True))
    yield row("ours", graph(ours, False))
    yield row("ours, XLA", graph(ours, True))
    yield row("ours, folded", graph(folded, False))
    yield row("ours, folded, XLA", graph(folded, True))
    if common.installed("onnxruntime", "tf2onnx"):
        yield row("ours in ONNX Runtime", onnx(ours, folder, options.threads))


def run(options: argparse.Namespace) -> list[Result]:
    if options.quick:
        options.size, options.batch_size, options.repeats = 75, 1, 1
    size = options.size or {"InceptionV3": 299, "Xception": 299}.get(options.network, 224)
    if options.network == "VGG16":
        size = 224
    images = np.random.default_rng(1).uniform(-1, 1, (options.batch_size, size, size, 3))
    with tempfile.TemporaryDirectory() as folder:
        entries = list(contestants(options, images.astype("float32"), Path(folder)))
        results = common.measure(entries, options.repeats)
    common.compare(results, common.largest_difference)
    peers = ("keras.applications", "keras.applications, XLA", "ours in ONNX Runtime")
    common.report(
        f"{options.network} forward, {options.batch_size}x{size}x{size}, {options.threads} "
        f"threads, medians of {options.repeats} interleaved runs",
        ["program", "images/s", "ms", "from, to", "by the fastest other", "difference"],
        [
            [
                result.name,
                f"{options.batch_size / result.median:.1f}",
                f"{result.median * 1e3:.0f}",
                common.spread(result, 1e3),
                common.ratio(results, result, *peers),
                f"{result.difference:.1e}",
            ]
            for result in results
        ],
    )
    return results


def arguments() -> argparse.ArgumentParser:
    parser = common.parser(__doc__, repeats=9)
    parser.add_argument("--network", choices=NETWORKS, default="MobileNetV2")
    parser.add_argument("--batch-size", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--size", type=int, help="of the images; by default the published one")
    return parser


if __name__ == "__main__":
    chosen = arguments().parse_args()
    common.prepare_environment(chosen.threads)
    common.require_agreement(run(chosen))
