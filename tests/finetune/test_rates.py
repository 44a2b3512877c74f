"""A rate for each stage: against separate optimizers, in saved models, under XLA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import applications, finetune
from keras_pretrained.finetune import SlantedTriangular, discriminative
from keras_pretrained.finetune.backbones import backbones, stage_variables
from keras_pretrained.layers import FrozenBackbone
from tests.finetune.networks import (
    assert_same_weights,
    bert,
    classifier,
    dense_backbone,
    texts,
    values,
    vectors,
)
from tests.layers.toys import make_bert

DECAY = 1 / 2.6
OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5),
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "adadelta": lambda: keras.optimizers.Adadelta(1.0),
    "adamax": lambda: keras.optimizers.Adamax(0.01),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "ftrl": lambda: keras.optimizers.Ftrl(0.1),
    "lion": lambda: keras.optimizers.Lion(0.001, weight_decay=0.1),
    "lamb": lambda: keras.optimizers.Lamb(0.01, weight_decay=0.1),
    "adafactor": lambda: keras.optimizers.Adafactor(0.01),
    "muon": lambda: keras.optimizers.Muon(0.01, weight_decay=0.1),
    "schedule": lambda: keras.optimizers.Adam(SlantedTriangular(0.01, 20)),
    "schedule-free": lambda: keras.optimizers.ScheduleFreeAdamW(0.01, weight_decay=0.1),
    "accumulated": lambda: keras.optimizers.AdamW(0.01, gradient_accumulation_steps=2),
    "ema": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=2),
}

QUICK = ("momentum", "adamw", "lion", "muon", "schedule", "accumulated")


def gradients(variables: list[Any], step: int) -> list[Any]:
    random = np.random.default_rng(step)
    return [keras.ops.convert_to_tensor(random.normal(size=v.shape), v.dtype) for v in variables]


def with_rate(optimizer: Any, factor: float) -> Any:
    """The same optimizer with another rate."""
    rate = optimizer._learning_rate
    if isinstance(rate, SlantedTriangular):
        config = rate.get_config()
        optimizer.learning_rate = SlantedTriangular(**{**config, "peak": rate.peak * factor})
    else:
        rate.assign(rate * factor)
    return optimizer


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.exhaustive)
        for name in OPTIMIZERS
    ],
)
def test_each_stage_moves_as_with_an_optimizer_of_its_own(name: str) -> None:
    ours, theirs = classifier(dense_backbone()), classifier(dense_backbone())
    theirs.set_weights(ours.get_weights())
    (network,) = backbones(theirs)
    groups = [*stage_variables(network).values(), theirs.layers[-1].trainable_variables]
    rates = [DECAY**3, DECAY**2, DECAY, 1.0]
    alone = [with_rate(OPTIMIZERS[name](), factor) for factor in rates]
    together = discriminative(OPTIMIZERS[name](), ours, DECAY, decay_vectors=True)
    for step in range(5):
        together.apply(gradients(ours.trainable_variables, step), ours.trainable_variables)
        given = gradients(theirs.trainable_variables, step)
        of = {id(v): g for v, g in zip(theirs.trainable_variables, given, strict=True)}
        for optimizer, group in zip(alone, groups, strict=True):
            optimizer.apply([of[id(variable)] for variable in group], group)
    assert int(together.iterations) == int(alone[0].iterations) > 0
    assert_same_weights(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_update_is_scaled_and_not_the_gradient() -> None:
    model = classifier(dense_backbone())
    before = values(model)
    optimizer = discriminative(keras.optimizers.Adam(0.01), model, DECAY)
    optimizer.apply(gradients(model.trainable_variables, 0), model.trainable_variables)
    # Adam's first update is the rate times the gradient's sign.
    moved = {path: np.abs(after - before[path]).mean() for path, after in values(model).items()}
    for index in range(3):
        found = {m for path, m in moved.items() if f"dense_{index}" in path}
        np.testing.assert_allclose(list(found), 0.01 * DECAY ** (3 - index), rtol=1e-3)
    np.testing.assert_allclose(moved["classifier/kernel"], 0.01, rtol=1e-3)


def test_layer_decay_counts_down_from_the_top() -> None:
    factors = discriminative("adam", make_bert(pooling="mean"), 0.5).factors
    assert factors == {"stem": 1 / 16, "layer_0": 1 / 8, "layer_1": 1 / 4, "layer_2": 1 / 2}
    with_pooler = discriminative("adam", make_bert(pooling="pooler"), 0.5).factors
    assert with_pooler["pooler"] == 1 / 2
    assert with_pooler["stem"] == 1 / 32
    # Frozen stages take no part, and those that train have the same rates as before.
    frozen = discriminative("adam", make_bert(pooling="mean", trainable_from=2), 0.5).factors
    assert frozen == {"layer_2": 1 / 2}


def test_the_classifier_of_a_whole_image_network_has_the_full_rate() -> None:
    model = applications.SqueezeNet1_1(weights=None, classes=3, input_shape=(32, 32, 3))
    factors = discriminative("adam", model, 0.5).factors
    names = [stage.name for stage in model.stages]
    assert list(factors) == names
    assert list(factors.values()) == [0.5**above for above in reversed(range(len(names)))]


def test_factors_are_given_by_name_and_may_be_of_several_backbones() -> None:
    first, second = dense_backbone(2), bert(name="second")
    assert discriminative("adam", first, factors={"dense_1": 0.3}).factors == {
        "dense_0": 1.0,
        "dense_1": 0.3,
    }
    inputs = [first.symbolic_inputs(), second.symbolic_inputs()]
    outputs = keras.layers.Concatenate()([first(inputs[0]), second(inputs[1])])
    model = keras.Model(inputs, keras.layers.Dense(1)(outputs))
    assert discriminative("adam", model, 0.5).factors["second/stem"] == 1 / 16
    assert discriminative("adam", model, 0.5).factors["backbone/dense_0"] == 1 / 4


def test_vectors_do_not_decay_and_matrices_decay_at_their_rate() -> None:
    model = classifier(bert())
    before = values(model)
    optimizer = discriminative(keras.optimizers.AdamW(0.1, weight_decay=0.5), model, 0.5)
    zeros = [keras.ops.zeros(variable.shape) for variable in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    decays = {"embeddings": 1 / 16, "layer_0": 1 / 8, "layer_1": 1 / 4, "layer_2": 1 / 2}
    for path, after in values(model).items():
        vector = after.ndim < 2 or path.endswith("bias")
        unused = "pooler" in path
        factor = next((f for name, f in decays.items() if name in path), 1.0)
        kept = 1.0 if vector or unused else 1 - 0.1 * 0.5 * factor
        np.testing.assert_allclose(after, before[path] * kept, rtol=1e-6, err_msg=path)


def test_the_global_norm_is_that_of_all_gradients() -> None:
    ours, theirs = classifier(dense_backbone()), classifier(dense_backbone())
    theirs.set_weights(ours.get_weights())
    factors = dict.fromkeys(["dense_0", "dense_1", "dense_2"], 1.0)
    clipped = discriminative(keras.optimizers.SGD(0.1, global_clipnorm=0.5), ours, factors=factors)
    plain = keras.optimizers.SGD(0.1, global_clipnorm=0.5)
    for optimizer, model in ((clipped, ours), (plain, theirs)):
        optimizer.apply(gradients(model.trainable_variables, 0), model.trainable_variables)
    assert_same_weights(ours, theirs)


def image_backbone() -> FrozenBackbone:
    network = applications.SqueezeNet1_1(weights=None, include_top=False, input_shape=(32, 32, 3))
    return FrozenBackbone(network, trainable_from=-2, pooling="avg")


BACKBONES = {
    "bert": (lambda: bert(trainable_from=1), texts),
    "dense": (dense_backbone, vectors),
    "image": (image_backbone, lambda: (np.ones((8, 32, 32, 3), "float32"), np.arange(8) % 2)),
}


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        pytest.param("dense", "compiled", marks=pytest.mark.exhaustive),
        ("image", "trained"),
        pytest.param("dense", "trained", marks=pytest.mark.exhaustive),
        pytest.param("bert", "trained", marks=pytest.mark.exhaustive),
    ],
)
# Keras says so of every optimizer that was saved before its first step.
@pytest.mark.filterwarnings("ignore:Skipping variable loading")
def test_rates_slots_and_schedule_survive_in_a_saved_model(
    kind: str, moment: str, tmp_path: Path
) -> None:
    make, data = BACKBONES[kind]
    adam = keras.optimizers.AdamW(SlantedTriangular(0.05, 20), weight_decay=0.1)
    network = make()
    model = classifier(network, discriminative(adam, network, 0.5))
    x, y = data()
    if moment == "trained":
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.optimizer.factors == model.optimizer.factors
    assert int(again.optimizer.iterations) == (2 if moment == "trained" else 0)
    for each in (model, again):
        each.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    assert_same_weights(model, again, rtol=1e-6)
    assert len(model.optimizer.variables) == len(again.optimizer.variables) > 20
    for ours, theirs in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        ours, theirs = keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-9)


@pytest.mark.exhaustive
def test_a_saved_model_whose_names_are_ambiguous_is_an_error(tmp_path: Path) -> None:
    network = dense_backbone()
    inputs = network.symbolic_inputs()
    twin = keras.layers.Dense(1, name="dense_0")
    model = keras.Model(inputs, twin(network(inputs)))
    paths = [variable.path for variable in model.trainable_variables]
    if len(set(paths)) == len(paths):
        pytest.skip("Keras tells these variables apart")
    model.compile(discriminative("adam", network, 0.5), "mse", jit_compile=False)
    model.train_on_batch(*vectors())
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"several variables called.*compile=False"):
        keras.models.load_model(tmp_path / "model.keras")


def test_it_trains_under_xla_and_with_callbacks_that_set_the_rate() -> None:
    network = dense_backbone()
    optimizer = discriminative(keras.optimizers.Adam(0.01), network, DECAY)
    model = classifier(network, optimizer, jit_compile=True)
    x, y = vectors()
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = model.fit(x, y, epochs=3, callbacks=[halve], verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    np.testing.assert_allclose(float(optimizer.learning_rate), 0.01 / 8, rtol=1e-6)
    np.testing.assert_allclose(history["learning_rate"], [0.005, 0.0025, 0.00125], rtol=1e-6)


@pytest.mark.exhaustive
def test_loss_scaling_goes_around_it() -> None:
    ours, theirs = classifier(dense_backbone()), classifier(dense_backbone())
    theirs.set_weights(ours.get_weights())
    x, y = vectors()
    for model, scaled in ((ours, True), (theirs, False)):
        optimizer: Any = discriminative(keras.optimizers.SGD(0.1), model, DECAY)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
        model.fit(x, y, batch_size=4, shuffle=False, epochs=2, verbose=0)
    assert_same_weights(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer_decay": 1.5}, "up to 1"),
        ({"layer_decay": 0}, "above 0"),
        ({}, "either `layer_decay` or `factors`"),
        ({"layer_decay": 0.5, "factors": {}}, "either `layer_decay` or `factors`"),
        ({"factors": {"layer_0": 0.5}}, "Expected some of: dense_0, dense_1"),
        ({"factors": {"dense_0": 0.0}}, "trainable_from"),
    ],
)
def test_a_wrong_argument_is_an_error(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        discriminative("adam", dense_backbone(), **arguments)


def test_other_objects_are_refused() -> None:
    with pytest.raises(ValueError, match=r"FrozenBackbone\(model\)"):
        discriminative("adam", keras.Sequential([keras.layers.Dense(1)]), 0.5)
    used = keras.optimizers.Adam()
    used.build([keras.Variable([1.0])])
    with pytest.raises(ValueError, match="has been in use"):
        discriminative(used, dense_backbone(), 0.5)
    nested = finetune.discriminative("adam", dense_backbone(), 0.5)
    with pytest.raises(ValueError, match="plain optimizer"):
        discriminative(nested, dense_backbone(), 0.5)
