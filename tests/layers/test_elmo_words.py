"""ELMo's first stage: distinct words, parts, left-out padding and the cache change no number."""

from __future__ import annotations

import resource
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained.layers.blocks.distinct import fixed_shapes, has_free_shapes
from keras_pretrained.layers.recurrent import elmo_words
from tests.layers.elmo_models import BATCH, elmo, golden, random_reference, write
from tests.layers.layer_test import to_numpy
from tests.layers.test_elmo import SENTENCES, SIZES, inputs, objects

BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason=f"{BACKEND} has fixed shapes")


def rows() -> np.ndarray:
    """Words of all lengths, full ones, repeated ones, no words, and ids that no word has."""
    random = np.random.default_rng(3)
    words = golden()["words_character_ids"]
    strange = random.integers(0, 262, (6, 50)).astype("int32")
    strange[1, 20:] = 7
    strange[2, 1:] = strange[2, 0]
    nothing = np.zeros((3, 50), "int32")
    return random.permutation(np.concatenate([words, strange, nothing, words[::2], strange[:2]]))


@on_tensorflow
@pytest.mark.parametrize("part", [1, 3, 4, 512])
def test_distinct_words_in_parts_are_all_words(part: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(elmo_words, "PART", part)
    encoder, given = elmo().words, rows()
    plain = to_numpy(encoder.read(given))
    np.testing.assert_allclose(to_numpy(encoder(given)), plain, atol=1e-6)


@on_tensorflow
def test_each_distinct_word_is_read_once(monkeypatch: Any) -> None:
    encoder, given, seen = elmo().words, rows(), []
    read = encoder.read
    monkeypatch.setattr(elmo_words, "PART", 4)
    monkeypatch.setattr(encoder, "read", lambda part: seen.append(part.shape) or read(part))
    encoder(given)
    distinct = len(np.unique(given, axis=0))
    assert distinct < len(given)
    assert sum(count for count, _ in seen) == distinct
    assert max(count for count, _ in seen) == 4
    # The widest filter has 7 characters: a short word needs few more.
    assert min(length for _, length in seen) <= 3 + 7
    assert max(length for _, length in seen) == 50


@on_tensorflow
def test_shapes_are_free_outside_of_xla_only() -> None:
    import tensorflow as tf

    found: list[bool] = []

    def note(x: Any) -> Any:
        found.append(has_free_shapes())
        return x

    note(0)
    tf.function(note)(1)
    tf.function(note, jit_compile=True)(1)
    tf.function(lambda x: tf.while_loop(lambda i: i < 1, lambda i: note(i) + 1, [x]))(0)
    loop = lambda x: tf.while_loop(lambda i: i < 1, lambda i: note(i) + 1, [x])  # noqa: E731
    tf.function(loop, jit_compile=True)(0)
    with fixed_shapes():
        note(0)
    note(0)
    assert found == [True, True, False, True, False, False, True]


@on_tensorflow
def test_gradients_are_those_of_all_words(monkeypatch: Any) -> None:
    import tensorflow as tf

    monkeypatch.setattr(elmo_words, "PART", 4)
    encoder, given = elmo().words, rows()
    gradients = []
    for run in (encoder, encoder.read):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(run(given)))
        gradients.append(tape.gradient(loss, [w.value for w in encoder.trainable_weights]))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@on_tensorflow
