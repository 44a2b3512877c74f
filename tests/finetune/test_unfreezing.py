"""Gradual unfreezing in one fit, against versions that are made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import applications
from keras_pretrained.finetune import GradualUnfreezing, SlantedTriangular, discriminative
from keras_pretrained.layers import FrozenBackbone
from tests.finetune.networks import (
    NO_DROPOUT,
    assert_same_weights,
    bert,
    classifier,
    dense_backbone,
    texts,
    values,
    vectors,
)
from tests.layers.toys import branched_model, make_bert

FIT = {"batch_size": 4, "shuffle": False, "verbose": 0}
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="reads a TensorFlow graph"
)


class Watch(keras.callbacks.Callback):
    """Keeps all weights after every epoch, and counts how often the step is traced."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.weights = [values(network)]
        self.traces: list[int] = []
        self._calls = 0
        plain = network.run_stages

        def counted(state: Any, start: int, stop: int, call: Any) -> Any:
            self._calls += call.training
            return plain(state, start, stop, call)

        network.run_stages = counted

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._calls = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.traces.append(self._calls)
        self.weights.append(values(self.network))


def moved(watch: Watch, epoch: int) -> set[str]:
    """The stages of which a weight changed in an epoch."""
    before, after = watch.weights[epoch], watch.weights[epoch + 1]
    changed = {path for path in before if not np.array_equal(before[path], after[path])}
    return {
        stage.name
        for stage in watch.network.stages
        for layer in stage.layers
        for variable in layer.weights
        if variable.path in changed
    }


@pytest.mark.parametrize("jit_compile", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_stages_open_from_the_top_and_closed_ones_stay_to_the_bit(jit_compile: bool) -> None:
    if keras.backend.backend() != "tensorflow" and not jit_compile:
        pytest.skip("JAX always compiles")
    network = dense_backbone(3)
    model = classifier(
        network, keras.optimizers.AdamW(0.05, weight_decay=0.1), jit_compile=jit_compile
    )
    watch, unfreezing = Watch(network), GradualUnfreezing(network)
    model.fit(*vectors(), epochs=5, callbacks=[unfreezing, watch], **FIT)
    expected = [(), ("dense_2",), ("dense_1", "dense_2"), ("dense_0", "dense_1", "dense_2")]
    assert list(unfreezing.opened.values()) == [*expected, expected[-1]]
    for epoch, names in unfreezing.opened.items():
        assert moved(watch, epoch) == set(names)
    # One trace a stage, and none where nothing changes. (The first step of all makes variables,
    # for which TensorFlow traces it twice.)
    plain = dense_backbone(3)
    first = Watch(plain)
    classifier(plain, "adamw", jit_compile=jit_compile).fit(*vectors(), callbacks=[first], **FIT)
    assert watch.traces == [*first.traces, 1, 1, 1, 0]
    assert int(model.optimizer.iterations) == 10


@pytest.mark.exhaustive
def test_a_text_encoder_opens_down_to_its_depth_with_its_dropout_in_open_stages_only() -> None:
    network = make_bert(pooling="pooler", trainable_from=1)
    model = classifier(network, keras.optimizers.AdamW(0.05, weight_decay=0.1))
    watch, unfreezing = Watch(network), GradualUnfreezing(network, every=2, start=1)
    before = values(network)
    model.fit(*texts(), epochs=5, callbacks=[unfreezing, watch], **FIT)
    expected = [("pooler",), ("layer_2", "pooler"), ("layer_1", "layer_2", "pooler")]
    assert [unfreezing.opened[epoch] for epoch in (0, 2, 4)] == expected
    assert [moved(watch, epoch) for epoch in (0, 1, 3, 4)] == [
        set(expected[index]) for index in (0, 0, 1, 2)
    ]
    for path in before:
        if "embeddings" in path or "layer_0" in path:
            np.testing.assert_array_equal(values(network)[path], before[path])
    # Afterwards all stages down to the depth are open again.
    model.fit(*texts(), callbacks=[after := Watch(network)], **FIT)
    assert moved(after, 0) == set(expected[-1])


def test_dropout_of_closed_stages_is_off() -> None:
    changes = {"dropout": 0.5, "attention_dropout": 0.5}
    network = bert(architecture_changes=changes)
    x, _ = texts()
    still = keras.ops.convert_to_numpy(network(x))
    for open_stages, same in ((range(5, 5), True), (range(3, 5), False), (range(0, 5), False)):
        network.open_only(open_stages)
        found = keras.ops.convert_to_numpy(network(x, training=True))
        assert np.allclose(found, still) == same
    network.open_only(None)


def hand_made(
    make: Callable[[], Any], optimizer: Callable[[], Any], names: list[Any], start: keras.Model
) -> keras.Model:
    """One compile and one fit for each stage; a new optimizer takes the old one's state."""
    network = make()
    model = classifier(network)
    model.set_weights(start.get_weights())
    x, y = vectors()
    slots: dict[str, Any] = {}
    for name in names:
        network.trainable_from = name
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer(), loss, jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        for variable in model.optimizer.variables:
            key = variable.path.partition("/")[2]
            if key in slots:
                variable.assign(slots[key])
        model.fit(x, y, **FIT)
        slots |= {
            v.path.partition("/")[2]: keras.ops.convert_to_numpy(v)
            for v in model.optimizer.variables
        }
    return model


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(lambda: keras.optimizers.SGD(0.1), id="sgd"),
        pytest.param(
            lambda: keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.1),
            id="momentum-clipped",
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            lambda: keras.optimizers.Adam(SlantedTriangular(0.05, 20)), id="adam-schedule"
        ),
    ],
)
def test_it_is_the_hand_made_version_that_carries_slots_and_iterations(optimizer: Any) -> None:
    network = dense_backbone(3)
    model = classifier(network, optimizer())
    start = keras.models.clone_model(model)
    start.set_weights(model.get_weights())
    names = [None, "dense_2", "dense_1", "dense_0"]
    by_hand = hand_made(lambda: dense_backbone(3), optimizer, names, start)
    model.fit(*vectors(), epochs=4, callbacks=[GradualUnfreezing(network)], **FIT)
    assert_same_weights(model, by_hand, rtol=1e-5, atol=1e-6)
    assert int(model.optimizer.iterations) == int(by_hand.optimizer.iterations) == 8
    changed = [not np.allclose(a, b) for a, b in zip(model.weights, start.weights, strict=True)]
    assert all(changed)


