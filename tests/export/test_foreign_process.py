"""Artefacts run in a process that does not know this library, from both backends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_pretrained.export import to_onnx, to_saved_model
from tests.export import models

ROOT = Path(__file__).parents[2]

SERVE = """
import sys
import numpy as np
import onnxruntime
import tensorflow as tf

inputs = dict(np.load("inputs.npz"))
found = {}
for name in ("tensorflow", "jax"):
    signature = tf.saved_model.load(name).signatures["serving_default"]
    given = {key: tf.constant(value) for key, value in inputs.items()}
    found[name] = signature(**given)["scores"].numpy()
session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
found["onnx"] = session.run(["scores"], inputs)[0]
np.savez("found.npz", **found)
loaded = [name for name in sys.modules if name.partition(".")[0] == "keras_pretrained"]
assert not loaded, loaded
"""

EXPORT_FROM_JAX = """
import sys
import numpy as np
from keras_pretrained.export import ExportError, to_onnx, to_saved_model
from tests.export import models

model = models.classifier(trainable_from=1)
model.set_weights(np.load("weights.npz").values())
report = to_saved_model(model, "jax")
assert report.inputs[0].shape == ("batch", "length"), report
try:
    to_onnx(model, "jax.onnx")
except ExportError as error:
    assert "KERAS_BACKEND=tensorflow" in str(error)
else:
    raise SystemExit("an ONNX file from JAX")
"""


def python(code: str, folder: Path, **environment: str) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]


def test_artefacts_serve_without_this_library(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    model = models.classifier(trainable_from=1)
    inputs = models.batch(rows=3, length=8, seed=3)
    np.savez(tmp_path / "inputs.npz", **inputs)
    np.savez(tmp_path / "weights.npz", *model.get_weights())
    python(EXPORT_FROM_JAX, tmp_path, KERAS_BACKEND="jax", PYTHONPATH=str(ROOT))
    to_saved_model(model, tmp_path / "tensorflow")
    to_onnx(model, tmp_path / "m.onnx")
    python(SERVE, tmp_path, PYTHONPATH="")
    expected = np.asarray(model(inputs))
    found = dict(np.load(tmp_path / "found.npz"))
    assert sorted(found) == ["jax", "onnx", "tensorflow"]
    for name, values in found.items():
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5, err_msg=name)
    assert not (tmp_path / "jax.onnx").exists()
