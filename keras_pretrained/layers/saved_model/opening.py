"""From the files of a module to something that can be called."""

from __future__ import annotations

import re

import tensorflow as tf

from keras_pretrained.layers.saved_model.endpoint import Endpoint
from keras_pretrained.layers.saved_model.files import ModuleError, ModuleFiles
from keras_pretrained.layers.saved_model.graph import SavedGraph
from keras_pretrained.layers.saved_model.record import Choice
from keras_pretrained.layers.saved_model.safety import check_harmless
from keras_pretrained.layers.saved_model.tf1 import open_tf1
from keras_pretrained.layers.saved_model.tf2 import open_tf2


def open_module(files: ModuleFiles, choice: Choice, *, restore: bool, safe: bool) -> Endpoint:
    """Loads a module into TensorFlow.

    Args:
        files: where it is.
        choice: which function of it is wanted.
        restore: whether its variables get the values of its checkpoint.
        safe: whether it must be harmless.

    Raises:
        ModuleError: it cannot be used; the message says why.
    """
    saved = SavedGraph.read(files.folder, files.name)
    if safe:
        check_harmless(saved)
    if saved.needs_text_operations:
        _import_text(files.name)
    try:
        if saved.is_tf1:
            return open_tf1(saved, choice.signature, choice.tags, choice.arguments, restore)
        return open_tf2(saved, choice.signature, choice.arguments, restore)
    except (tf.errors.OpError, IndexError, KeyError, OSError) as error:
        raise ModuleError(
            f"TensorFlow cannot load {files.name!r}: {_reason(error)}. If a file of it is cut off "
            "or missing, copy or fetch the module again."
        ) from error


def _reason(error: Exception) -> str:
    """What TensorFlow says went wrong, without the trace of where it built the graph."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith("[[")]
    nodes = re.findall(r"\[\[\{\{node ([^}]+)\}\}\]\]", str(error))
    place = f" (in {nodes[0]})" if nodes else ""
    return f"{said[-1] if said else type(error).__name__}{place}"


def _import_text(name: str) -> None:
    try:
        import tensorflow_text  # noqa: F401
    except ImportError as error:
        raise ModuleError(
            f"{name!r} has operations of tensorflow_text, which is not installed: pip install "
            "tensorflow-text"
        ) from error
