"""The report of a training, read back and compared with Keras, scikit-learn and the formulas."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import finetune
from keras_pretrained.finetune.reporting.depth_plan import NEW, depth_plan
from keras_pretrained.finetune.reporting.held_out import HeldOut, held_out
from keras_pretrained.finetune.reporting.pictures import (
    draw_rates,
    drawing,
    new_figure,
    rate_groups,
)
from keras_pretrained.finetune.reporting.rate_curves import RateCurves, rate_curves
from keras_pretrained.finetune.reporting.recorded import recorded
from keras_pretrained.layers import FrozenBackbone
from tests.finetune.networks import (
    NO_DROPOUT,
    bert,
    classifier,
    dense_backbone,
    texts,
    vectors,
)
from tests.finetune.pages import Page

pytest.importorskip("matplotlib")

CROSS_ENTROPY = "sparse_categorical_crossentropy"
HOSTILE = "<script>alert(1)</script> & <img src=x onerror=alert(2)> $\\frac{ \x00 \ud800 日本 _"


class Rates(keras.callbacks.Callback):
    """What Keras itself says of the rate before every step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.seen.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))


def compiled(rate: Any = 0.01, layer_decay: float | None = None) -> keras.Model:
    model = classifier(dense_backbone(3))
    optimizer: Any = keras.optimizers.Adam(rate)
    if layer_decay is not None:
        optimizer = finetune.discriminative(optimizer, model, layer_decay)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    return model


def as_trained(*rates: Any, epochs: int = 2) -> tuple[dict[str, Any], keras.Model]:
    """A history and a model whose optimizer has counted 4 steps an epoch, without the time."""
    model = compiled(*rates)
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(4 * epochs)
    values = np.linspace(1, 0.1, epochs).tolist()
    return {"loss": values, "val_loss": values[::-1]}, model


def trained(*rates: Any, callbacks: Any = (), epochs: int = 2) -> tuple[Any, keras.Model]:
    """A fit of 4 steps an epoch, and its model."""
    model = compiled(*rates)
    made = [each(model) if isinstance(each, type) else each for each in callbacks]
    data = {"validation_data": vectors(6, seed=1), "batch_size": 4, "verbose": 0}
    return model.fit(*vectors(16), epochs=epochs, callbacks=made, **data), model


def judged(model: keras.Model, x: Any, y: Any, **options: Any) -> HeldOut:
    options = {"hardest": 3, "batch_size": 5, **options}
    return held_out(model, (x, y), getattr(model, "loss", None), **options)


def probabilities(classes: int, activation: str | None = "softmax", width: int = 4) -> keras.Model:
    """One dense layer, not compiled."""
    layer = keras.layers.Dense(classes, activation=activation)
    return keras.Sequential([keras.Input((width,)), layer])


# --- the files ----------------------------------------------------------------------------------


def test_a_page_tells_all_of_a_training(tmp_path: Path) -> None:
    history, model = trained(0.01, 0.5, callbacks=[finetune.GradualUnfreezing], epochs=3)
    x, y = vectors(20, seed=2)
    path = finetune.report(
        history, model, tmp_path / "report.html", validation=(x, y), labels=["bad", "good"]
    )
    assert path == tmp_path / "report.html"
    page = Page(path)
    assert page.tables["Depth plan"][1:] == [
        ["dense_0", "28", "never opened", "0.125"],
        ["dense_1", "28", "trained from epoch 3", "0.25"],
        ["dense_2", "28", "trained from epoch 2", "0.5"],
        [NEW, "10", "trained", "1"],
    ]
    assert "66 of 94 parameters" in page.text
    assert "3 epochs, 12 steps" in page.text
    for name in ("loss", "accuracy", "train", "validation", "dense_1", NEW, "step"):
        assert name in page.text
    accuracy = np.mean(model.predict(x, verbose=0).argmax(axis=1) == y)
    assert f"20 examples, accuracy {accuracy:.3f}" in page.text
    assert len(page.tables["Hardest examples"]) == 11
    # Nothing but the file itself, and no program in it.
    assert all(link.startswith("#") for link in page.links)
    assert "script" not in page.tags
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    finetune.report(
        history, model, tmp_path / "again.html", validation=(x, y), labels=["bad", "good"]
    )
    assert (tmp_path / "again.html").read_bytes() == path.read_bytes()


