"""ONNX files, from the TensorFlow backend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_pretrained.export.check import Run, checks_on_ids
from keras_pretrained.export.onnx_graph import convert, name_axes
from keras_pretrained.export.report import ExportError, ExportReport
from keras_pretrained.export.requirements import (
    check_backend,
    check_packages,
    check_precision,
    check_size,
)
from keras_pretrained.export.staging import staged
from keras_pretrained.export.texts import wiring

KIND = "ONNX file"
OPSETS = range(11, 19)
_NEEDED = ("onnx", "onnxruntime", "tf2onnx")


def to_onnx(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    opset: int = 17,
    inputs: Any = None,
    tolerance: float | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Writes an ONNX file that ONNX Runtime runs.

    Inputs and outputs have the names of the Keras inputs and output layers. Free axes are named
    `batch` and `length` (`height`, `width` for images).

    Args:
        model: a functional or sequential model in float32 on the TensorFlow backend. ONNX Runtime
            has no tokenizer: of a model on strings the file takes the ids (`token_ids`,
            `segment_ids`, `padding_mask`) that `layer.tokenizer` makes of them.
        path: the file to write.
        opset: version of the ONNX operators, 11 to 18.
        inputs: one batch as the model takes it, to compare on. By default two made-up batches of
            different size with valid ids, both segments and padding.
        tolerance: allowed difference of each number, absolute plus relative; by default 1e-4. A
            model that predicts on a GPU in TensorFloat-32 differs by about 1e-3.
        overwrite: whether a file at `path` may be replaced.

    Returns:
        Signature, size and largest difference; `print` shows them.

    Raises:
        ExportError: the export failed, or the artefact differs from the model. Nothing is left
            behind then.
        ImportError: the packages of the extra `onnx` are missing.
    """
    check_backend("ONNX")
    check_packages("onnx", _NEEDED)
    _check_opset(opset)
    wired = wiring(model)
    interface = wired.network
    check_precision(interface, "ONNX")
    check_size(interface, "An ONNX file")
    with staged(path, KIND, overwrite, Path.is_file) as (target, artefact):
        checks = checks_on_ids(wired, inputs, tolerance)
        try:
            proto = convert(interface, opset)
            name_axes(proto, interface, checks[0].input_axes(), checks[0].output_axes())
            artefact.write_bytes(proto.SerializeToString())
        except OSError:
            raise
        except Exception as error:
            raise ExportError(f"{KIND} {target} could not be made: {error}") from error
        run = _runner(artefact, target)
        difference = max(check.run(f"{KIND} {target}", run) for check in checks)
        return checks[0].report(target, artefact, "ONNX", f"opset {opset}", difference)


def _check_opset(opset: int) -> None:
    if opset not in OPSETS:
        raise ExportError(
            f"`opset` must lie between {OPSETS[0]} and {OPSETS[-1]}. Received: {opset!r}"
        )


def _runner(file: Path, target: Path) -> Run:
    """Opens the artefact as a server does."""
    import onnx
    import onnxruntime

    try:
        onnx.checker.check_model(str(file), full_check=True)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ExportError(f"{KIND} {target} is not valid: {error}") from error
    names = [output.name for output in session.get_outputs()]

    def run(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, dict(values)), strict=True))

    return run
