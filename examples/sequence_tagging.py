"""Tags the tokens of Python code by what they do, with ELMo and word vectors.

A name may be defined, called, looked up in an object, passed as an argument or used; which, its
letters do not tell. The code is that of this machine's own standard library, and whole modules are
held out for the test. The tagger is the paper's: one mix of ELMo's layers and word vectors at the
input of a recurrent layer, another mix at its output.

Without `--elmo` the example trains a small ELMo from random weights, and without `--vectors` it
makes word vectors out of the same code, so that nothing needs to be fetched. The accuracy stands
beside that of the kind that each word had most often. The trained model is saved, reloaded, and
exported: a SavedModel takes words, an ONNX file takes character ids and word ids.

    pip install -e ".[onnx]"
    python examples/sequence_tagging.py
    python examples/sequence_tagging.py --elmo elmo-original --vectors glove-6b-100d
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from code_tokens import KINDS, Line, Lines, read_lines

from keras_pretrained import export
from keras_pretrained.layers import ElmoEmbedding, WordEmbedding

BATCH_SIZE = 32
SEED = 1
SMALL_ELMO = {
    "filters": [[1, 16], [2, 16], [3, 32], [4, 32]],
    "units": 64,
    "projection_size": 32,
    "num_highways": 1,
}


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        run(arguments, Path(folder))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--elmo", help="preset name or path of an ELMo (default: a small one, random)")
    add("--vectors", help="preset name or path of word vectors (default: made of the code)")
    add("--lines", type=int, default=4096, help="to train on (default: %(default)s)")
    add("--epochs", type=int, default=3, help="default: %(default)s")
    return parser.parse_args()


def run(arguments: argparse.Namespace, folder: Path) -> float:
    started = time.perf_counter()
    keras.utils.set_random_seed(SEED)
    data = read_lines(arguments.lines, SEED)
    print(f"{len(data.train)} lines to train on, {len(data.test)} of other modules to test on")
    vectors = arguments.vectors or write_vectors(data.train, folder / "vectors.txt")
    model = build_model(arguments.elmo, vectors, data.train)
    train, test = dataset(data.train).shuffle(256, seed=SEED), dataset(data.test)
    model.fit(train, epochs=arguments.epochs, validation_data=test, shuffle=False, verbose=2)
    accuracy = model.evaluate(test, verbose=0, return_dict=True)["accuracy"]
    print(f"\nthe word's most frequent kind {most_frequent(data):.3f}")
    print(f"ELMo and word vectors         {accuracy:.3f}\n")
    for name, difference in check_files(model, data.test[:BATCH_SIZE], folder).items():
        print(f"{name:<30}largest difference {difference:.1e}")
    print(f"\n{time.perf_counter() - started:.0f} seconds in all")
    return accuracy


# --- the model -------------------------------------------------------------------------------


def build_model(elmo: str | None, vectors: str | Path, lines: list[Line]) -> keras.Model:
    """Words (batch, words) -> logits of the kinds (batch, words, kinds)."""
    words = keras.Input((None,), dtype="string", name="words")
    if elmo is None:
        embedding = ElmoEmbedding(
            architecture=SMALL_ELMO, mixes=2, mix_dropout=0.1, trainable_from=0, name="elmo"
        )
    else:
        embedding = ElmoEmbedding(elmo, mixes=2, mix_dropout=0.5, mix_l2=1e-3, name="elmo")
    vocabulary = sorted({word for line, _ in lines for word in line})
    static = WordEmbedding(vectors, vocabulary=vocabulary, name="vectors")
    low, high = embedding(words)
    x = keras.layers.Concatenate()([low, static(words)])
    x = keras.layers.Bidirectional(keras.layers.GRU(48, return_sequences=True))(x)
    x = keras.layers.Concatenate()([x, high])
    model = keras.Model(words, keras.layers.Dense(len(KINDS), name="kinds")(x))
    model.compile(
        keras.optimizers.Adam(3e-3, clipnorm=5.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=["accuracy"],
    )
    return model


def dataset(lines: list[Line]) -> tf.data.Dataset:
    """Batches of words, kinds, and weights that are 0 where there is no word."""
    words = tf.ragged.constant([words for words, _ in lines])
    kinds = tf.ragged.constant([kinds for _, kinds in lines])
    rows = tf.data.Dataset.from_tensor_slices((words, kinds)).batch(BATCH_SIZE)
    return rows.map(
        lambda words, kinds: (
            words.to_tensor(""),
            kinds.to_tensor(0),
            tf.cast(words.to_tensor("") != "", tf.float32),
        )
    ).prefetch(tf.data.AUTOTUNE)


def write_vectors(lines: list[Line], path: Path, size: int = 32) -> Path:
    """Word vectors in GloVe's format: the largest components of who stands beside whom."""
    counts = Counter(word for words, _ in lines for word in words)
    vocabulary = [word for word, _ in counts.most_common(2000)]
    place = {word: index for index, word in enumerate(vocabulary)}
    beside = np.zeros((len(vocabulary), len(vocabulary)), "float32")
    for words, _ in lines:
        for first, second in itertools.pairwise(words):
            if first in place and second in place:
                beside[place[first], place[second]] += 1
                beside[place[second], place[first]] += 1
    # How much more often than by chance.
    total = beside.sum()
    chance = np.outer(beside.sum(1), beside.sum(0)) / max(total, 1)
    information = np.log1p(beside / np.maximum(chance, 1e-3))
    left, values, _ = np.linalg.svd(information)
    vectors = left[:, :size] * np.sqrt(values[:size])
    with path.open("w", encoding="utf-8") as file:
        for word, vector in zip(vocabulary, vectors, strict=True):
            file.write(f"{word} {' '.join(f'{value:.5f}' for value in vector)}\n")
    return path


