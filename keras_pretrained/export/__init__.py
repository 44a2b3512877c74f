"""Trained models as artefacts that run without this library, each checked against the model.

An artefact is written beside its target, opened with the program that will serve it, and
compared with the model's own predictions. Only then does it move into place.
"""

from keras_pretrained.export.litert import to_litert
from keras_pretrained.export.onnx import to_onnx
from keras_pretrained.export.report import ExportError, ExportReport, TensorInfo
from keras_pretrained.export.saved_model import to_saved_model

__all__ = ["ExportError", "ExportReport", "TensorInfo", "to_litert", "to_onnx", "to_saved_model"]
