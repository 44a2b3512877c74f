"""ONNX files, from the TensorFlow backend."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_pretrained.export.check import Check
from keras_pretrained.export.interface import Interface
from keras_pretrained.export.onnx_graph import convert, name_axes
from keras_pretrained.export.report import ExportError, ExportReport
from keras_pretrained.export.staging import staged

KIND = "ONNX file"
OPSETS = range(11, 19)
_NEEDED = ("onnx", "onnxruntime", "tf2onnx")
_LARGEST = 2_000_000_000


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
        model: a functional or sequential model on token ids, images or other numbers, in float32,
            on the TensorFlow backend.
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
    _check_environment(opset)
    interface = Interface(model)
    _check_model(interface)
    with staged(path, KIND, overwrite, Path.is_file) as (target, artefact):
        check = Check.prepare(interface, inputs, tolerance)
        try:
            proto = convert(interface, opset)
            name_axes(proto, interface, check.input_axes(), check.output_axes())
            artefact.write_bytes(proto.SerializeToString())
        except OSError:
            raise
        except Exception as error:
            raise ExportError(f"{KIND} {target} could not be made: {error}") from error
        difference = _verify(check, artefact, target)
        return check.report(target, artefact, "ONNX", f"opset {opset}", difference)


def _check_environment(opset: int) -> None:
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            "ONNX export works on the TensorFlow backend. Received: the Keras backend "
            f"{keras.backend.backend()}. Save the model as `.keras`, load it in a process with "
            "KERAS_BACKEND=tensorflow, and export it there; or use to_saved_model."
        )
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"ONNX export needs {', '.join(missing)}. Install them with "
            "`pip install 'keras-pretrained[onnx]'`."
        )
    if opset not in OPSETS:
        raise ExportError(
            f"`opset` must lie between {OPSETS[0]} and {OPSETS[-1]}. Received: {opset!r}"
        )


def _check_model(interface: Interface) -> None:
    other = {
        layer.name: layer.dtype_policy.name
        for layer in interface.layers()
        if layer.dtype_policy.name != "float32"
    }
    if other:
        shown = ", ".join(f"{name} ({policy})" for name, policy in list(other.items())[:3])
        raise ExportError(
            f"ONNX export needs the dtype policy float32. Received: {shown}"
            f"{f' and {len(other) - 3} more' if len(other) > 3 else ''}. Build the same model with "
            'dtype="float32" and copy the weights with '
            "`float32_model.set_weights(model.get_weights())`."
        )
    size = sum(
        int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize
        for variable in interface.model.variables
    )
    if size > _LARGEST:
        raise ExportError(
            f"An ONNX file holds at most 2 GB. Model {interface.model.name!r} has "
            f"{size / 1e9:.1f} GB of weights. Use to_saved_model."
        )


def _verify(check: Check, file: Path, target: Path) -> float:
    """Opens the artefact as a server does and runs it."""
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

    return check.run(f"{KIND} {target}", run)