def test_two_networks_of_one_model_are_closed_together() -> None:
    networks = [dense_backbone(2), FrozenBackbone(dense_backbone(2).model, name="other")]
    networks[1].trainable_from = 0
    inputs = keras.Input((4,))
    joined = keras.layers.Concatenate()([network(inputs) for network in networks])
    model = keras.Model(inputs, keras.layers.Dense(2)(joined))
    optimizer = keras.optimizers.AdamW(0.05, weight_decay=0.1)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    watches = [Watch(network) for network in networks]
    first, second = GradualUnfreezing(networks[0]), GradualUnfreezing(networks[1], every=2)
    model.fit(*vectors(), epochs=2, callbacks=[first, second, *watches], **FIT)
    assert [moved(watches[0], epoch) for epoch in range(2)] == [set(), {"dense_1"}]
    assert [moved(watches[1], epoch) for epoch in range(2)] == [set(), set()]
    assert "apply" not in vars(optimizer)


@pytest.mark.exhaustive
def test_from_the_bottom_the_first_stages_open() -> None:
    network = dense_backbone(3)
    model = classifier(network, keras.optimizers.AdamW(0.05, weight_decay=0.1))
    watch = Watch(network)
    unfreezing = GradualUnfreezing(model, from_top=False, start=1)
    model.fit(*vectors(), epochs=2, callbacks=[unfreezing, watch], **FIT)
    assert moved(watch, 0) == {"dense_0"}
    assert moved(watch, 1) == {"dense_0", "dense_1"}


@pytest.mark.exhaustive
def test_statistics_of_closed_stages_stay() -> None:
    network = FrozenBackbone(
        branched_model(), trainable_from=0, pooling="avg", keep_statistics=False
    )
    model = classifier(network, keras.optimizers.AdamW(0.05, weight_decay=0.1))
    watch, unfreezing = Watch(network), GradualUnfreezing(network)
    x = np.random.default_rng(0).uniform(0, 255, (8, 6, 6, 3)).astype("float32")
    model.fit(x, np.arange(8) % 2, epochs=4, callbacks=[unfreezing, watch], **FIT)
    assert [moved(watch, epoch) for epoch in range(4)] == [
        set(),
        {"tail"},
        {"right", "tail"},
        {"left", "right", "tail"},
    ]


def rated(model: Any) -> Any:
    inner = keras.optimizers.AdamW(0.05, weight_decay=0.1)
    return keras.optimizers.LossScaleOptimizer(discriminative(inner, model, 0.5))


def grouped(model: Any) -> Any:
    groups = {".*dense_0.*": keras.optimizers.Adam(0.05)}
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(keras.optimizers.AdamW(0.05), groups)
    )