def test_texts_and_labels_cannot_break_the_page(tmp_path: Path) -> None:
    history, model = as_trained(epochs=1)
    for suffix in ("html", "png"):
        finetune.report(
            history,
            model,
            tmp_path / f"report.{suffix}",
            validation=vectors(4),
            labels=["</table><b>", HOSTILE],
            texts=[HOSTILE, ("first", "</td>"), "x" * 5000, "a\nb"],
        )
    page = Page(tmp_path / "report.html")
    assert not page.tags & {"script", "b"}
    assert page.pictures == []
    shown = [row[1] for row in page.tables["Hardest examples"][1:]]
    assert "first\n</td>" in shown
    assert "a\nb" in shown
    cleaned = HOSTILE.replace("\x00", " ").replace("\ud800", "?")
    assert cleaned in shown
    assert max(map(len, shown)) < 700
    assert page.tables["Confusion matrix"][0][1:3] == ["</table><b>", cleaned]


def test_a_picture_is_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib
    from PIL import Image

    # The user's own settings neither spoil a report nor are spoilt.
    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)
    monkeypatch.setitem(matplotlib.rcParams, "figure.facecolor", "black")
    before = dict(matplotlib.rcParams)
    history, model = as_trained(finetune.SlantedTriangular(0.1, 12), 1 / 2.6, epochs=3)
    finetune.report(history, model, tmp_path / "report.PNG", validation=vectors(9))
    assert dict(matplotlib.rcParams) == before
    with Image.open(tmp_path / "report.PNG") as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    assert min(pixels.shape[:2]) > 800
    assert (pixels[:5] == 255).all()
    # No text and no line is cut off at an edge.
    assert (pixels[:, :10] == 255).all()
    assert (pixels[:, -10:] == 255).all()
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50


def test_nothing_is_written_when_something_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, model = as_trained(epochs=1)
    path = tmp_path / "report.html"
    path.write_text("older")

    def fails(error: type[Exception], match: str, *arguments: Any, **options: Any) -> None:
        given = arguments or (history, model, path)
        with pytest.raises(error, match=match):
            finetune.report(*given, **options)
        assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
        assert path.read_text() == "older"

    fails(ValueError, r"\.html or \.png.*report\.pdf", history, model, tmp_path / "report.pdf")
    fails(ValueError, "no folder.*absent", history, model, tmp_path / "absent" / "report.html")
    fails(TypeError, "what `fit` returns", [0.5], model, path)
    fails(ValueError, "no loss of any epoch", {"learning_rate": [0.1]}, model, path)
    fails(ValueError, "one number an epoch for 'loss'", {"loss": ["a"]}, model, path)
    fails(ValueError, "`hardest`", hardest=-1)
    fails(ValueError, "2 classes. Received 3 labels", validation=vectors(4), labels="abc")
    fails(ValueError, "3 texts and 4 examples", validation=vectors(4), texts=["a"] * 3)
    fails(TypeError, "list of texts", validation=vectors(4), texts="abcd")
    fails(ValueError, "one target an example", validation=vectors(4)[0])
    fails(ValueError, "from 0 to 1.*to 2", validation=(vectors(3)[0], np.arange(3)))
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk is full")))
    fails(OSError, "disk is full")


def test_models_without_one_row_of_numbers_are_refused(tmp_path: Path) -> None:
    x = vectors(4)[0]
    inputs = keras.Input((4,))
    two = keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(3)(inputs)])
    with pytest.raises(ValueError, match=r"one output.*with 2"):
        finetune.report({"loss": [1.0]}, two, tmp_path / "a.html", validation=(x, [x, x]))
    cube = keras.Model(inputs, keras.layers.Reshape((2, 2))(inputs))
    with pytest.raises(ValueError, match=r"one row of numbers an example.*\(4, 2, 2\)"):
        finetune.report({"loss": [1.0]}, cube, tmp_path / "a.html", validation=(x, x))
    assert not list(tmp_path.iterdir())
    finetune.report({"loss": [1.0]}, two, tmp_path / "a.html")
    assert "Confusion" not in Page(tmp_path / "a.html").text


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"keras-pretrained\[example\]"):
        finetune.report({"loss": [1.0]}, probabilities(2), tmp_path / "report.html")


def test_a_model_without_stages_says_so(tmp_path: Path) -> None:
    model = probabilities(2)
    finetune.report({"loss": [1.0, 0.5]}, model, tmp_path / "report.html")
    page = Page(tmp_path / "report.html")
    assert "FrozenBackbone(model) gives any model its stages" in page.text
    assert "The model is not compiled" in page.text
    assert page.tables["Depth plan"][1:] == [["whole model", "10", "trained", "1"]]


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


