"""`write_checkpoint`: tensors back into a container that the original programs read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_pretrained.checkpoints.safetensors import write_safetensors
from keras_pretrained.checkpoints.torch_writer import write_torch


def write_checkpoint(
    path: str | os.PathLike[str], tensors: Mapping[str, Any], container: str
) -> Path:
    """Writes tensors as a checkpoint.

    Args:
        path: the file to write; for `"tf-bundle"` the prefix of its files.
        tensors: name -> array; for `"torch"` also what else `write_torch` takes.
        container: `"safetensors"`, `"torch"`, `"tf-bundle"` or `"hdf5"`.

    Returns:
        The path, as `open_checkpoint` takes it.

    Raises:
        ValueError: the container is unknown, or cannot hold a tensor.
    """
    if container == "safetensors":
        # transformers refuses a safetensors file that does not name its framework.
        return write_safetensors(path, tensors, {"format": "pt"})
    if container == "tf-bundle":
        from keras_pretrained.checkpoints.tf_bundle_writer import write_tf_bundle

        return write_tf_bundle(path, tensors)
    if container == "torch":
        return write_torch(path, tensors)
    if container == "hdf5":
        from keras_pretrained.checkpoints.hdf5_writer import write_hdf5

        return write_hdf5(path, tensors)
    raise ValueError(
        f"Cannot write the container {container!r}. Expected 'safetensors', 'torch', 'tf-bundle' "
        "or 'hdf5'."
    )