@pytest.mark.parametrize("make", [rated, pytest.param(grouped, marks=pytest.mark.exhaustive)])
def test_inside_rates_loss_scaling_and_groups(make: Any) -> None:
    network = dense_backbone(2)
    model = classifier(network)
    model.compile(make(model), "sparse_categorical_crossentropy", jit_compile=False)
    watch = Watch(network)
    model.fit(*vectors(), epochs=3, callbacks=[GradualUnfreezing(network), watch], **FIT)
    assert [moved(watch, e) for e in range(3)] == [set(), {"dense_1"}, {"dense_0", "dense_1"}]
    optimizers = getattr(model.optimizer, "optimizers", [model.optimizer])
    assert [int(each.iterations) for each in optimizers] == [6] * len(optimizers)


@pytest.mark.exhaustive
def test_a_wrapped_layer_is_closed_with_its_backbone() -> None:
    network = FrozenBackbone(bert(), trainable_from=0)
    model = classifier(network, keras.optimizers.AdamW(0.05, weight_decay=0.1))
    before = values(network)
    model.fit(*texts(), callbacks=[GradualUnfreezing(network, start=1)], **FIT)
    after = values(network)
    changed = {path for path in before if (before[path] != after[path]).any()}
    assert changed
    assert all("layer_2" in path for path in changed)


@on_tensorflow
def test_closed_stages_cost_no_gradient() -> None:
    import tensorflow as tf

    network = bert()
    model = classifier(network, "sgd")
    x, y = texts()
    data = tf.nest.map_structure(tf.constant, (x, y))

    def products() -> int:
        graph = tf.function(model.train_step).get_concrete_function(data).graph
        return sum("MatMul" in operation.type for operation in graph.get_operations())

    unfreezing = GradualUnfreezing(network)
    unfreezing.set_model(model)
    unfreezing.on_train_begin()
    counts = []
    for epoch in range(5):
        unfreezing.on_epoch_begin(epoch)
        counts.append(products())
    unfreezing.on_train_end()
    assert counts == sorted(counts)
    assert counts[-1] == products()
    # Forward alone is a third of a training step's products.
    assert counts[0] < 0.45 * counts[-1]


@pytest.mark.exhaustive
@on_tensorflow
def test_a_model_on_texts_opens_its_stages() -> None:
    import tensorflow as tf

    from keras_pretrained.tokenizers import WordPieceTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film"]
    changes = {**NO_DROPOUT, "max_positions": 32}
    network = bert(architecture_changes=changes, tokenizer=WordPieceTokenizer(words))
    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, keras.layers.Dense(1)(network(inputs)))
    model.compile(keras.optimizers.AdamW(0.05, weight_decay=0.1), "mse")
    x = tf.constant(["a good film", "a bad film"] * 4)
    watch = Watch(network)
    model.fit(
        x,
        np.arange(8.0) % 2,
        epochs=2,
        callbacks=[GradualUnfreezing(network), watch],
        **FIT,
    )
    assert [moved(watch, epoch) for epoch in range(2)] == [set(), {"layer_2"}]


@pytest.mark.exhaustive
def test_the_model_reloads_and_trains_on(tmp_path: Path) -> None:
    network = dense_backbone(2)
    model = classifier(network, keras.optimizers.Adam(0.05))
    model.fit(*vectors(), epochs=2, callbacks=[GradualUnfreezing(network)], **FIT)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for each in (model, again):
        each.fit(*vectors(), **FIT)
    assert_same_weights(model, again, rtol=1e-6)


def test_what_cannot_open_is_an_error() -> None:
    network = dense_backbone(2)
    alone = keras.Model(inputs := network.symbolic_inputs(), network(inputs))
    alone.compile("sgd", "mse", jit_compile=False)
    with pytest.raises(ValueError, match="start=1"):
        alone.fit(vectors()[0], vectors()[0], callbacks=[GradualUnfreezing(network)], verbose=0)
    other = classifier(dense_backbone(2), "sgd")
    with pytest.raises(ValueError, match="no part of model"):
        other.fit(*vectors(), callbacks=[GradualUnfreezing(network)], verbose=0)
    averaged = classifier(network, keras.optimizers.Adam(use_ema=True))
    with pytest.raises(ValueError, match="use_ema"):
        averaged.fit(*vectors(), callbacks=[GradualUnfreezing(network)], verbose=0)
    image = applications.SqueezeNet1_1(weights=None, classes=3, input_shape=(32, 32, 3))
    with pytest.raises(ValueError, match=r"FrozenBackbone\(model, trainable_from=0\)"):
        GradualUnfreezing(image)
    with pytest.raises(ValueError, match="every"):
        GradualUnfreezing(network, every=0)
