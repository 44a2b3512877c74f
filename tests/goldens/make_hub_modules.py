"""Golden SavedModels of four kinds, with what TensorFlow itself computes and trains with them.

Programs: TensorFlow; `tensorflow_hub` of the time when it still made and trained modules of TF1.
Versions: Python 3.11, tensorflow 2.15.1, tensorflow-hub 0.13.0 (and, as found when it ran, in
`hub_modules/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_hub_modules.py

    tf1_text/        a TF-Hub module of TF1 in the shape of NNLM: texts, a table of words from an
                     asset, an embedding, a projection with batch normalisation; graphs for
                     inference and, with the tag `train`, for training; a regularisation loss
    tf1_references/  a SavedModel of TF1 (`simple_save`) with the variables that TF1 had by default
    tf2_text/        a SavedModel of TF2 in the shape of NNLM 2: the same table, `__call__` with
                     and without `training`, a regularisation loss
    keras2/          `model.save` of Keras 2: two named inputs, dropout, batch normalisation
    expected.npz     outputs, and the variables after three steps of Adam; for TF1 these are
                     `tf.compat.v1.train.AdamOptimizer` on `hub.Module(..., trainable=True)`, whose
                     update operations were run, as the guide of that time said
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
# The messages of tensorflow_hub 0.13 are older than today's protobuf.
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1

FOLDER = Path(__file__).resolve().parent / "hub_modules"
WORDS = ("the", "cat", "sat", "on", "mat", "dog", "ran")
TEXTS = ("the cat sat on the mat", "the dog ran", "", "zebra cat cat")
RATE, STEPS, L2 = 0.01, 3, 0.02
ROWS, SIZE, WIDTH = len(WORDS) + 1, 4, 3

expected: dict[str, Any] = {"texts": np.array(TEXTS)}


def values(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


TARGETS = values(len(TEXTS), WIDTH, seed=7)
expected["targets"] = TARGETS


# --- a TF-Hub module of TF1 ------------------------------------------------------------------


def text_module(vocabulary: str, training: bool) -> None:
    texts = v1.placeholder(tf.string, [None])
    pieces = v1.string_split(texts, " ")
    table = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            vocabulary,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        1,
    )
    ids = tf.SparseTensor(pieces.indices, table.lookup(pieces.values), pieces.dense_shape)
    ids, _ = tf.sparse.fill_empty_rows(ids, tf.constant(ROWS - 1, tf.int64))
    constant = v1.constant_initializer
    embeddings = v1.get_variable(
        "embeddings", [ROWS, SIZE], initializer=constant(values(ROWS, SIZE, seed=1))
    )
    kernel = v1.get_variable(
        "projection/kernel", [SIZE, WIDTH], initializer=constant(values(SIZE, WIDTH, seed=2))
    )
    # Not used by any signature.
    v1.get_variable("unused", [2], initializer=constant(0.0))
    averaged = tf.nn.embedding_lookup_sparse(embeddings, ids, None, combiner="sqrtn")
    projected = v1.layers.batch_normalization(averaged @ kernel, momentum=0.9, training=training)
    v1.add_to_collection("regularization_losses", L2 * tf.reduce_sum(kernel**2))
    hub.add_signature(inputs=texts, outputs={"default": projected, "averaged": averaged})
    hub.add_signature("length", {"text": texts}, tf.strings.length(texts))


def make_tf1_text(folder: Path, vocabulary: str) -> None:
    with v1.Graph().as_default():
        specification = hub.create_module_spec(
            lambda training: text_module(vocabulary, training),
            [(set(), {"training": False}), ({"train"}, {"training": True})],
        )
        module = hub.Module(specification)
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            module.export(str(folder), session)
    with v1.Graph().as_default():
        module = hub.Module(str(folder))
        outputs = module(list(TEXTS), as_dict=True)
        lengths = module({"text": list(TEXTS)}, signature="length")
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            found, expected["tf1_text_length"] = session.run([outputs, lengths])
            expected["tf1_text_default"] = found["default"]
            expected["tf1_text_averaged"] = found["averaged"]
    with v1.Graph().as_default():
        module = hub.Module(str(folder), trainable=True, tags={"train"})
        difference = module(list(TEXTS)) - TARGETS
        loss = tf.reduce_mean(difference**2) + v1.losses.get_regularization_loss()
        optimizer = v1.train.AdamOptimizer(RATE, epsilon=1e-7)
        with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
            step = optimizer.minimize(loss)
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            losses = [session.run([loss, step])[0] for _ in range(STEPS)]
            expected["tf1_text_losses"] = np.array(losses)
            for name, variable in module.variable_map.items():
                expected[f"tf1_text_trained/{name}"] = session.run(variable)


# --- a SavedModel of TF1 ---------------------------------------------------------------------


def make_tf1_references(folder: Path) -> None:
    numbers = values(5, SIZE, seed=3)
    expected["numbers"] = numbers
    targets = values(5, WIDTH, seed=8)
    expected["number_targets"] = targets
    with v1.Graph().as_default():
        v1.disable_resource_variables()
        taken = v1.placeholder(tf.float32, [None, SIZE])
        initial = v1.constant_initializer
        kernel = v1.get_variable(
            "dense/kernel", [SIZE, WIDTH], initializer=initial(values(SIZE, WIDTH, seed=4))
        )
        bias = v1.get_variable("dense/bias", [WIDTH], initializer=initial(values(WIDTH, seed=5)))
        scale = v1.get_variable("scale", [], initializer=initial(1.5), trainable=False)
        logits = (taken @ kernel + bias) * scale
        probabilities = tf.nn.softmax(logits)
        step = v1.train.AdamOptimizer(RATE, epsilon=1e-7).minimize(
            tf.reduce_mean((logits - targets) ** 2)
        )
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            outputs = {"logits": logits, "probabilities": probabilities}
            v1.saved_model.simple_save(session, str(folder), {"numbers": taken}, outputs)
            found = session.run(outputs, {taken: numbers})
            expected.update({f"tf1_references_{key}": value for key, value in found.items()})
            for _ in range(STEPS):
                session.run(step, {taken: numbers})
            for variable in (kernel, bias, scale):
                expected[f"tf1_references_trained/{variable.op.name}"] = session.run(variable)
        v1.enable_resource_variables()


# --- a SavedModel of TF2 ---------------------------------------------------------------------


class TextModel(tf.Module):
    def __init__(self, vocabulary: str) -> None:
        super().__init__()
        self.embeddings = tf.Variable(values(ROWS, SIZE, seed=1), name="embeddings")
        self.counter = tf.Variable(0, dtype=tf.int64, trainable=False, name="counter")
        self.table = tf.lookup.StaticVocabularyTable(
            tf.lookup.TextFileInitializer(
                vocabulary,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            1,
        )

    def __call__(self, sentences: Any, training: bool = False) -> Any:
        pieces = tf.strings.split(sentences, " ")
        ids = self.table.lookup(pieces.flat_values)
        rows = tf.nn.embedding_lookup(self.embeddings, ids)
        if training:
            self.counter.assign_add(1)
        summed = tf.math.unsorted_segment_sum(rows, pieces.value_rowids(), pieces.nrows())
        return summed / tf.sqrt(tf.cast(tf.maximum(pieces.row_lengths(), 1), "float32"))[:, None]


def make_tf2_text(folder: Path, vocabulary: str) -> None:
    model = TextModel(vocabulary)
    saved = tf.train.Checkpoint()
    saved.embeddings, saved.table, saved.counter = model.embeddings, model.table, model.counter
    call = tf.function(model.__call__)
    texts = tf.TensorSpec([None], tf.string, "sentences")
    for training in (False, True):
        call.get_concrete_function(texts, training=training)
    saved.__call__ = call
    saved.variables = [model.embeddings, model.counter]
    saved.trainable_variables = [model.embeddings]
    losses = tf.function(lambda: L2 * tf.reduce_sum(model.embeddings**2), input_signature=[])
    saved.regularization_losses = [losses]
    tf.saved_model.save(saved, str(folder), {"embed": call.get_concrete_function(texts)})
    expected["tf2_text"] = model(tf.constant(TEXTS)).numpy()
    optimizer = v1.train.AdamOptimizer(RATE, epsilon=1e-7)
    targets = values(len(TEXTS), SIZE, seed=9)
    expected["tf2_targets"] = targets
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            difference = model(tf.constant(TEXTS), training=True) - targets
            loss = tf.reduce_mean(difference**2) + losses()
        variables = [model.embeddings]
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    expected["tf2_text_trained"] = model.embeddings.numpy()


# --- model.save of Keras 2 -------------------------------------------------------------------


def make_keras2(folder: Path) -> None:
    layers = tf.keras.layers
    inputs = {name: tf.keras.Input((SIZE,), name=name) for name in ("left", "right")}
    joined = layers.Concatenate()([inputs["left"], inputs["right"]])
    hidden = layers.BatchNormalization(name="normal")(layers.Dense(WIDTH, name="hidden")(joined))
    outputs = {
        "hidden": hidden,
        "logits": layers.Dense(2, name="head")(layers.Dropout(0.5)(hidden)),
    }
    model = tf.keras.Model(inputs, outputs)
    model.set_weights([values(*each.shape, seed=20 + n) for n, each in enumerate(model.weights)])
    # Variances.
    model.get_layer("normal").moving_variance.assign([0.5, 1.0, 2.0])
    model.save(str(folder), include_optimizer=False)
    (folder / "keras_metadata.pb").unlink()
    given = {"left": values(3, SIZE, seed=30), "right": values(3, SIZE, seed=31)}
    expected.update({f"keras2_{name}": value for name, value in given.items()})
    found = model(given, training=False)
    expected.update({f"keras2_{name}": value.numpy() for name, value in found.items()})
    trained = model(given, training=True)
    expected["keras2_hidden_training"] = trained["hidden"].numpy()


def reduce(folder: Path) -> None:
    """Takes out what TensorFlow does not need to run a module."""
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in saved.meta_graphs:
        graph.meta_info_def.ClearField("stripped_op_list")
    path.write_bytes(saved.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with tempfile.TemporaryDirectory() as temporary:
        # A relative path, because TensorFlow writes it into the name of the table.
        os.chdir(temporary)
        vocabulary = Path("words.txt")
        vocabulary.write_text("\n".join(WORDS) + "\n", encoding="utf-8")
        make_tf1_text(FOLDER / "tf1_text", str(vocabulary))
        make_tf1_references(FOLDER / "tf1_references")
        make_tf2_text(FOLDER / "tf2_text", str(vocabulary))
        make_keras2(FOLDER / "keras2")
        os.chdir(FOLDER)
    for folder in FOLDER.iterdir():
        reduce(folder)
    np.savez_compressed(FOLDER / "expected.npz", **expected)
    facts = {
        "program": "TensorFlow and tensorflow_hub: hub.Module and tf.compat.v1 sessions for TF1, "
        "eager TensorFlow and tf.keras for TF2; float32",
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "tensorflow-hub": hub.__version__,
            "numpy": np.__version__,
        },
        "command": "python tests/goldens/make_hub_modules.py",
        "training": f"{STEPS} steps of Adam, rate {RATE}, epsilon 1e-7, regularisation {L2}",
        "expected": {
            name: [str(np.asarray(value).dtype), *np.shape(value)]
            for name, value in expected.items()
        },
    }
    text = json.dumps(facts, indent=2)
    (FOLDER / "golden.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
