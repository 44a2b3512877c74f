"""Transfers an image network to a new task at every depth: how much of it has to be trained?

With no network and no file, a small MobileNet is first trained on one half of scikit-learn's digits
(0 to 4) and written as a TensorFlow-Slim checkpoint. That checkpoint is then loaded, frozen at one
depth after another, and trained on few examples of the other half (5 to 9), beside the same
network without the checkpoint. The accuracies are printed and plotted, and the best model is saved,
exported, and compared in a fresh process that does not import this library.

    pip install -e ".[example]"
    python examples/image_classification.py
    python examples/image_classification.py --weights mobilenet_v1_0.25_128.tgz
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from keras_pretrained import applications, export

SIZE = 32
BATCH_SIZE = 20
SEED = 1
TOLERANCE = 1e-4
FROM_SCRATCH = "weights=None"

SERVE = """
import numpy, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
images = numpy.load("images.npy")
(name,) = [each.name for each in session.get_inputs()]
numpy.save("result.npy", session.run(None, {name: images})[0])
"""


@dataclass
class Task:
    """Images (count, 32, 32, 3) with values 0 to 255, and their labels."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def main() -> None:
    arguments = parse_arguments()
    if arguments.output is None:
        with tempfile.TemporaryDirectory() as folder:
            run(arguments, Path(folder))
    else:
        arguments.output.mkdir(parents=True, exist_ok=True)
        run(arguments, arguments.output)


def run(arguments: argparse.Namespace, folder: Path) -> None:
    started = time.perf_counter()
    keras.utils.set_random_seed(SEED)
    task = digits(range(5, 10), arguments.examples)
    checkpoint = arguments.weights or pretrained(folder, arguments.epochs)
    print(f"{len(task.train_images)} images to train on, {len(task.test_images)} to test on\n")
    print(f"{'trains from':<22}{'test accuracy':>15}{'seconds':>10}{'parameters':>12}")
    show("logistic regression", *linear(task))
    rows = []
    best: tuple[float, keras.Model | None] = (0.0, None)
    names = [stage.name for stage in build(None).stages if not stage.head]
    for depth in [*names[:: arguments.step], "logits"]:
        model = build(checkpoint, depth)
        accuracy, seconds = fit(model, task, arguments.epochs)
        rows.append((depth, accuracy))
        show(depth, accuracy, seconds, trained(model))
        if accuracy > best[0]:
            best = (accuracy, model)
    model = build(None)
    scratch, seconds = fit(model, task, arguments.epochs)
    show(FROM_SCRATCH, scratch, seconds, trained(model))
    plot(rows, scratch, folder / "accuracy.png")
    if best[1] is not None:
        print(
            f"\nONNX file in ONNX Runtime: {served(best[1], task, folder):.1e} largest difference"
        )
    print(f"{time.perf_counter() - started:.0f} seconds in all")
    if arguments.output is not None:
        print(f"accuracy.png, model.keras and model.onnx are in {folder}")


def build(weights: Path | None, trainable_from: Any = 0) -> Any:
    """MobileNet with five classes; the published archives are of larger images and more classes."""
    return applications.MobileNetV1(
        weights=weights,
        alpha=0.25,
        input_shape=(SIZE, SIZE, 3),
        classes=5,
        trainable_from=trainable_from,
        # A task of a few hundred steps: the statistics must follow sooner than by default.
        norm_momentum=0.9,
    )


def pretrained(folder: Path, epochs: int) -> Path:
    """A checkpoint of a network that was trained on the digits 0 to 4."""
    task = digits(range(5), 150)
    model = build(None)
    accuracy, seconds = fit(model, task, epochs)
    print(f"pretrained on the digits 0 to 4: {accuracy:.3f} of their tests, {seconds:.0f} s")
    # Other digits are other classes: the checkpoint's classifier is of no use to them.
    headless = applications.MobileNetV1(
        weights=model.save_weights_as(folder / "all.ckpt"),
        alpha=0.25,
        input_shape=(SIZE, SIZE, 3),
        include_top=False,
    )
    print(f"written as a checkpoint of slim: {len(headless.load_report.loaded)} tensors")
    return folder / "all.ckpt"


def digits(classes: range, examples: int) -> Task:
    """So many images of each of the classes to train on; all others are for the test."""
    data = load_digits()
    chosen = np.isin(data.target, classes)
    images = (data.images[chosen] * (255 / 16)).astype("float32")
    images = images.repeat(SIZE // 8, axis=1).repeat(SIZE // 8, axis=2)
    images = np.repeat(images[..., None], 3, axis=-1)
    labels = (data.target[chosen] - classes.start).astype("int32")
    train, test, train_labels, test_labels = train_test_split(
        images, labels, train_size=examples * len(classes), stratify=labels, random_state=SEED
    )
    return Task(train, train_labels, test, test_labels)


def fit(model: Any, task: Task, epochs: int) -> tuple[float, float]:
    """Accuracy on the test images, and the seconds that training took."""
    started = time.perf_counter()
    model.compile(
        keras.optimizers.AdamW(2e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    # The last batch of an epoch would be another shape, and so another program.
    count = len(task.train_images) // BATCH_SIZE * BATCH_SIZE
    model.fit(
        task.train_images[:count],
        task.train_labels[:count],
        batch_size=BATCH_SIZE,
        epochs=epochs,
        verbose=0,
    )
    seconds = time.perf_counter() - started
    _, accuracy = model.evaluate(task.test_images, task.test_labels, verbose=0)
    return accuracy, seconds


def linear(task: Task) -> tuple[float, float, int]:
    started = time.perf_counter()
    step = SIZE // 8
    flat = [
        images[:, ::step, ::step, 0].reshape(len(images), -1) / 255
        for images in (task.train_images, task.test_images)
    ]
    model = LogisticRegression(max_iter=1000).fit(flat[0], task.train_labels)
    return model.score(flat[1], task.test_labels), time.perf_counter() - started, model.coef_.size


def trained(model: Any) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def show(name: str, accuracy: float, seconds: float, parameters: int) -> None:
    print(f"{name:<22}{accuracy:>15.3f}{seconds:>10.1f}{parameters:>12,}", flush=True)


def plot(rows: list[tuple[str, float]], scratch: float, path: Path) -> None:
    """Accuracy against the first stage that trains."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    names, accuracies = zip(*rows, strict=True)
    axes.plot(names, accuracies, marker="o", label="pretrained")
    axes.axhline(scratch, color="grey", linestyle="--", label=FROM_SCRATCH)
    axes.set(xlabel="first stage that trains", ylabel="test accuracy")
    axes.tick_params(axis="x", rotation=60)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def served(model: Any, task: Task, folder: Path) -> float:
    """Saves and exports; how far the exported file is from the model, in a process of its own."""
    model.save(folder / "model.keras")
    export.to_onnx(model, folder / "model.onnx", overwrite=True)
    images = task.test_images[:64]
    np.save(folder / "images.npy", images)
    subprocess.run([sys.executable, "-c", SERVE], cwd=folder, check=True)
    difference = np.abs(np.load(folder / "result.npy") - model.predict(images, verbose=0)).max()
    if not difference <= TOLERANCE:
        raise SystemExit(f"The exported file is wrong by {difference}.")
    return float(difference)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights", type=Path, help="MobileNet V1 0.25 in slim's archive or .ckpt")
    parser.add_argument("--examples", type=int, default=30, help="of each class: %(default)s")
    parser.add_argument("--epochs", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--step", type=int, default=3, help="every so many stages are tried")
    parser.add_argument("--output", type=Path, help="folder to keep the files in")
    return parser.parse_args()


if __name__ == "__main__":
    main()
