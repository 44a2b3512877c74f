"""The report of a training: its files, validation, and the hardest examples."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import finetune
from keras_pretrained.finetune.reporting.depth_plan import NEW
from keras_pretrained.finetune.reporting.held_out import held_out
from keras_pretrained.layers import FrozenBackbone
from tests.finetune.networks import (
    NO_DROPOUT,
    bert,
    classifier,
    texts,
    vectors,
)
from tests.finetune.pages import Page
from tests.finetune.trainings import as_trained, judged, probabilities, trained

pytest.importorskip("matplotlib")

CROSS_ENTROPY = "sparse_categorical_crossentropy"
HOSTILE = "<script>alert(1)</script> & <img src=x onerror=alert(2)> $\\frac{ \x00 \ud800 日本 _"


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


def test_it_is_written_into_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    history, model = as_trained(epochs=1)
    assert finetune.report(history, model) == Path("report.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_models_without_one_row_of_numbers_are_refused(tmp_path: Path) -> None:
    x = vectors(4)[0]
    inputs = keras.Input((4,))
    two = keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(3)(inputs)])
    with pytest.raises(ValueError, match=r"one output.*with 2"):
        finetune.report({"loss": [1.0]}, two, tmp_path / "a.html", validation=(x, [x, x]))
    cube = keras.Model(inputs, keras.layers.Reshape((2, 2))(inputs))
    with pytest.raises(ValueError, match=r"one row of numbers an example.*\(4, 2, 2\)"):
        finetune.report({"loss": [1.0]}, cube, tmp_path / "a.html", validation=(x, x))
    # As where a model scores several texts an example.
    with pytest.raises(ValueError, match=r"4 rows for 2 targets.*validation=None"):
        finetune.report(
            {"loss": [1.0]}, probabilities(2), tmp_path / "a.html", validation=[(x, np.ones(2))]
        )
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
