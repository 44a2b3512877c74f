"""A training on one page, as HTML or as a picture."""

from keras_pretrained.finetune.reporting.writing import report

__all__ = ["report"]