# --- validation ---------------------------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.parametrize("activation", ["softmax", None])
@pytest.mark.parametrize("one_hot", [False, True])
def test_classes_are_counted_as_scikit_learn_does(activation: str | None, one_hot: bool) -> None:
    from sklearn import metrics

    model = probabilities(3, activation)
    x, _ = vectors(50)
    y = np.random.default_rng(0).integers(0, 3, 50)
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=activation is None, reduction=None
    )
    outputs = model.predict(x, verbose=0)
    model.compile(loss="categorical_crossentropy" if one_hot else loss)
    found = judged(model, x, keras.utils.to_categorical(y, 3) if one_hot else y)
    confusion = found.answers.confusion
    said = outputs.argmax(axis=1)
    np.testing.assert_array_equal(confusion.counts, metrics.confusion_matrix(y, said))
    for ours, theirs in (
        (confusion.precision, metrics.precision_score),
        (confusion.recall, metrics.recall_score),
    ):
        np.testing.assert_allclose(ours, theirs(y, said, average=None, zero_division=np.nan))
    losses = np.asarray(loss(y, outputs))
    order = np.argsort(-losses)[:3]
    assert [each.number for each in found.hardest] == order.tolist()
    np.testing.assert_allclose([each.loss for each in found.hardest], losses[order], rtol=1e-5)
    np.testing.assert_allclose(found.answers.mean_loss, losses.mean(), rtol=1e-5)
    first = found.hardest[0].answer
    assert (first.true, first.predicted) == (str(y[order[0]]), str(said[order[0]]))
    np.testing.assert_allclose(first.true_probability, np.exp(-losses[order[0]]), rtol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_output_tells_two_classes(activation: str | None) -> None:
    model = probabilities(1, activation)
    kind = keras.losses.BinaryCrossentropy
    model.compile(loss=kind(from_logits=activation is None))
    x, y = vectors(20)
    found = judged(model, x, y, labels=["bad", "good"])
    outputs = model.predict(x, verbose=0)
    said = (outputs[:, 0] > (0.5 if activation else 0)).astype(int)
    assert found.answers.right == (said == y).sum()
    assert found.answers.confusion.counts[1, 0] == ((y == 1) & (said == 0)).sum()
    losses = np.asarray(kind(from_logits=activation is None, reduction=None)(y[:, None], outputs))
    np.testing.assert_allclose(found.hardest[0].loss, losses.max(), rtol=1e-4)
    assert {found.hardest[0].answer.true, found.hardest[0].answer.predicted} == {"bad", "good"}


@pytest.mark.parity
def test_several_labels_are_counted_as_scikit_learn_does(tmp_path: Path) -> None:
    from sklearn import metrics

    model = probabilities(3, "sigmoid")
    model.compile(loss="binary_crossentropy")
    x, _ = vectors(40)
    y = np.random.default_rng(1).integers(0, 2, (40, 3))
    said = model.predict(x, verbose=0) > 0.5
    found = judged(model, x, y, labels=["a", "b", "c"])
    for row, ((_, wrong), (missed, hits)) in zip(
        found.answers.table, metrics.multilabel_confusion_matrix(y, said), strict=True
    ):
        assert (row.found, row.missed, row.wrong) == (hits, missed, wrong)
    assert found.answers.right / 40 == pytest.approx(metrics.accuracy_score(y, said))
    finetune.report({"loss": [1.0]}, model, tmp_path / "report.html", validation=(x, y))
    assert len(Page(tmp_path / "report.html").tables["Labels"]) == 4


def test_numbers_have_errors(tmp_path: Path) -> None:
    model = probabilities(1, None)
    model.compile(loss="mse")
    x, _ = vectors(10)
    y = np.linspace(-1, 1, 10)
    errors = np.square(model.predict(x, verbose=0)[:, 0] - y)
    found = judged(model, x, y)
    assert found.hardest[0].number == errors.argmax()
    np.testing.assert_allclose(found.answers.mean_loss, errors.mean(), rtol=1e-5)
    for suffix in ("html", "png"):
        path = tmp_path / f"report.{suffix}"
        finetune.report({"loss": [1.0]}, model, path, validation=(x, y))
    assert f"squared error: {errors.mean():.4g}" in Page(tmp_path / "report.html").text


def test_many_classes_are_listed_by_their_confusions(tmp_path: Path) -> None:
    model = probabilities(40)
    x, _ = vectors(100)
    y = model.predict(x, verbose=0).argmax(axis=1)
    wrong = y.copy()
    wrong[y == y[0]] = (y[0] + 1) % 40
    for suffix in ("html", "png"):
        path = tmp_path / f"report.{suffix}"
        finetune.report({"loss": [1.0]}, model, path, validation=(x, wrong))
    table = Page(tmp_path / "report.html").tables["Most frequent confusions"]
    assert table[1:] == [[str((y[0] + 1) % 40), str(y[0]), str((y == y[0]).sum())]]


def test_rows_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    model = probabilities(2)
    x, y = vectors(10)
    x[3] = np.nan
    found = judged(model, x, y)
    assert (found.answers.rows, found.not_finite) == (9, 1)
    with pytest.raises(ValueError, match="10 examples, and 10 of them without"):
        judged(model, np.full_like(x, np.nan), y)


# --- the hardest examples -----------------------------------------------------------------------


def test_batches_by_length_keep_texts_with_their_examples() -> None:
    x, y = texts(12)
    network = bert()
    model = classifier(network, "adam")
    names = [f"text {row}" for row in range(12)]
    plain = judged(model, x, y, texts=names, hardest=12)
    batches = finetune.bucket_by_length(x, y, batch_size=5, lengths=(4, 6), fill=True)
    bucketed = held_out(model, batches, model.loss, texts=names, hardest=12)
    assert bucketed.answers.rows == 12
    np.testing.assert_array_equal(bucketed.answers.confusion.counts, plain.answers.confusion.counts)
    by_number = {each.number: each for each in plain.hardest}
    for each in bucketed.hardest:
        assert each.text == f"text {each.number}"
        assert each.loss == pytest.approx(by_number[each.number].loss, rel=1e-4)


def test_token_ids_are_read_back() -> None:
    from keras_pretrained.tokenizers import WordPieceTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film"]
    network = bert(tokenizer=WordPieceTokenizer(words))
    model = classifier(network)
    given = ["a good film", "a bad film", "good"]
    found = judged(model, network.tokenizer(given), np.array([0, 1, 0]))
    assert {each.number: each.text for each in found.hardest} == dict(enumerate(given))


def test_a_task_brings_its_labels_and_takes_its_material(tmp_path: Path) -> None:
    from keras_pretrained.applications import TextClassifier
    from keras_pretrained.tokenizers import WordPieceTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film"]
    network = bert(
        tokenizer=WordPieceTokenizer(words),
        architecture_changes={**NO_DROPOUT, "max_positions": 32},
    )
    task = TextClassifier(network, ["dull", "fine"])
    given = ["a good film", "a very " + "bad " * 20, "good", "bad", "a film"]
    truth = ["fine", "dull", "fine", "dull", "dull"]
    path = tmp_path / "report.html"
    finetune.report({"loss": [1.0]}, task, path, validation=(given, truth), batch_size=2)
    page = Page(path)
    said = task.predict(given, verbose=0)
    counts = [[0, 0], [0, 0]]
    for row, column in zip(truth, said, strict=True):
        counts[row == "fine"][column == "fine"] += 1
    header, *rows = page.tables["Confusion matrix"]
    assert header[1:3] == ["dull", "fine"]
    assert [[int(cell) for cell in row[1:3]] for row in rows[:2]] == counts
    for number, text, true, predicted, _ in page.tables["Hardest examples"][1:]:
        row = int(number)
        assert text == given[row]
        assert (true.split()[0], predicted.split()[0]) == (truth[row], said[row])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strings")
@pytest.mark.parametrize("make", [list, np.array])
def test_texts_that_the_model_takes_are_shown(make: Callable[..., Any]) -> None:
    vectorize = keras.layers.TextVectorization(output_sequence_length=3, vocabulary=["good", "bad"])
    inputs = keras.Input((), dtype="string")
    hidden = keras.ops.cast(vectorize(inputs), "float32")
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(hidden))
    found = judged(model, make(["bad", "so good"]), np.array([0, 1]))
    assert {each.text for each in found.hardest} == {"bad", "so good"}


