"""The plan of the four scenarios, and the search for a depth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import applications, finetune
from keras_pretrained.finetune import search_depth
from keras_pretrained.layers import FrozenBackbone
from tests.finetune.networks import bert, classifier, dense_backbone, vectors
from tests.layers.toys import make_bert


def test_the_four_scenarios() -> None:
    network = make_bert(pooling="mean")
    stages = ("stem", "layer_0", "layer_1", "layer_2")
    few_like = finetune.plan(500, "high", network)
    assert (few_like.frozen, few_like.trained, few_like.trainable_from) == (stages, (), None)
    few_unlike = finetune.plan(500, "low", network)
    assert (few_unlike.frozen, few_unlike.trained) == (stages[:2], stages[2:])
    assert (few_unlike.trainable_from, few_unlike.unfreeze_every) == ("layer_1", 1)
    many_like = finetune.plan(50_000, "high", network)
    many_unlike = finetune.plan(50_000, "low", network)
    for each in (many_like, many_unlike):
        assert (each.frozen, each.trained, each.cache) == ((), stages, False)
    # Unlike data move the network more, and its early stages above all.
    assert many_unlike.learning_rate > many_like.learning_rate
    assert many_unlike.layer_decay > many_like.layer_decay
    assert finetune.plan(2_000, "high", network).scenario == few_like.scenario
    assert finetune.plan(2_001, "high", network).scenario == many_like.scenario


def test_a_plan_is_a_table() -> None:
    lines = str(finetune.plan(500, "low", make_bert(pooling="mean"))).splitlines()
    table = dict(line.split("  ", 1) for line in lines)
    assert {name.strip(): value.strip() for name, value in table.items()} | {"why": ""} == {
        "scenario": "early stages frozen",
        "why": "",
        "data": "500 examples, similarity low",
        "frozen": "stem, layer_0",
        "trained": "layer_1, layer_2, what is new",
        "learning rate": "5e-05, slanted-triangular",
        "layer decay": "0.385",
        "unfreezing": "a stage every 1 epoch(s)",
        "cached features": "yes",
        "epochs": "6",
    }


@pytest.mark.parametrize("similarity", ["high", "low"])
def test_a_plan_trains(similarity: str) -> None:
    network = dense_backbone(4)
    model = classifier(network)
    plan = finetune.plan(8, similarity, model)
    plan.apply(model)
    optimizer = plan.optimizer(model, steps_per_epoch=2)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    callbacks = plan.callbacks(model)
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in network.weights]
    model.fit(*vectors(), batch_size=4, epochs=plan.epochs, callbacks=callbacks, verbose=0)
    moved = {
        v.path.split("/")[-2][-1]
        for v, old in zip(network.weights, before, strict=True)
        if not np.array_equal(old, keras.ops.convert_to_numpy(v))
    }
    assert moved == (set() if similarity == "high" else {"2", "3"})
    if similarity == "low":
        assert optimizer.factors == pytest.approx({"dense_2": 1 / 2.6**2, "dense_3": 1 / 2.6})
        assert callbacks[0].opened[2] == ("dense_2", "dense_3")


def test_biases_do_not_decay_where_all_is_frozen() -> None:
    model = classifier(dense_backbone())
    plan = finetune.plan(8, "high", model)
    plan.apply(model)
    kernel, bias = model.layers[-1].weights
    bias.assign([1.0, 1.0])
    before = keras.ops.convert_to_numpy(kernel)
    still = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    plan.optimizer(model, steps_per_epoch=2).apply(still, model.trainable_variables)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(bias), [1, 1])
    assert (keras.ops.convert_to_numpy(kernel) != before).all()


def test_stages_of_an_image_network_open_at_once_and_the_plan_says_why() -> None:
    network = applications.SqueezeNet1_1(weights=None, classes=3, input_shape=(32, 32, 3))
    plan = finetune.plan(100, "low", network)
    assert (plan.unfreeze_every, plan.callbacks(network)) == (None, [])
    assert "at once" in plan.why
    assert "FrozenBackbone(model, trainable_from=0)" in plan.why
    layer = FrozenBackbone(network, trainable_from=0)
    assert len(finetune.plan(100, "low", layer).callbacks(layer)) == 1


def test_a_wrong_plan_is_an_error() -> None:
    with pytest.raises(ValueError, match="'high' or 'low'"):
        finetune.plan(10, "middle", dense_backbone())
    with pytest.raises(ValueError, match="num_examples"):
        finetune.plan(0, "high", dense_backbone())


def searched(tmp_path: Path | None = None, **options: Any) -> finetune.DepthSearch:
    start = classifier(dense_backbone()).get_weights()

    def make() -> keras.Model:
        model = classifier(dense_backbone(), keras.optimizers.Adam(0.05), metrics=["accuracy"])
        model.set_weights(start)
        return model

    x, _ = vectors(64)
    y = (x[:, 0] > 0).astype("int32")
    return search_depth(
        make,
        (x[:48], y[:48]),
        [0, "dense_2", None],
        validation_data=(x[48:], y[48:]),
        epochs=2,
        path=tmp_path,
        batch_size=16,
        **options,
    )


def test_a_search_measures_every_depth(tmp_path: Path) -> None:
    found = searched(tmp_path / "features")
    assert [(trial.depth, trial.frozen) for trial in found.trials] == [
        (0, 0),
        ("dense_2", 2),
        (None, 3),
    ]
    assert found.metric == "accuracy"
    assert found.larger_is_better
    assert found.best.score == max(trial.score for trial in found.trials)
    assert found.trials[0].cache_seconds == 0 < found.trials[1].cache_seconds
    assert all(trial.epoch_seconds > 0 for trial in found.trials)
    header, *rows = str(found).splitlines()
    assert " ".join(header.split()) == "trainable_from frozen stages accuracy loss s/epoch s once"
    assert [row.split()[0] for row in rows] == ["0", "'dense_2'", "None"]
    # Training and validation features of two depths.
    assert len([path for path in (tmp_path / "features").iterdir() if path.is_dir()]) == 4
    pytest.importorskip("matplotlib")
    figure = found.plot(tmp_path / "depth.png")
    assert (tmp_path / "depth.png").read_bytes().startswith(b"\x89PNG")
    (left, right) = figure.axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [t.score for t in found.trials])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [t.epoch_seconds for t in found.trials])


def test_a_search_without_metrics_compares_losses() -> None:
    trials = tuple(finetune.Trial(k, k, loss, loss, 0, 1) for k, loss in ((0, 0.5), (1, 0.2)))
    assert finetune.DepthSearch(trials, "loss", larger_is_better=False).best.depth == 1
    x, y = vectors()
    found = search_depth(lambda: classifier(dense_backbone(), "adam"), (x, y), [None], (x, y), 1)
    assert (found.metric, found.larger_is_better) == ("loss", False)


class Task(keras.Model):
    """Keeps something of its own with what it was compiled with."""

    def get_compile_config(self) -> Any:
        return {**super().get_compile_config(), "own": 1}

    def compile_from_config(self, config: Any) -> None:
        super().compile_from_config({name: x for name, x in config.items() if name != "own"})


def test_a_search_takes_models_with_options_and_rates_of_their_own() -> None:
    def make() -> keras.Model:
        plain = classifier(dense_backbone())
        model = Task(plain.inputs, plain.outputs)
        optimizer = finetune.discriminative("adam", model, layer_decay=0.5)
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
        return model

    assert search_depth(make, vectors(), [None], vectors(), epochs=1).trials[0].loss > 0


def test_without_validation_data_a_fifth_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def trial(model: Any, depth: Any, data: Any, held: Any, *_: Any) -> Any:
        seen.append((data, held))
        return finetune.Trial(depth, 0, 0.5, 0.5, 0, 1), "loss"

    monkeypatch.setattr("keras_pretrained.finetune.search._trial", trial)
    x, y = vectors(11)
    search_depth(lambda: None, ({"x": x}, y.tolist()), [0, 1])
    search_depth(lambda: None, ({"x": x}, y.tolist()), [0], seed=1)
    parts = [[part[0]["x"] for part in each] for each in seen]
    assert [len(part) for part in parts[0]] == [9, 2]
    for data, held in seen:
        rows = np.concatenate([data[0]["x"], held[0]["x"]])
        order = [int(np.flatnonzero((x == row).all(axis=1))[0]) for row in rows]
        assert sorted(order) == list(range(11))
        np.testing.assert_array_equal(np.concatenate([data[1], held[1]]), y[order])
    # All depths are compared on the same examples.
    np.testing.assert_array_equal(parts[0][1], parts[1][1])
    assert (parts[0][1] != parts[2][1]).any()
    with pytest.raises(ValueError, match=r"`validation_data`\. Received: list"):
        search_depth(lambda: None, [(x, y)], [0])
    with pytest.raises(ValueError, match="at least 5 examples"):
        search_depth(lambda: None, (x[:4], y[:4]), [0])


def test_a_wrong_search_is_an_error() -> None:
    x, y = vectors()
    with pytest.raises(ValueError, match="at least one depth"):
        search_depth(lambda: classifier(dense_backbone(), "adam"), (x, y), [], (x, y))
    with pytest.raises(ValueError, match="compiled model"):
        search_depth(lambda: classifier(bert()), (x, y), [0], (x, y))


def test_without_matplotlib_all_but_the_plot_works(monkeypatch: pytest.MonkeyPatch) -> None:
    found = finetune.DepthSearch((finetune.Trial(0, 0, 0.5, 0.5, 0, 1),), "accuracy", True)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "accuracy" in str(found)
    with pytest.raises(ImportError, match=r"pip install 'keras-pretrained\[example\]'"):
        found.plot()
