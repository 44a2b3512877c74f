"""The rates, the depth plan and the curves of a report, against Keras and the formulas."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import finetune
from keras_pretrained.finetune.reporting.depth_plan import NEW, depth_plan
from keras_pretrained.finetune.reporting.held_out import held_out
from keras_pretrained.finetune.reporting.pictures import (
    draw_rates,
    drawing,
    new_figure,
    rate_groups,
)
from keras_pretrained.finetune.reporting.rate_curves import RateCurves, rate_curves
from keras_pretrained.finetune.reporting.recorded import recorded
from tests.finetune.networks import (
    bert,
    classifier,
    dense_backbone,
    vectors,
)
from tests.finetune.pages import Page
from tests.finetune.trainings import Rates, as_trained, probabilities, trained

pytest.importorskip("matplotlib")

CROSS_ENTROPY = "sparse_categorical_crossentropy"
HOSTILE = "<script>alert(1)</script> & <img src=x onerror=alert(2)> $\\frac{ \x00 \ud800 日本 _"


# --- learning rates -----------------------------------------------------------------------------


def rates_of(history: Any, model: keras.Model, **options: Any) -> RateCurves:
    training = recorded(history, model, options.get("unfreezing"))
    return rate_curves(depth_plan(model, training), training)


def slanted(step: int, peak: float, total: int) -> float:
    """ULMFiT, equation 3, with its own ratio and cut."""
    cut = math.floor(total * 0.1)
    p = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / 0.1 - 1))
    return peak * (1 + p * 31) / 32


def test_rates_are_schedule_times_factor_where_a_stage_is_open() -> None:
    seen = Rates()
    history, model = trained(
        finetune.SlantedTriangular(0.02, 20),
        0.5,
        callbacks=[seen, finetune.GradualUnfreezing],
        epochs=5,
    )
    found = rates_of(history, model)
    assert found.total == 20
    np.testing.assert_array_equal(found.steps, np.arange(20))
    np.testing.assert_allclose(found.rates[NEW], seen.seen, rtol=1e-6)
    expected = np.array([slanted(step, 0.02, 20) for step in range(20)])
    np.testing.assert_allclose(found.rates[NEW], expected, rtol=1e-5)
    # Of four steps an epoch; a stage opens in the second, the third and the fourth.
    for name, factor, begin in (("dense_2", 0.5, 4), ("dense_1", 0.25, 8), ("dense_0", 0.125, 12)):
        assert (found.rates[name][:begin] == 0).all()
        np.testing.assert_allclose(found.rates[name][begin:], factor * expected[begin:], rtol=1e-5)


def test_rates_of_a_second_fit_go_on_with_the_schedule() -> None:
    _, model = trained(finetune.LinearWarmup(0.02, 40, 4), epochs=5)
    seen = Rates()
    again = model.fit(*vectors(16), batch_size=4, epochs=7, initial_epoch=5, callbacks=[seen])
    found = rates_of(again, model)
    np.testing.assert_allclose(found.rates[NEW], seen.seen, rtol=1e-6)
    # After 20 of 40 steps of which 4 rise.
    np.testing.assert_allclose(found.rates["dense_0"][0], 0.02 * 20 / 36, rtol=1e-5)


def test_rates_that_a_callback_sets() -> None:
    halved = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history, model = trained(0.08, callbacks=[halved], epochs=3)
    found = rates_of(history, model)
    np.testing.assert_allclose(found.rates["dense_1"], np.repeat([0.04, 0.02, 0.01], 4), rtol=1e-6)
    assert [curve.name for curve in recorded(history, model, None).curves] == ["loss", "accuracy"]


def test_of_many_stages_those_with_the_same_rate_are_one_line() -> None:
    base = np.linspace(1, 0, 10)
    rates = {f"layer_{index}": base * 0.9 ** (40 - index) for index in range(40)}
    rates |= {"layer_40": base, NEW: base}
    assert [name for name, _ in rate_groups(rates)][-2:] == ["layer_39", f"layer_40, {NEW}"]
    with drawing("black"):
        axes = new_figure(4, 3).subplots()
        draw_rates(axes, RateCurves(np.arange(10), rates, 10))
        assert len(axes.lines) == 41
        names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(names) <= 14
    assert names[0] == f"layer_40, {NEW}"
    np.testing.assert_array_equal(axes.lines[3].get_ydata(), rates["layer_3"])


def test_many_steps_are_thinned_out_and_openings_stay_sharp() -> None:
    model = classifier(dense_backbone(1), keras.optimizers.SGD(1.0))
    history = keras.callbacks.History()
    history.set_params({"steps": 3_333, "epochs": 3})
    history.set_model(model)
    history.epoch, history.history = [0, 1, 2], {"loss": [1.0] * 3}
    model.optimizer.iterations.assign(9_999)
    unfreezing = finetune.GradualUnfreezing(model)
    unfreezing.opened = {0: (), 1: ("dense_0",), 2: ("dense_0",)}
    found = rates_of(history, model, unfreezing=unfreezing)
    assert found.total == 9_999
    assert len(found.steps) < 500
    opened = found.steps[np.flatnonzero(found.rates["dense_0"])[0]]
    assert opened == 3_333
    assert 3_332 in found.steps


def test_rates_that_are_not_known_say_why() -> None:
    history, model = as_trained(epochs=1)
    model.optimizer.iterations.assign(0)
    assert "not the one of this training" in rates_of(history, model).missing
    groups = {".*classifier.*": keras.optimizers.SGD(0.1)}
    optimizer = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1), groups)
    model.compile(keras.optimizers.MultiOptimizer(optimizer), CROSS_ENTROPY)
    assert "Each group" in rates_of(history, model).missing


def test_a_model_that_is_all_frozen_has_no_rates(tmp_path: Path) -> None:
    network = dense_backbone(1, trainable_from=None)
    inputs = network.symbolic_inputs()
    model = keras.Model(inputs, network(inputs))
    model.compile("sgd", "mse")
    model.optimizer.iterations.assign(1)
    for suffix in ("html", "png"):
        finetune.report({"loss": [1.0]}, model, tmp_path / f"report.{suffix}")
    assert "Nothing of the model trains" in Page(tmp_path / "report.html").text


def test_a_dictionary_takes_steps_from_the_optimizer() -> None:
    history, model = trained(finetune.CosineWarmup(0.02, 8, 2))
    as_fit, as_plain = rates_of(history, model), rates_of(history.history, model)
    np.testing.assert_array_equal(as_fit.rates[NEW], as_plain.rates[NEW])
    assert as_plain.total == 8


# --- the depth plan and the curves --------------------------------------------------------------


def test_frozen_stages_have_no_rate() -> None:
    network = bert(trainable_from=1)
    model = classifier(network, "adam")
    model.optimizer.iterations.assign(1)
    history = {"loss": [1.0]}
    plan = depth_plan(model, recorded(history, model, None))
    states = {row.name: (row.state, row.factor) for row in plan.rows}
    assert states == {
        "stem": ("frozen", None),
        "layer_0": ("frozen", None),
        "layer_1": ("trained", 1.0),
        "layer_2": ("trained", 1.0),
        "pooler": ("not in use", None),
        NEW: ("trained", 1.0),
    }
    assert plan.parameters == model.count_params()
    assert list(rates_of(history, model).rates) == ["layer_1", "layer_2", NEW]


def test_a_suffix_on_cached_features_reports_as_its_model() -> None:
    network = dense_backbone(3, trainable_from="dense_2")
    model = classifier(network)
    features = finetune.cache_features(vectors(16), model, batch_size=4)
    head = finetune.suffix(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    head.compile(keras.optimizers.Adam(finetune.LinearWarmup(0.1, 8, 1)), loss, jit_compile=False)
    history = head.fit(features, epochs=2, verbose=0)
    found = rates_of(history, model)
    assert list(found.rates) == ["dense_2", NEW]
    np.testing.assert_allclose(found.rates[NEW][1], 0.1, rtol=1e-6)
    # The loss of the suffix says that outputs are logits; the model itself is not compiled.
    logits = model.predict(vectors(6)[0], verbose=0)
    expected = np.asarray(keras.ops.softmax(logits)).max(axis=1)
    found = held_out(model, vectors(6), recorded(history, model, None).loss)
    for each in found.hardest:
        assert each.answer.predicted_probability == pytest.approx(expected[each.number], rel=1e-5)


def test_validation_in_some_epochs_stands_at_these() -> None:
    series = {"val_loss": [2.0, 1.0], "loss": [5.0, 4.0, 3.0, 2.0], "accuracy": [0.1] * 4}
    loss, accuracy = recorded(series, probabilities(2), None).curves
    assert (loss.name, accuracy.name) == ("loss", "accuracy")
    np.testing.assert_array_equal(loss.validation, [[2, 4], [2.0, 1.0]])
    np.testing.assert_array_equal(loss.train[0], [1, 2, 3, 4])
    assert len(accuracy.validation[1]) == 0
