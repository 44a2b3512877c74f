"""What a format needs of the backend, of installed packages and of the model."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import keras
import numpy as np

from keras_pretrained.export.interface import Interface
from keras_pretrained.export.report import ExportError

_LARGEST = 2_000_000_000


def check_backend(format: str) -> None:
    """Raises ExportError on every backend but TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"{format} export works on the TensorFlow backend. Received: the Keras backend "
            f"{keras.backend.backend()}. Save the model as `.keras`, load it in a process with "
            "KERAS_BACKEND=tensorflow, and export it there; or use to_saved_model."
        )


def check_packages(extra: str, names: Sequence[str]) -> None:
    """Raises ImportError when packages of an extra are missing."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"This export needs {', '.join(missing)}. Install them with "
            f"`pip install 'keras-pretrained[{extra}]'`."
        )


def check_precision(interface: Interface, format: str) -> None:
    """Raises ExportError when a layer computes in another precision than float32."""
    other = {
        layer.name: layer.dtype_policy.name
        for layer in interface.layers()
        if layer.dtype_policy.name != "float32"
    }
    if other:
        shown = ", ".join(f"{name} ({policy})" for name, policy in list(other.items())[:3])
        raise ExportError(
            f"{format} export needs the dtype policy float32. Received: {shown}"
            f"{f' and {len(other) - 3} more' if len(other) > 3 else ''}. Build the same model with "
            'dtype="float32" and copy the weights with '
            "`float32_model.set_weights(model.get_weights())`."
        )


def check_size(interface: Interface, file: str) -> None:
    """Raises ExportError when the weights are more than one such file can hold."""
    size = sum(
        int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize
        for variable in interface.model.variables
    )
    if size > _LARGEST:
        raise ExportError(
            f"{file} holds at most 2 GB. Model {interface.model.name!r} has "
            f"{size / 1e9:.1f} GB of weights. Use to_saved_model."
        )
