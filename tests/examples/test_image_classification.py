"""The example transfers from digits that its task does not have, and runs as a whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_pretrained import applications
from keras_pretrained.checkpoints import open_checkpoint
from tests.examples.documents import ROOT

sys.path.insert(0, str(ROOT / "examples"))
import image_classification

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="ONNX needs TensorFlow"
)
SCRIPT = ROOT / "examples" / "image_classification.py"
REAL = ROOT.parent / "shared" / "fixtures" / "mobilenet_v1_0.25_real"


def test_the_task_has_other_digits_and_tests_on_other_images() -> None:
    first = image_classification.digits(range(5), 20)
    second = image_classification.digits(range(5, 10), 20)
    for task in (first, second):
        assert task.train_images.shape == (100, 32, 32, 3)
        assert task.train_images.min() == 0
        assert task.train_images.max() == 255
        np.testing.assert_array_equal(np.bincount(task.train_labels), [20] * 5)
        assert set(task.test_labels) == set(range(5))
        train = {image.tobytes() for image in task.train_images}
        assert not train & {image.tobytes() for image in task.test_images}
    seen, new = ({i.tobytes() for i in (*t.train_images, *t.test_images)} for t in (first, second))
    assert not seen & new
    # Each pixel of the 8 x 8 images is a square of 4 x 4.
    squares = first.train_images[..., 0].reshape(-1, 8, 4, 8, 4)
    assert (squares == squares[:, :, :1, :, :1]).all()


def test_a_linear_model_is_the_measure() -> None:
    accuracy, _, parameters = image_classification.linear(
        image_classification.digits(range(5, 10), 20)
    )
    assert accuracy > 0.9
    assert parameters == 5 * 8 * 8


@on_tensorflow
def test_what_is_saved_serves(tmp_path: Path) -> None:
    model = image_classification.build(None)
    task = image_classification.digits(range(5, 10), 8)
    assert image_classification.served(model, task, tmp_path) < image_classification.TOLERANCE
    assert (tmp_path / "model.keras").is_file()
    image_classification.plot([("stem", 0.5), ("logits", 0.25)], 0.125, tmp_path / "accuracy.png")
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")


@on_tensorflow
@pytest.mark.exhaustive
def test_the_whole_example_runs(tmp_path: Path) -> None:
    options = ["--examples", "8", "--epochs", "1", "--step", "20", "--output", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^(\S.*?) {2,}(\d\.\d{3}) +\d+\.\d +([\d,]+)$", done.stdout, re.MULTILINE)
    trained = {name: int(count.replace(",", "")) for name, _, count in rows}
    assert list(trained) == ["logistic regression", "stem", "logits", "weights=None"]
    assert trained["logits"] == 5 * (256 + 1)
    assert trained["stem"] == trained["weights=None"] > 200_000
    (difference,) = re.findall(r"(\S+) largest difference", done.stdout)
    assert 0 < float(difference) < image_classification.TOLERANCE
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    assert "MobilenetV1/Conv2d_0/BatchNorm/moving_mean" in open_checkpoint(tmp_path / "all.ckpt")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(reloaded, applications.VisionModel)
    images, result = np.load(tmp_path / "images.npy"), np.load(tmp_path / "result.npy")
    np.testing.assert_allclose(reloaded.predict(images, verbose=0), result, atol=1e-4)


@pytest.mark.skipif(not REAL.is_dir(), reason="the published archive is not here")
def test_a_published_archive_is_a_start() -> None:
    (archive,) = REAL.glob("*.tgz")
    model = image_classification.build(archive, "Conv2d_12")
    task = image_classification.digits(range(5, 10), 8)
    before = [np.array(variable) for variable in model.non_trainable_variables]
    image_classification.fit(model, task, epochs=1)
    after = [np.array(variable) for variable in model.non_trainable_variables]
    frozen = [np.array_equal(old, new) for old, new in zip(before, after, strict=True)]
    assert sum(frozen) > 60
    assert any("Logits" in name for name in model.load_report.ignored)
