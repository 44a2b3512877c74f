"""Text layers on strings: the same numbers as on ids, in models, saved, and under XLA."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import BertEncoder
from keras_pretrained.layers.blocks.tensorflow import has_gpu
from keras_pretrained.tokenizers import WordPieceTokenizer
from tests.layers.layer_test import to_numpy
from tests.layers.toys import make_bert

BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason=f"{BACKEND} has no strings")
PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"abcdefgh",
    *(f"##{c}" for c in "abcdefgh"),
]
TEXTS = ["a b", "abc", "", "a dog", "a b c d e f g h a b c d e"]
OTHERS = ["b", "a", "h g f", "a", "c"]


def bert(changes: dict[str, Any] | None = None, **options: Any) -> BertEncoder:
    tokenizer = WordPieceTokenizer(PIECES, max_length=12)
    return make_bert(changes, tokenizer=tokenizer, **{"jit_compile": False, **options})


def texts_input() -> Any:
    return keras.Input((), dtype="string", name="texts")


def objects(texts: list[str] = TEXTS) -> np.ndarray:
    return np.array(texts, dtype=object)


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow has strings")
def test_a_backend_without_strings_says_so() -> None:
    encoder = bert()
    for inputs in (texts_input(), TEXTS, "a", objects()):
        with pytest.raises(ValueError, match=r"backend jax does not have.*KERAS_BACKEND="):
            encoder(inputs)


@on_tensorflow
@pytest.mark.parametrize(
    "options",
    [{}, {"pooling": "mean"}, {"hidden_layers": "mix"}, {"pooling": "pooler"}],
    ids=str,
)
def test_strings_give_what_their_ids_give(options: dict[str, Any]) -> None:
    import tensorflow as tf

    encoder = bert(**options)
    expected = to_numpy(encoder(encoder.tokenizer(TEXTS, pad_to="buckets")))
    for texts in (
        TEXTS,
        objects(),
        np.array(TEXTS),
        tf.constant(TEXTS),
        tf.constant(TEXTS)[:, None],
    ):
        np.testing.assert_array_equal(to_numpy(encoder(texts)), expected)
    np.testing.assert_array_equal(to_numpy(encoder("a b")), to_numpy(encoder(["a b"])))
    symbolic = texts_input()
    output = encoder(symbolic)
    assert output.shape == ((None, 8) if encoder.pooling else (None, None, 8))
    model = keras.Model(symbolic, output)
    np.testing.assert_allclose(model.predict(objects(), verbose=0), expected, rtol=0, atol=1e-6)


@on_tensorflow
def test_pairs() -> None:
    import tensorflow as tf

    encoder = bert(pooling="mean")
    ids = encoder.tokenizer((TEXTS, OTHERS), pad_to="buckets")
    assert ids["segment_ids"].any()
    expected = to_numpy(encoder(ids))
    for pair in (
        (TEXTS, OTHERS),
        (tf.constant(TEXTS), tf.constant(OTHERS)),
        [tf.constant(TEXTS), tf.constant(OTHERS)],
    ):
        np.testing.assert_array_equal(to_numpy(encoder(pair)), expected)
    inputs = (keras.Input((), dtype="string"), keras.Input((), dtype="string"))
    model = keras.Model(inputs, encoder(inputs))
    found = model.predict((objects(), objects(OTHERS)), verbose=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@on_tensorflow
def test_features_of_strings() -> None:
    encoder = bert()
    expected = to_numpy(encoder.features(encoder.tokenizer(TEXTS, pad_to="buckets")))
    found = to_numpy(encoder.features(objects()))
    assert found.keys() == expected.keys()
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    symbolic = texts_input()
    features = encoder.features(symbolic)
    assert len(features["hidden_states"]) == 4
    model = keras.Model(symbolic, features)
    np.testing.assert_allclose(
        model.predict(objects(), verbose=0)["pooled"], expected["pooled"], rtol=0, atol=1e-6
    )


@on_tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_mask_of_the_ids_reaches_the_next_layer(jit_compile: bool) -> None:
    encoder = bert(jit_compile=jit_compile, changes={"num_layers": 1})
    symbolic = texts_input()
    pooled = keras.layers.GlobalAveragePooling1D()(encoder(symbolic))
    model = keras.Model(symbolic, pooled)
    ids = encoder.tokenizer(TEXTS, pad_to="buckets")
    mask = ids["padding_mask"][..., None]
    hidden = to_numpy(encoder(ids))
    expected = (hidden * mask).sum(1) / mask.sum(1)
    np.testing.assert_allclose(model(objects()), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.predict(objects(), verbose=0), expected, rtol=0, atol=1e-5)


def classifier(symbolic: Any, encoder: BertEncoder) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Model(symbolic, keras.layers.Dense(2)(encoder(symbolic)))
    model.compile(
        keras.optimizers.AdamW(1e-2, weight_decay=0.1, clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


LABELS = np.array([0, 1, 1, 0, 1])


@on_tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_on_strings_is_training_on_ids(jit_compile: bool) -> None:
    """Losses, weights, frozen stages and optimizer state, with the compiled parts and without."""
    quiet = {"dropout": 0.0, "attention_dropout": 0.0}
    on_ids = bert(changes=quiet, pooling="mean", trainable_from=1)
    on_strings = bert(changes=quiet, pooling="mean", trainable_from=1, jit_compile=jit_compile)
    on_strings.set_weights(on_ids.get_weights())
    frozen = to_numpy([on_strings.embeddings.weights, on_strings.blocks[0].weights])
    first = classifier(on_ids.symbolic_inputs(), on_ids)
    second = classifier(texts_input(), on_strings)
    ids = on_ids.tokenizer(TEXTS, pad_to="buckets")
    for _ in range(3):
        expected = first.train_on_batch(ids, LABELS)
        assert second.train_on_batch(objects(), LABELS) == pytest.approx(expected, abs=1e-5)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)
    assert int(second.optimizer.iterations) == 3
    moved = to_numpy([on_strings.embeddings.weights, on_strings.blocks[0].weights])
    for before, after in zip(keras.tree.flatten(frozen), keras.tree.flatten(moved), strict=True):
        np.testing.assert_array_equal(before, after)


@on_tensorflow
def test_another_depth_compiles_other_parts() -> None:
    encoder = bert(pooling="mean", trainable_from=None, jit_compile=True)
    model = classifier(texts_input(), encoder)
    model.train_on_batch(objects(), LABELS)
    before = to_numpy(encoder.weights)
    encoder.trainable_from = "layer_2"
    with pytest.raises(ValueError, match="compile"):
        model.train_on_batch(objects(), LABELS)
    model.compile("adam", "mse")
    model.train_on_batch(objects(), np.zeros((5, 2)))
    changed = [
        variable.path
        for variable, old in zip(encoder.weights, before, strict=True)
        if not np.array_equal(to_numpy(variable), old)
    ]
    assert changed
    assert all("layer_2" in path for path in changed)


@on_tensorflow
def test_dropout_works_in_compiled_parts() -> None:
    changes = {"dropout": 0.5, "num_layers": 1}
    encoder = bert(pooling="mean", jit_compile=True, changes=changes)
    model = classifier(texts_input(), encoder)
    model.optimizer.learning_rate = 0.0
    losses = {round(float(model.train_on_batch(objects(), LABELS)), 6) for _ in range(4)}
    assert len(losses) > 1
    assert len(encoder._compiled_parts) == 1
    predictions = [model.predict(objects(), verbose=0) for _ in range(2)]
    assert len(encoder._compiled_parts) == 2
    np.testing.assert_array_equal(*predictions)


RELOAD = """
import sys
import keras, numpy
import keras_pretrained.layers
model = keras.models.load_model("model.keras")
texts = numpy.load("texts.npy").astype(object)
numpy.save("found.npy", model.predict(texts, verbose=0))
model.fit(texts, numpy.zeros(len(texts)), verbose=0)
"""


def python(code: str, folder: Path, *arguments: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout


@on_tensorflow
def test_a_fresh_process_reloads_and_trains_on(tmp_path: Path) -> None:
    encoder = bert(pooling="mean", trainable_from=2)
    model = classifier(texts_input(), encoder)
    model.train_on_batch(objects(), LABELS)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "texts.npy", np.array(TEXTS))
    python(RELOAD, tmp_path)
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(found, model.predict(objects(), verbose=0), rtol=0, atol=1e-6)


@on_tensorflow
def test_subclassed_models_and_loops_of_ones_own() -> None:
    import tensorflow as tf

    encoder = bert(pooling="mean", jit_compile=True)

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            self.dense = keras.layers.Dense(2)

        def call(self, texts: Any) -> Any:
            return self.dense(self.encoder(texts))

    model = Own()
    expected = to_numpy(model(tf.constant(TEXTS)))
    np.testing.assert_allclose(tf.function(model)(tf.constant(TEXTS)), expected, rtol=0, atol=1e-5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(tf.constant(TEXTS), training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(2)
    model.compile("sgd", "mse", jit_compile=True)
    with pytest.raises(ValueError, match="Pass `jit_compile=False`"):
        model.fit(dataset, shuffle=False, verbose=0)
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(dataset, shuffle=False, verbose=0)


@on_tensorflow
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (keras.Input((2,), dtype="string"), r"shape \(batch,\).*Received: shape \(None, 2\)"),
        ((keras.Input((), dtype="string"),) * 3, "one string tensor, or a pair"),
        ((keras.Input((), dtype="string"), keras.Input((4,), dtype="int32")), "not all of them"),
        (["a", 5], r"texts\[1\] must be a str"),
        ((["a"], ["b", "c"]), "different lengths"),
    ],
    ids=["rank", "three", "mixed", "numbers", "lengths"],
)
def test_wrong_texts_say_what_was_expected(inputs: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        bert()(inputs)


def test_wrong_compilation() -> None:
    with pytest.raises(ValueError, match="must be True, False or 'auto'"):
        make_bert(jit_compile="yes")


@on_tensorflow
def test_a_layer_without_vocabulary_says_so_when_the_model_is_made() -> None:
    with pytest.raises(ValueError, match="has no vocabulary"):
        make_bert()(texts_input())


@on_tensorflow
def test_a_clone_keeps_the_vocabulary() -> None:
    model = keras.Model(symbolic := texts_input(), bert(pooling="mean")(symbolic))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    expected = model.predict(objects(), verbose=0)
    np.testing.assert_array_equal(clone.predict(objects(), verbose=0), expected)
    copy = keras.Model.from_config(json.loads(json.dumps(model.get_config())))
    with pytest.raises(ValueError, match=r"from a configuration, .*load_model.*clone_function="):
        copy(objects())


@on_tensorflow
def test_no_texts_are_an_empty_batch() -> None:
    encoder = bert(pooling="mean")
    for nothing in ([], ([], []), np.array([], object)):
        assert encoder(nothing).shape == (0, encoder.hidden_size)


@on_tensorflow
def test_only_the_model_on_strings_is_not_compiled_as_a_whole() -> None:
    """The same layer serves both models."""
    encoder = bert(pooling="mean")
    on_strings = classifier(texts_input(), encoder)
    inner = texts_input()
    nested = keras.Model(inner, encoder(keras.ops.squeeze(inner[:, None], 1)))
    outer = texts_input()
    around = keras.Model(outer, nested(outer))
    for model in (on_strings, nested, around):
        model.compile()
        assert not model.jit_compile
    symbolic = encoder.symbolic_inputs()
    on_ids = keras.Model(symbolic, encoder(symbolic))
    on_ids.compile(jit_compile=True)
    assert on_ids.jit_compile


@on_tensorflow
def test_by_default_only_training_is_compiled_on_a_cpu() -> None:
    model = classifier(
        texts_input(),
        encoder := bert({"num_layers": 1}, pooling="mean", jit_compile="auto"),
    )
    model.predict(objects(), verbose=0)
    model.evaluate(objects(), LABELS, verbose=0)
    assert len(encoder._compiled_parts) == int(has_gpu())
    model.train_on_batch(objects(), LABELS)
    assert len(encoder._compiled_parts) == int(has_gpu()) + 1


COUNT_PROGRAMS = """
import os, sys
os.environ["XLA_FLAGS"] = "--xla_dump_to=dump --xla_dump_hlo_as_text"
import keras, numpy
from pathlib import Path
from tests.layers import test_strings
from tests.layers.toys import make_bert
from keras_pretrained.tokenizers import WordPieceTokenizer

encoder = make_bert(
    {"max_positions": 128, "num_layers": 1}, pooling="mean",
    tokenizer=WordPieceTokenizer(test_strings.PIECES, max_length=128),
)
model = test_strings.classifier(keras.Input((), dtype="string"), encoder)
for words in (1, 20, 3, 40, 25, 60, 100, 30, 45):
    texts = numpy.array(["a " * words] * 4, dtype=object)
    model.train_on_batch(texts, numpy.zeros(4))
    print(words, len(list(Path("dump").glob("*before_optimizations.txt"))))
"""


@on_tensorflow
def test_lengths_of_one_bucket_share_their_programs(tmp_path: Path) -> None:
    """Counted in XLA modules: one traced function may be compiled once for each length."""
    lines = python(COUNT_PROGRAMS, tmp_path).split("\n")
    counts = dict(map(int, line.split()) for line in lines if line)
    # Forward, backward and the update; a new length needs the first two again.
    assert counts == {1: 3, 20: 3, 3: 3, 40: 5, 25: 5, 60: 5, 100: 7, 30: 7, 45: 7}
