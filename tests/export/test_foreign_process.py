"""Artefacts run in a process that does not know this library, from both backends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_pretrained.export import to_onnx, to_saved_model
from keras_pretrained.layers import GPT2Decoder
from tests.export import models

ROOT = Path(__file__).parents[2]

SERVE = """
import sys
import numpy as np
import onnxruntime
import tensorflow as tf
import tensorflow_text

stored = dict(np.load("inputs.npz"))
texts = stored.pop("texts")
found = {}
for name in ("texts", "tensorflow", "jax"):
    loaded = tf.saved_model.load(name)
    given = {key: tf.constant(value) for key, value in stored.items()}
    found[name + " ids"] = loaded.signatures["serve_ids"](**given)["scores"].numpy()
    key = "review" if name == "texts" else "texts"
    signature = loaded.signatures["serve"]
    found[name + " texts"] = signature(**{key: tf.constant(texts)})["scores"].numpy()
for name in ("texts", "tensorflow"):
    session = onnxruntime.InferenceSession(name + ".onnx", providers=["CPUExecutionProvider"])
    found[name + " onnx"] = session.run(["scores"], stored)[0]
for name in ("roberta", "gpt2"):
    given = {key: tf.constant(value) for key, value in np.load(name + ".npz").items()}
    found[name] = tf.saved_model.load(name).signatures["serve_ids"](**given)["scores"].numpy()
np.savez("found.npz", **found)
loaded = [name for name in sys.modules if name.partition(".")[0] in ("keras_pretrained", "keras")]
assert "keras_pretrained" not in loaded, loaded
"""

EXPORT_FROM_JAX = """
import sys
import numpy as np
from keras_pretrained.export import ExportError, to_onnx, to_saved_model
from tests.export import models

model = models.reading_classifier()
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
    """Models on texts and on ids, both endpoints, both backends, ONNX, and Python's tokenizers."""
    pytest.importorskip("jax")
    texts = ["a b c", "", "kid 你好", "l " * 40]
    model, on_texts = models.reading_classifier(), models.text_classifier()
    on_texts.set_weights(model.get_weights())
    inputs = model.layers[-2].tokenizer(texts)
    np.savez(tmp_path / "inputs.npz", texts=np.array(texts), **inputs)
    np.savez(tmp_path / "weights.npz", *model.get_weights())
    python(EXPORT_FROM_JAX, tmp_path, KERAS_BACKEND="jax", PYTHONPATH=str(ROOT))
    for name, each in {"tensorflow": model, "texts": on_texts}.items():
        to_saved_model(each, tmp_path / name)
        to_onnx(each, tmp_path / f"{name}.onnx")
    others = {}
    gpt2 = models.python_reader("gpt2/openai", GPT2Decoder)
    for name, encoder in {"roberta": models.python_reader(), "gpt2": gpt2}.items():
        symbolic = models.texts()
        each = keras.Model(symbolic, keras.layers.Dense(3, name="scores")(encoder(symbolic)))
        to_saved_model(each, tmp_path / name)
        np.savez(tmp_path / f"{name}.npz", **encoder.tokenizer(texts))
        others[name] = np.asarray(each(np.array(texts, object)))
    python(SERVE, tmp_path, PYTHONPATH="")
    expected = np.asarray(model(inputs))
    found = dict(np.load(tmp_path / "found.npz"))
    assert len(found) == 10
    for name, values in found.items():
        wanted = others.get(name, expected)
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-5, err_msg=name)
    assert not (tmp_path / "jax.onnx").exists()
