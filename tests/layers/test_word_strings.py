"""`WordEmbedding` on texts and on words: the ids of Keras' own layers, in models, exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers import WordEmbedding
from tests.checkpoints.word_vectors.files import GOLDENS
from tests.layers.layer_test import to_numpy
from tests.layers.test_strings import RELOAD, on_tensorflow, python

WORDS = ["the", "dog", "犬", "barks", "café"]
TEXTS = ["the dog  barks", "", "犬\tunknown the", "café"]
SPLIT = [["the", "dog", "barks"], [], ["犬", "unknown", "the"], ["café"]]
ROWS = [[2, 3, 5], [0, 0, 0], [4, 1, 2], [6, 0, 0]]


def layer_of(**options: Any) -> WordEmbedding:
    return WordEmbedding(GOLDENS / "glove.txt", vocabulary=WORDS, **options)


def given(split: bool) -> Any:
    """What Keras takes: arrays of objects, but only of rank 1."""
    import tensorflow as tf

    return tf.constant(padded().tolist()) if split else np.array(TEXTS, dtype=object)


def padded() -> np.ndarray:
    return np.array([words + [""] * (3 - len(words)) for words in SPLIT], dtype=object)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", str(tmp_path / "home"))


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="TensorFlow has strings")
def test_a_backend_without_strings_says_so() -> None:
    for inputs in (TEXTS, SPLIT, padded()):
        with pytest.raises(ValueError, match=r"backend jax does not have.*KERAS_BACKEND="):
            layer_of()(inputs)
    ids = layer_of().tokenizer(TEXTS)
    np.testing.assert_array_equal(ids["token_ids"], ROWS)


@on_tensorflow
@pytest.mark.parametrize("pooling", [None, "mean", "max", "last"])
def test_texts_and_words_give_what_their_ids_give(pooling: str | None) -> None:
    import tensorflow as tf

    layer = layer_of(pooling=pooling)
    expected = to_numpy(layer(np.array(ROWS, "int32")))
    if pooling is not None:
        expected[1] = 0 if pooling == "mean" else expected[1]
    for inputs in (SPLIT, padded(), tf.constant(padded().tolist())):
        np.testing.assert_allclose(to_numpy(layer(inputs)), expected, rtol=0, atol=1e-7)
    for inputs in (TEXTS, np.array(TEXTS, dtype=object), tf.constant(TEXTS)[:, None]):
        output = to_numpy(layer(inputs))
        if pooling is None:
            # Lengths are few, because each is traced anew.
            assert output.shape == (4, 32, 6)
            output = output[:, :3]
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-7)


@on_tensorflow
def test_the_ids_are_those_of_text_vectorization() -> None:
    vectorizer = keras.layers.TextVectorization(standardize=None, vocabulary=WORDS)
    lookup = keras.layers.StringLookup(mask_token="", vocabulary=WORDS)
    layer = WordEmbedding(GOLDENS / "glove.txt", vocabulary=vectorizer.get_vocabulary())
    assert layer.vocabulary == [str(word) for word in lookup.get_vocabulary()]
    np.testing.assert_array_equal(vectorizer(TEXTS), ROWS)
    np.testing.assert_array_equal(layer.tokenizer(TEXTS)["token_ids"], ROWS)
    np.testing.assert_array_equal(layer.tokenizer.lookup(padded().tolist()), lookup(padded()))


def classifier(layer: WordEmbedding, inputs: Any) -> keras.Model:
    x = keras.layers.GlobalAveragePooling1D()(layer(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@on_tensorflow
@pytest.mark.parametrize("split", [False, True])
def test_models_train_save_and_reload(split: bool, tmp_path: Path) -> None:
    layer = layer_of(trainable_from=0)
    inputs = keras.Input((3,) if split else (), dtype="string")
    assert layer(inputs).shape == (None, 3 if split else None, 6)
    assert layer(keras.Input((None,), dtype="string")).shape == (None, None, 6)
    model = classifier(layer, inputs)
    texts = given(split)
    before = layer.table().copy()
    model.fit(texts, np.ones((4, 1)), verbose=0)
    changed = np.flatnonzero((layer.table() != before).any(axis=1)).tolist()
    assert changed == [1, 2, 3, 4, 5, 6]
    ids = keras.Input((None,), dtype="int32")
    found = classifier(layer, ids)
    found.layers[-1].set_weights(model.layers[-1].get_weights())
    expected = model.predict(texts, verbose=0)
    np.testing.assert_allclose(
        found.predict(np.array(ROWS, "int32"), verbose=0), expected, rtol=0, atol=1e-6
    )
    model.save(tmp_path / "model.keras")
    if split:
        received = keras.models.load_model(tmp_path / "model.keras").predict(texts, verbose=0)
    else:
        np.save(tmp_path / "texts.npy", texts.astype(str))
        python(RELOAD, tmp_path)
        received = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)


@on_tensorflow
@pytest.mark.parametrize("split", [False, True])
def test_models_are_exported_with_their_words(split: bool, tmp_path: Path) -> None:
    """Every export compares itself with the model; strings go into it, ids into ONNX."""
    import tensorflow as tf

    from keras_pretrained import export

    inputs = keras.Input((3,) if split else (), dtype="string", name="texts")
    model = keras.Model(inputs, layer_of(pooling="mean", name="vectors")(inputs))
    texts = given(split)
    expected = model.predict(texts, verbose=0)
    report = export.to_saved_model(model, tmp_path / "saved")
    assert "'serve' and 'serve_ids'" in str(report)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    served = loaded.serve({"texts": tf.constant(texts)})
    np.testing.assert_allclose(served["vectors"], expected, rtol=0, atol=1e-6)
    pytest.importorskip("onnxruntime")
    import onnxruntime

    path = export.to_onnx(model, tmp_path / "model.onnx").path
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ids = np.array(ROWS, "int32")
    feeds = {"token_ids": ids, "padding_mask": (ids != 0).astype("int32")}
    (found,) = session.run(None, feeds)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@on_tensorflow
def test_wrong_texts_say_what_was_expected() -> None:
    import tensorflow as tf

    layer = layer_of()
    with pytest.raises(ValueError, match=r"takes texts, not pairs of them. Received: 2"):
        layer((tf.constant(["a"]), tf.constant(["b"])))
    with pytest.raises(TypeError, match=r"texts\[0\]\[1\] must be a str"):
        layer([["a", 3]])
    with pytest.raises(ValueError, match=r"of shape \(batch,\)"):
        layer(tf.constant([[["a"]]]))