# --- what it is compared with ----------------------------------------------------------------


def most_frequent(data: Lines) -> float:
    """The accuracy of the kind that each word had most often; of a new one, of all words."""
    seen: dict[str, Counter[int]] = defaultdict(Counter)
    for words, kinds in data.train:
        for word, kind in zip(words, kinds, strict=True):
            seen[word][kind] += 1
    every = sum(seen.values(), Counter()).most_common(1)[0][0]
    right = [
        (seen[word].most_common(1)[0][0] if word in seen else every) == kind
        for words, kinds in data.test
        for word, kind in zip(words, kinds, strict=True)
    ]
    return float(np.mean(right))


def check_files(model: keras.Model, lines: list[Line], folder: Path) -> dict[str, float]:
    """Saves, reloads and exports the model; how far the logits of each file are from its own."""
    words = tf.ragged.constant([words for words, _ in lines]).to_tensor("")
    real = (words != "").numpy()
    expected = model.predict(words, verbose=0)[real]
    model.save(folder / "model.keras")
    reloaded = keras.models.load_model(folder / "model.keras")
    found = {"model.keras": reloaded.predict(words, verbose=0)}

    saved = export.to_saved_model(model, folder / "saved_model").path
    served = tf.saved_model.load(str(saved)).serve({"words": words})
    found["SavedModel, from words"] = served["kinds"].numpy()

    path = export.to_onnx(model, folder / "model.onnx").path
    session = onnxruntime.InferenceSession(str(path))
    made = model.get_layer("elmo").tokenize_inputs([words])
    made |= {
        f"vectors_{name}": value
        for name, value in model.get_layer("vectors").tokenize_inputs([words]).items()
    }
    wanted = [each.name for each in session.get_inputs()]
    given = {name: np.asarray(made[name]) for name in wanted}
    (found["ONNX, from character ids"],) = session.run(None, given)
    return {name: float(np.abs(each[real] - expected).max()) for name, each in found.items()}


if __name__ == "__main__":
    main()
