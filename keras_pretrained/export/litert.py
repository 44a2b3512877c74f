"""LiteRT files (`.tflite`), from the TensorFlow backend."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_pretrained.export.check import Run, checks_on_ids
from keras_pretrained.export.report import ExportError, ExportReport
from keras_pretrained.export.requirements import (
    check_backend,
    check_packages,
    check_precision,
    check_size,
)
from keras_pretrained.export.saved_model import write_network
from keras_pretrained.export.staging import staged
from keras_pretrained.export.texts import wiring
from keras_pretrained.layers.blocks.distinct import fixed_shapes

KIND = "LiteRT file"
_NEEDED = ("ai_edge_litert",)


def to_litert(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    inputs: Any = None,
    tolerance: float | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Writes a `.tflite` file that LiteRT (TensorFlow Lite) runs on phones and small machines.

    The signature `"serving_default"` has the names of the Keras inputs and output layers. Free
    axes stay free: the runtime plans memory anew for every size.

    Args:
        model: a functional or sequential model in float32 on the TensorFlow backend. LiteRT has
            no tokenizer: of a model on strings the file takes the ids (`token_ids`,
            `segment_ids`, `padding_mask`) that `layer.tokenizer` makes of them.
        path: the file to write.
        inputs: one batch as the model takes it, to compare on. By default two made-up batches of
            different size with valid ids, both segments and padding.
        tolerance: allowed difference of each number, absolute plus relative; by default 1e-4.
        overwrite: whether a file at `path` may be replaced.

    Returns:
        Signature, size and largest difference; `print` shows them.

    Raises:
        ExportError: an operation that LiteRT does not have, or an artefact that differs from the
            model. Nothing is left behind then.
        ImportError: the package of the extra `litert` is missing.
    """
    check_backend("LiteRT")
    check_packages("litert", _NEEDED)
    wired = wiring(model)
    check_precision(wired.network, "LiteRT")
    check_size(wired.network, "A LiteRT file")
    with staged(path, KIND, overwrite, Path.is_file) as (target, artefact):
        checks = checks_on_ids(wired, inputs, tolerance)
        with tempfile.TemporaryDirectory(dir=artefact.parent) as folder:
            with fixed_shapes():
                write_network(wired.network, folder)
            artefact.write_bytes(_converted(folder, target))
        run = _runner(artefact, target)
        difference = max(check.run(f"{KIND} {target}", run) for check in checks)
        return checks[0].report(
            target, artefact, "LiteRT", "signature 'serving_default'", difference
        )


def _converted(folder: str, target: Path) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
    try:
        return converter.convert()
    except Exception as error:
        missing = sorted(set(re.findall(r"'tf\.(\w+)' op", str(error))))
        if not missing:
            raise ExportError(f"{KIND} {target} could not be made: {error}") from error
        raise ExportError(
            f"{KIND} {target} could not be made: LiteRT has no counterpart for the TensorFlow "
            f"operations {', '.join(missing)}. Replace the layer that uses them, or export a "
            "SavedModel."
        ) from error


def _runner(file: Path, target: Path) -> Run:
    """Opens the artefact as an application does."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        signature = Interpreter(model_path=str(file)).get_signature_runner("serving_default")
    except Exception as error:
        raise ExportError(f"{KIND} {target} is not valid: {error}") from error

    def run(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(signature(**values))

    return run
