"""The golden SavedModels, and small ones that tests make."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

FOLDER = Path(__file__).parents[1] / "goldens" / "hub_modules"
RATE, EPSILON = 0.01, 1e-7
"""Of the optimizer in tests/goldens/make_hub_modules.py."""


def expected() -> dict[str, Any]:
    """What TensorFlow itself computed, by name."""
    with np.load(FOLDER / "expected.npz") as stored:
        return dict(stored)


def texts() -> Any:
    import tensorflow as tf

    return tf.constant([str(each) for each in expected()["texts"]])


def model_of(layer: Any, width: int | None = None) -> keras.Model:
    """A functional model of a layer, with a new layer behind it if `width` is given."""
    inputs = layer.symbolic_inputs()
    outputs = layer(inputs)
    if width is not None:
        outputs = keras.layers.Dense(width)(outputs)
    return keras.Model(inputs, outputs)


def fresh_process(
    code: str, folder: Path, *arguments: str, strict: bool = True, **environment: str
) -> str:
    """The output of code in a process of its own, or its error.

    Args:
        strict: whether warnings are errors.
    """
    prelude = (
        "import warnings\n"
        f"warnings.simplefilter({'error' if strict else 'ignore'!r})\n"
        "warnings.filterwarnings('ignore', message='__array__ implementation')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", prelude + code, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        timeout=300,
    )
    return done.stdout if done.returncode == 0 else done.stderr
