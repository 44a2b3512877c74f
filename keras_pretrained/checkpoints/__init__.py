"""Checkpoint files of every kind, each as one read-only mapping of name -> lazy array."""

from __future__ import annotations

from keras_pretrained.checkpoints.checkpoint import Checkpoint, CheckpointError, LazyArray
from keras_pretrained.checkpoints.opening import open_checkpoint
from keras_pretrained.checkpoints.safetensors import write_safetensors
from keras_pretrained.checkpoints.writing import write_checkpoint

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "LazyArray",
    "open_checkpoint",
    "write_checkpoint",
    "write_safetensors",
]
