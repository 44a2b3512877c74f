"""Cached features train as the whole model does, and are known by what made them."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import applications
from keras_pretrained.finetune import GradualUnfreezing, cache_features, suffix
from keras_pretrained.layers import FrozenBackbone
from tests.finetune.networks import (
    NO_DROPOUT,
    assert_same_weights,
    bert,
    classifier,
    dense_backbone,
    texts,
    vectors,
)
from tests.layers.toys import make_awd_lstm

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs tf.data or strings"
)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def images() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype("float32")
    return x, np.arange(8) % 2


def image_network(**kwargs: Any) -> Any:
    keras.utils.set_random_seed(1)
    network = applications.SqueezeNet1_1(
        weights=None, include_top=False, input_shape=(32, 32, 3), **kwargs
    )
    for variable in network.weights:
        if variable.name == "kernel":
            # As they are made, all images end in nearly the same small numbers.
            variable.assign(variable * 1.6)
    return network


def around_image_network(stage: Any) -> keras.Model:
    """The image network itself, as a layer of a model."""
    network = image_network(trainable_from=stage)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(network(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def with_mask() -> keras.Model:
    """Behind the encoder are layers that need its mask."""
    network = bert(trainable_from=2, pooling=None)
    inputs = network.symbolic_inputs()
    x = keras.layers.GlobalAveragePooling1D()(network(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def with_other_input() -> keras.Model:
    """Something else goes past the backbone, and the images are scaled before it."""
    network = dense_backbone(trainable_from="dense_1")
    inputs = {"x": keras.Input((4,), name="x"), "extra": keras.Input((3,), name="extra")}
    scaled = keras.layers.Rescaling(0.5)(inputs["x"])
    extra = keras.layers.Dense(4, name="extra_dense")(inputs["extra"])
    x = keras.layers.Concatenate()([network(scaled), extra])
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def two_inputs() -> tuple[dict[str, np.ndarray], np.ndarray]:
    x, y = vectors()
    return {"x": x, "extra": np.random.default_rng(3).normal(size=(8, 3)).astype("float32")}, y


CASES = {
    "bert-1": (lambda: classifier(bert(trainable_from=1)), texts),
    "bert-all": (lambda: classifier(bert(trainable_from=None)), texts),
    "bert-mix": (lambda: classifier(bert(trainable_from=2, hidden_layers="mix")), texts),
    "bert-wrapped": (lambda: classifier(FrozenBackbone(bert(), trainable_from=2)), texts),
    "mask": (with_mask, texts),
    "dense": (lambda: classifier(dense_backbone(trainable_from="dense_2")), vectors),
    "other-input": (with_other_input, two_inputs),
    "image": (
        lambda: classifier(FrozenBackbone(image_network(), trainable_from=-1, pooling="avg")),
        images,
    ),
    "image-model": (lambda: around_image_network(-1), images),
    "image-model-all": (lambda: around_image_network(None), images),
}
SLOW = (
    "dense",
    "bert-1",
    "bert-mix",
    "bert-wrapped",
    "mask",
    "image",
    "image-model",
    "image-model-all",
)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.exhaustive) if case in SLOW else case for case in CASES],
)
def test_cached_and_live_training_are_the_same(case: str, tmp_path: Path) -> None:
    make, data = CASES[case]
    live = make()
    ours = make()
    ours.set_weights(live.get_weights())
    x, y = data()
    features = cache_features((x, y), ours, path=tmp_path / "features", batch_size=4)
    head = suffix(ours)
    rate = 0.005 if "image" in case else 0.1
    losses = []
    for model, fitted in ((live, (x, y)), (head, (features,))):
        model.compile(keras.optimizers.SGD(rate, momentum=0.9), LOSS, jit_compile=False)
        options = {} if model is head else {"batch_size": 4}
        history = model.fit(*fitted, epochs=4, shuffle=False, verbose=0, **options)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(*losses, atol=1e-4)
    assert losses[0][-1] < losses[0][0] - 0.01
    # What the suffix has learned, the model has: there is only one set of weights.
    assert_same_weights(live, ours, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        ours.predict(x, verbose=0), live.predict(x, verbose=0), rtol=1e-3, atol=1e-4
    )


def test_the_whole_model_saves_what_the_suffix_learned(tmp_path: Path) -> None:
    model = classifier(dense_backbone(trainable_from="dense_2"))
    x, y = vectors()
    before = model.predict(x, verbose=0)
    features = cache_features((x, y), model)
    head = suffix(model)
    head.compile("adam", LOSS, jit_compile=False)
    head.fit(features, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").predict(x, verbose=0)
    np.testing.assert_allclose(again, head.predict(features, verbose=0), rtol=1e-5, atol=1e-6)
    assert np.abs(again - before).max() > 1e-4


def everything(features: Any) -> list[Any]:
    return [keras.tree.map_structure(np.array, features[index]) for index in range(len(features))]


def assert_equal(first: Any, second: Any) -> None:
    keras.tree.map_structure(np.testing.assert_array_equal, everything(first), everything(second))


def test_memory_and_disk_hold_the_same_and_the_disk_is_read_again(tmp_path: Path) -> None:
    make, data = CASES["dense"]
    model = make()
    kept = cache_features(data(), model, batch_size=3)
    first = cache_features(data(), model, tmp_path, batch_size=3)
    again = cache_features(data(), model, tmp_path, batch_size=3)
    assert (kept.computed, first.computed, again.computed) == (8, 8, 0)
    assert (kept.rows, first.rows, len(again)) == (8, 8, 3)
    assert kept.nbytes == first.nbytes == 8 * (4 * 4 + 8)
    assert_equal(kept, first)
    assert_equal(first, again)
    assert not list(tmp_path.glob("*.partial"))


def test_whatever_makes_the_features_is_in_their_key(tmp_path: Path) -> None:
    model = classifier(network := dense_backbone(trainable_from="dense_2"))
    x, y = vectors()

    def computed(**options: Any) -> int:
        return cache_features(options.pop("data", (x, y)), model, tmp_path, **options).computed

    assert computed() == 8
    assert computed(data=(x[:5], y[:5])) == 5
    assert computed(data=(x, 1 - y)) == 8
    assert computed(data=(x + 1e-3, y)) == 8
    assert computed(dtype="float16") == 8
    network.trainable_from = "dense_1"
    assert computed() == 8
    network.trainable_from = None
    assert computed() == 8
    network.trainable_from = "dense_2"
    # What trains is not in the key, what is frozen is.
    trained, frozen = (
        next(v for v in network.weights if f"dense_{index}/kernel" in v.path) for index in (2, 1)
    )
    trained.assign(trained + 1)
    # None of these has pushed out another, and other batches hold the same rows.
    assert computed() == computed(data=(x[:5], y[:5])) == computed(batch_size=3) == 0
    frozen.assign(frozen + 1)
    assert computed() == 8


def test_two_encoders_with_equal_weights_share_features(tmp_path: Path) -> None:
    first, second = classifier(bert(trainable_from=None)), classifier(bert(trainable_from=None))
    second.set_weights(first.get_weights())
    assert cache_features(texts(), first, tmp_path).computed == 8
    assert cache_features(texts(), second, tmp_path).computed == 0
    # The same weights with another activation give other features.
    changes = {**NO_DROPOUT, "activation": "relu"}
    other = classifier(bert(trainable_from=None, architecture_changes=changes))
    other.set_weights(first.get_weights())
    assert cache_features(texts(), other, tmp_path).computed == 8


def test_stored_rows_come_in_the_order_and_the_batches_of_the_data_given_now(
    tmp_path: Path,
) -> None:
    model = classifier(dense_backbone(trainable_from="dense_2"))
    x, y = vectors()
    order = np.array([3, 0, 5, 0, 7, 1, 2, 4, 6, 3])  # Some are there twice, and stand apart.
    stored = cache_features((x[order], y[order]), model, tmp_path, batch_size=5)
    ((name, _),) = stored[0][0].items()
    kept = dict(zip(order, np.concatenate([f[name] for f, _ in everything(stored)]), strict=True))
    ways = [np.sort(order), order[::-1], np.array([0, 3, *range(8)])]
    for rows, size in zip(ways, (4, None, 3), strict=True):
        found = cache_features((x[rows], y[rows]), model, tmp_path, batch_size=size)
        assert found.computed == 0
        batches = everything(found)
        assert [len(labels) for _, labels in batches][:-1] == [size] * (9 // (size or 10))
        features = np.concatenate([features[name] for features, _ in batches])
        np.testing.assert_array_equal(features, [kept[row] for row in rows])
        labels = np.concatenate([labels for _, labels in batches])
        np.testing.assert_array_equal(found.restore(labels), y[rows])
    # And in batches of several sizes.
    data = [(x[rows], y[rows]) for rows in (order[:1], order[1:7], order[7:])]
    found = cache_features(data, model, tmp_path)
    assert found.computed == 0
    assert [len(labels) for _, labels in everything(found)] == [1, 6, 3]


def test_the_types_of_numbers_are_in_the_key(tmp_path: Path) -> None:
    def computed(policy: str) -> int:
        inputs = keras.Input((4,), name="x")
        dense = keras.layers.Dense(4, dtype=policy, kernel_initializer="ones", name="dense")
        # In float32 either way, but for the rounding within.
        outputs = keras.layers.Activation("linear", dtype="float32", name="end")(dense(inputs))
        network = FrozenBackbone(keras.Model(inputs, outputs, name="network"))
        return cache_features(vectors(), network, tmp_path).computed

    policies = ("mixed_bfloat16", "float32", "mixed_bfloat16", "float32")
    assert [computed(policy) for policy in policies] == [8, 8, 0, 0]


class Interrupted:
    """Batches, of one row each, that end with an error once."""

    def __init__(self, x: Any, y: Any, stop: int, size: int = 1) -> None:
        self.x, self.y, self.stop, self.size = x, y, stop, size

    def __getitem__(self, index: int) -> Any:
        rows = slice(index * self.size, (index + 1) * self.size)
        return self.x[rows], self.y[rows]

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self.x) // self.size):
            if index == self.stop:
                self.stop = -1
                raise KeyboardInterrupt
            yield self[index]


def test_a_run_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    model = CASES["dense"][0]()
    x, y = vectors()
    with pytest.raises(KeyboardInterrupt):
        cache_features(Interrupted(x, y, 5), model, tmp_path)
    assert list(tmp_path.glob("*.partial"))
    found = cache_features(Interrupted(x, y, -1), model, tmp_path)
    assert found.computed == 3
    assert_equal(found, cache_features((x, y), model, batch_size=1))
    assert not list(tmp_path.glob("*.partial"))


def test_a_run_goes_on_where_the_rows_of_a_batch_have_another_order(tmp_path: Path) -> None:
    model = CASES["dense"][0]()
    x, y = vectors()
    with pytest.raises(KeyboardInterrupt):
        cache_features(Interrupted(x, y, 2, size=2), model, tmp_path)
    order = [0, 1, 3, 2, 4, 5, 6, 7]
    found = cache_features(Interrupted(x[order], y[order], -1, size=2), model, tmp_path)
    assert found.computed == 6
    assert_equal(found, cache_features((x[order], y[order]), model, batch_size=2))


@pytest.mark.parametrize("damage", ["short-file", "half-a-line", "other-rows", "no-log"])
def test_what_is_damaged_is_made_again(damage: str, tmp_path: Path) -> None:
    model = CASES["dense"][0]()
    x, y = vectors()
    with pytest.raises(KeyboardInterrupt):
        cache_features(Interrupted(x, y, 5), model, tmp_path)
    (partial,) = tmp_path.glob("*.partial")
    log = partial / "log.jsonl"
    left = 3
    if damage == "short-file":
        file = partial / "group_0_0.bin"
        file.write_bytes(file.read_bytes()[:-1])
        left = 4
    elif damage == "half-a-line":
        log.write_text(log.read_text()[:-10])
        left = 4
    elif damage == "other-rows":
        x = np.concatenate([x[:2], x[:1] * 2, x[3:]])
        left = 6
    else:
        log.unlink()
        left = 8
    found = cache_features(Interrupted(x, y, -1), model, tmp_path)
    assert found.computed == left
    assert_equal(found, cache_features((x, y), model, batch_size=1))


def test_a_finished_file_of_another_size_is_made_again(tmp_path: Path) -> None:
    model = CASES["dense"][0]()
    cache_features(vectors(), model, tmp_path)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    file = folder / "group_0_0.bin"
    file.write_bytes(file.read_bytes() + b"x")
    assert cache_features(vectors(), model, tmp_path).computed == 8
    hashes = folder / "hashes.npy"
    for damaged in (hashes.read_bytes()[:-1], hashes.read_bytes()[:-1] + b"x", b""):
        hashes.write_bytes(damaged)
        assert cache_features(vectors(), model, tmp_path).computed == 8
    index = json.loads((folder / "index.json").read_text())
    index["batches"][0][2] += 100
    (folder / "index.json").write_text(json.dumps(index))
    assert cache_features(vectors(), model, tmp_path).computed == 8


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_the_space(dtype: str, tmp_path: Path) -> None:
    model = CASES["dense"][0]()
    whole = cache_features(vectors(), model)
    half = cache_features(vectors(), model, tmp_path, dtype=dtype)
    assert half.nbytes == whole.nbytes - 8 * 4 * 2
    (features, _), (rounded, _) = whole[0], half[0]
    for name in features:
        assert rounded[name].dtype == "float32"
        np.testing.assert_allclose(rounded[name], features[name], rtol=1e-2, atol=1e-3)
        assert not np.array_equal(rounded[name], features[name])


def test_numbers_too_large_for_float16_are_an_error() -> None:
    inputs = keras.Input((4,))
    network = FrozenBackbone(
        keras.Model(inputs, keras.layers.Dense(4, kernel_initializer="ones")(inputs))
    )
    x = np.full((2, 4), 1e5, "float32")
    with pytest.raises(ValueError, match=r"4e\+05.*bfloat16"):
        cache_features((x, x), network, dtype="float16")
    assert cache_features((x, x), network, dtype="bfloat16").rows == 2


def test_targets_and_weights_keep_their_structure() -> None:
    x, y = vectors()
    data = (x, {"a": y, "b": (y + 1, y * 2.0)}, np.linspace(0, 1, 8))
    features = cache_features(data, CASES["dense"][0](), batch_size=8)
    _, targets, weights = features[0]
    keras.tree.map_structure(np.testing.assert_array_equal, targets, data[1])
    np.testing.assert_array_equal(weights, data[2])
    assert len(cache_features(x, CASES["dense"][0]())[0]) == 1


def test_texts_of_several_lengths_stay_apart_and_are_shuffled(tmp_path: Path) -> None:
    long, short = texts(6, 6), texts(4, 3)
    data = [(long[0], np.arange(6)), (short[0], np.arange(4) + 6)]
    model = classifier(bert(trainable_from=1))
    features = cache_features(data, model, tmp_path, batch_size=2, shuffle=True)
    assert features.computed == 10
    orders = []
    for _ in range(3):
        batches = everything(features)
        labels = [row for _, rows in batches for row in rows.tolist()]
        assert sorted(labels) == list(range(10))
        assert all(len(rows) == 2 for _, rows in batches)
        orders.append(labels)
        for found, rows in batches:
            lengths = {x.shape[1] for x in found.values()}
            assert lengths == ({6} if rows[0] < 6 else {3})
        features.on_epoch_end()
    assert orders[0] != orders[1] != orders[2]
    plain = cache_features(data, model, tmp_path)
    assert plain.computed == 0
    assert [len(rows) for _, rows in everything(plain)] == [6, 4]


def test_predictions_of_several_lengths_come_back_in_order() -> None:
    model = classifier(bert(trainable_from=2))
    data = [(texts(2, n, seed)[0], np.zeros(2)) for seed, n in enumerate((6, 6, 6, 3, 6))]
    features = cache_features(data, model)
    found = features.restore(suffix(model).predict(features, verbose=0))
    expected = [keras.ops.convert_to_numpy(model(x)) for x, _ in data]
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-5, atol=1e-5)


def test_memory_is_bounded_when_the_features_are_on_disk(tmp_path: Path) -> None:
    class Many(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 40

        def __getitem__(self, index: int) -> Any:
            random = np.random.default_rng(index)
            return random.normal(size=(16, 4)).astype("float32"), np.zeros(16)

    inputs = keras.Input((4,))
    wide = keras.layers.Dense(8192)(inputs)
    network = FrozenBackbone(keras.Model(inputs, wide))
    tracemalloc.start()
    features = cache_features(Many(), network, tmp_path)
    for index in range(len(features)):
        features[index]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    batch = 16 * 8192 * 4
    assert features.nbytes > 40 * batch
    assert peak < 10 * batch


def augmented() -> keras.Model:
    network = FrozenBackbone(image_network(), trainable_from=-1, pooling="avg")
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.RandomFlip(name="flip")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2)(network(x)))


def below_dropout(rate: float) -> keras.Model:
    network = dense_backbone(trainable_from="dense_1")
    inputs = keras.Input((4,))
    return keras.Model(inputs, network(keras.layers.Dropout(rate, name="drop")(inputs)))


def below_dense() -> keras.Model:
    network = dense_backbone(trainable_from="dense_1")
    inputs = keras.Input((4,))
    return keras.Model(inputs, network(keras.layers.Dense(4, name="adapter")(inputs)))


def keeps_states() -> keras.Model:
    network = make_awd_lstm(stateful=True, state_rows=8, trainable_from=None)
    inputs = keras.Input((4,), dtype="int32")
    return keras.Model(inputs, network(inputs))


def holds_a_stateful_layer() -> keras.Model:
    layers = [keras.Input(batch_shape=(8, 4, 1)), keras.layers.LSTM(2, stateful=True, name="lstm")]
    network = FrozenBackbone(keras.Sequential(layers), trainable_from=None)
    inputs = keras.Input(batch_shape=(8, 4, 1))
    return keras.Model(inputs, network(inputs))


def called_twice() -> keras.Model:
    network = dense_backbone(trainable_from="dense_1")
    inputs = keras.Input((4,))
    return keras.Model(inputs, network(network(inputs)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (augmented, r"'flip' \(RandomFlip\).*random"),
        (lambda: below_dropout(0.5), r"'drop' \(Dropout\)"),
        (below_dense, "'adapter' lies before 'backbone' and trains"),
        (keeps_states, "'layer_0' is frozen and keeps its states.*stateful=False"),
        (holds_a_stateful_layer, "'lstm' is frozen and keeps its states"),
        (called_twice, "2 calls"),
        (lambda: classifier(dense_backbone(trainable_from=0)), "Nothing of 'backbone' is frozen"),
        (lambda: keras.Sequential([keras.layers.Dense(1)]), "FrozenBackbone"),
    ],
)
def test_what_would_change_the_features_is_refused(make: Any, message: str) -> None:
    model = make()
    with pytest.raises(ValueError, match=message):
        cache_features(vectors(), model)
    with pytest.raises(ValueError, match=message):
        suffix(model)


def test_dropout_that_does_nothing_is_none() -> None:
    assert cache_features(vectors(), below_dropout(0.0)).rows == 8


class Epochs(keras.utils.PyDataset):
    """Two batches of other rows in each epoch; the last row fills the second one up."""

    def __init__(self, noise: bool) -> None:
        super().__init__()
        self.noise, self.random = noise, np.random.default_rng(0)
        self.on_epoch_end()

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return self.batches[index]

    def on_epoch_end(self) -> None:
        x, y = vectors(9)
        order = self.random.permutation(9)
        x, y = x[order] + self.noise * self.random.normal(size=(9, 1)), y[order]
        filled = (np.concatenate([x[5:], x[5:6]]), np.concatenate([y[5:], y[5:6]]))
        self.batches = [(*filled, np.array([1.0, 1, 1, 1, 0])), (x[:5], y[:5], np.ones(5))]


def test_data_that_differ_in_each_epoch_are_refused() -> None:
    class Noisy:
        def __init__(self) -> None:
            self.random = np.random.default_rng(0)

        def __iter__(self) -> Iterator[Any]:
            x, y = vectors()
            yield x + self.random.normal(size=x.shape).astype("float32"), y

    model = CASES["dense"][0]()
    for noisy in (Noisy(), Epochs(noise=True)):
        with pytest.raises(ValueError, match="augments its inputs at random"):
            cache_features(noisy, model)
    assert cache_features(Epochs(noise=False), model).rows == 10
    with pytest.raises(ValueError, match="once only"):
        cache_features(iter([vectors()]), model)
    with pytest.raises(ValueError, match="empty"):
        cache_features([], model)
    with pytest.raises(ValueError, match="of numbers"):
        cache_features((vectors()[0], np.array(["a"] * 8)), model)
    with pytest.raises(ValueError, match="dtype"):
        cache_features(vectors(), model, dtype="int8")


def test_lists_are_arrays_and_counts_are_compared() -> None:
    model = CASES["dense"][0]()
    x, y = vectors()
    several = (y.tolist(), [1.0] * 8)
    data = (x.tolist(), {"y": y.tolist(), "pair": several}, [0.5] * 8)
    found = cache_features(data, model, batch_size=8)
    _, targets, weights = found[0]
    np.testing.assert_array_equal(targets["y"], y)
    np.testing.assert_array_equal(targets["pair"], several)
    np.testing.assert_array_equal(weights, np.full(8, 0.5))
    for wrong in (y[:5].tolist(), np.arange(20)):
        with pytest.raises(ValueError, match=rf"8 rows in `targets`.*\({len(wrong)},\)"):
            cache_features((x, wrong), model)
    with pytest.raises(ValueError, match=r"8 rows in `target_0`.*\(4,\)"):
        cache_features([(x, y[:4])], model)
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        cache_features((x, y), model, batch_size=0)
    with pytest.raises(ValueError, match=r"2 inputs for model .*: extra, x\. Received: 1"):
        cache_features((x, y), with_other_input())
    task = applications.TextClassifier(bert(trainable_from=None), 2)
    with pytest.raises(ValueError, match=r"`model.batches\(x, y\)`"):
        cache_features((["a text"], [1]), task)


@on_tensorflow
def test_a_data_set_that_shuffles_has_the_same_rows(tmp_path: Path) -> None:
    import tensorflow as tf

    model = CASES["dense"][0]()
    data = tf.data.Dataset.from_tensor_slices(vectors())
    assert cache_features(data.shuffle(8).batch(3), model, tmp_path).computed == 8
    assert cache_features(data.shuffle(8).batch(4), model, tmp_path).computed == 0
    with pytest.raises(ValueError, match="no end"):
        cache_features(data.repeat().batch(3), model)


@pytest.mark.exhaustive
@on_tensorflow
def test_a_model_on_texts(tmp_path: Path) -> None:
    import tensorflow as tf

    from keras_pretrained.tokenizers import WordPieceTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film"]
    changes = {**NO_DROPOUT, "max_positions": 32}
    network = bert(
        architecture_changes=changes, tokenizer=WordPieceTokenizer(words), trainable_from=2
    )
    inputs = keras.Input((), dtype="string", name="texts")
    model = keras.Model(inputs, keras.layers.Dense(1)(network(inputs)))
    x = tf.constant(["a good film", "a bad film", "film", "a a a"])
    data = tf.data.Dataset.from_tensor_slices((x, np.arange(4.0))).batch(2)
    features = cache_features(data, model, tmp_path)
    head = suffix(model)
    np.testing.assert_allclose(
        head.predict(features, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    assert cache_features(data, model, tmp_path).computed == 0


def test_features_of_another_depth_do_not_fit_the_suffix() -> None:
    network = dense_backbone(trainable_from="dense_2")
    model = classifier(network)
    features = cache_features(vectors(), model)
    network.trainable_from = "dense_1"
    head = suffix(model)
    head.compile("sgd", LOSS, jit_compile=False)
    with pytest.raises((ValueError, KeyError)):
        head.fit(features, verbose=0)


@pytest.mark.exhaustive
def test_a_layer_alone_has_a_suffix_too() -> None:
    network = bert(trainable_from=2)
    x, y = texts()
    features = cache_features((x, y), network)
    head = suffix(network)
    expected = keras.ops.convert_to_numpy(network(x))
    np.testing.assert_allclose(head.predict(features, verbose=0), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.exhaustive
def test_unfreezing_goes_on_from_the_cached_depth() -> None:
    network = dense_backbone(trainable_from="dense_1")
    model = classifier(network, "sgd")
    unfreezing = GradualUnfreezing(network)
    model.fit(*vectors(), epochs=3, callbacks=[unfreezing], verbose=0)
    assert unfreezing.opened[2] == ("dense_1", "dense_2")