def test_hard_images_are_shown_as_they_are(tmp_path: Path) -> None:
    inputs = keras.Input((6, 8, 3))
    convolution = keras.layers.Conv2D(4, 3, name="conv")
    network = FrozenBackbone(
        keras.Model(inputs, convolution(keras.layers.Rescaling(1 / 255)(inputs))),
        trainable_from=None,
        pooling="avg",
    )
    model = classifier(network, "adam")
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3)).astype("uint8")
    history = model.fit(images, np.arange(5) % 2, verbose=0)
    for suffix in ("html", "png"):
        path = tmp_path / f"report.{suffix}"
        finetune.report(
            history, model, path, validation=(images, np.arange(5) % 2), texts=list("abcde")
        )
    page = Page(tmp_path / "report.html")
    order = [int(row[0]) for row in page.tables["Hardest examples"][1:]]
    assert sorted(order) == list(range(5))
    assert [row[1] for row in page.tables["Hardest examples"][1:]] == ["abcde"[i] for i in order]
    for index, picture in zip(order, page.pictures, strict=True):
        assert picture.shape == (84, 112, 3)
        # Each pixel is a square of 14.
        np.testing.assert_array_equal(picture[7::14, 7::14], images[index])


def test_examples_of_weight_zero_are_none() -> None:
    model = probabilities(2)
    x, y = vectors(10)
    weights = np.ones(10)
    weights[4:] = 0
    found = held_out(model, (x, y, weights), batch_size=3)
    assert sorted(each.number for each in found.hardest) == [0, 1, 2, 3]
    assert found.answers.rows == 4