def test_a_cache_of_words(monkeypatch: Any, tmp_path: Any) -> None:
    layer, given = elmo(), inputs()
    expected = to_numpy(layer(given))
    sentences = keras.Input((), dtype="string")
    model = keras.Model(sentences, layer(sentences))
    layer.cache_vocabulary(["apple", "the", "a", "apple", "unheard"])
    assert len(layer.words.cache) == 4
    seen: list[int] = []
    read = layer.words.read
    monkeypatch.setattr(layer.words, "read", lambda part: seen.append(len(part)) or read(part))
    np.testing.assert_allclose(to_numpy(layer(given)), expected, atol=1e-6)
    # Seven words are not in the cache; there are two marks of a sentence and no word.
    assert sum(seen) == 7 + 3
    monkeypatch.undo()
    np.testing.assert_allclose(model.predict(objects(SENTENCES), verbose=0), expected, atol=1e-6)

    # Other weights, also for what was traced before.
    other = elmo()
    doubled = [2 * each for each in other.words.get_weights()]
    other.words.set_weights(doubled)
    path = other.save_weights_as(tmp_path / "weights.hdf5", dialect="bilm")
    layer.load_weights_from(path)
    wanted = to_numpy(other(given))
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(to_numpy(layer(given)), wanted, **close)
    np.testing.assert_allclose(model.predict(objects(SENTENCES), verbose=0), wanted, **close)

    layer.trainable_from = 0
    assert layer.words.cache is None
    with pytest.raises(ValueError, match="Freeze it with trainable_from='layer_0'"):
        layer.cache_vocabulary(["a"])


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow has the cache")
def test_a_cache_needs_tensorflow() -> None:
    with pytest.raises(ValueError, match="Received: jax"):
        elmo().cache_vocabulary(["a"])


@on_tensorflow
@pytest.mark.parametrize("batches", [30, pytest.param(1000, marks=pytest.mark.exhaustive)], ids=str)
def test_memory_does_not_grow_with_the_batches(batches: int) -> None:
    """Batches of varying length through one model: one graph, and no more memory than at first."""
    layer = elmo(architecture=None)
    ids = keras.Input((None, 50), dtype="int32")
    model = keras.Model(ids, layer(ids))
    random = np.random.default_rng(1)
    traces = 0
    read = layer.words.read

    def counted(part: Any) -> Any:
        nonlocal traces
        traces += 1
        return read(part)

    layer.words.read = counted

    def run(count: int) -> int:
        for _ in range(count):
            shape = (int(random.integers(1, 9)), int(random.integers(1, 40)))
            words = random.integers(1, 257, (*shape, 50)).astype("int32")
            words[..., int(random.integers(2, 49)) :] = 261
            model.predict_on_batch(words)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = run(20)
    first = traces
    grown = run(batches) - before
    # Kilobytes. Keras traces once a rank, not once a length.
    assert traces <= first + 4
    assert grown < 40_000, f"{grown:,} kB more after {batches} batches"


@on_tensorflow
@pytest.mark.exhaustive
def test_a_large_batch_of_the_published_size_takes_little_memory(tmp_path: Any) -> None:
    """128 sentences of 100 words: each convolution as it stands would take 2.3 GB."""
    from keras_pretrained.layers import ElmoEmbedding
    from tests.layers.elmo_models import FULL

    tensors = random_reference(FULL).tensors_as_stored()
    layer = ElmoEmbedding(write(tmp_path / "net", "bilm", FULL, tensors))
    random = np.random.default_rng(2)
    words = random.integers(1, 257, (12_800, 50)).astype("int32")
    layer.words(words[:1000])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = to_numpy(layer.words(words))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert found.shape == (12_800, 512)
    assert grown < 700_000, f"{grown:,} kB"


def test_words_of_another_size() -> None:
    """Another length of words, tanh, no highways, no projection."""
    import dataclasses

    from keras_pretrained.layers import ElmoEmbedding

    changed = dataclasses.replace(
        SIZES, max_characters=12, activation="tanh", num_highways=0, projection_size=9
    )
    layer = ElmoEmbedding(architecture=changed)
    assert layer.words.projection is None
    assert not layer.words.highways
    ids = np.random.default_rng(1).integers(1, 262, (2, 3, 12)).astype("int32")
    assert to_numpy(layer(ids)).shape == (2, 3, 18)
    if BACKEND == "tensorflow":
        assert layer.tokenizer(BATCH, is_split=True)["character_ids"].shape == (4, 5, 12)
