"""`open_checkpoint`: which reader a path needs, told by its bytes and not by its extension."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from keras_pretrained.checkpoints import numpy_files
from keras_pretrained.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.folders import find_in_folder, is_shard_index, open_shards
from keras_pretrained.checkpoints.hdf5 import is_hdf5, open_hdf5
from keras_pretrained.checkpoints.keras_files import is_keras_zip, open_keras_zip
from keras_pretrained.checkpoints.numpy_files import open_npy, open_npz_zip
from keras_pretrained.checkpoints.safetensors import header_length, open_safetensors
from keras_pretrained.checkpoints.saved_model import open_saved_model
from keras_pretrained.checkpoints.table import MAGIC as TABLE_MAGIC
from keras_pretrained.checkpoints.tf_bundle import open_tf_bundle
from keras_pretrained.checkpoints.tf_v1 import open_tf_v1
from keras_pretrained.checkpoints.torch_files import (
    is_legacy_torch,
    is_torch_zip,
    open_torch,
    open_torch_zip,
)
from keras_pretrained.checkpoints.zip_container import ZipContainer

_DATA_SHARD = re.compile(r"(.+)\.data-\d{5}-of-\d{5}")

_KNOWN = (
    "safetensors, PyTorch (zip and old stream), TensorFlow checkpoints (V2 and V1), SavedModel "
    "folders, HDF5 and Keras .h5, .keras, .weights.h5, NumPy .npy and .npz"
)


def open_checkpoint(path: str | os.PathLike[str], *, stubs: Iterable[str] = ()) -> Checkpoint:
    """Opens a checkpoint of any known kind, told by its content.

    Nothing in the file is run, and no tensor is read yet. Example:

        checkpoint = open_checkpoint("bert_model.ckpt")
        checkpoint["bert/embeddings/word_embeddings"].read()

    Args:
        path: a file; a folder as it was published (for the order of preference, see
            `checkpoints/folders.py`); the prefix of a TensorFlow checkpoint, its `.index` or one
            of its data files; or an index of shards (`*.index.json`).
        stubs: for PyTorch files: dotted names of classes whose objects may be kept as inert
            records, e.g. `"flair.data.Dictionary"`. They are never imported.

    Returns:
        A read-only mapping of name -> lazy array with shape and dtype.

    Raises:
        FileNotFoundError: nothing is at the path; the message lists similar names.
        CheckpointError: the file is damaged, hostile or of an unknown kind, or the folder holds
            no or several checkpoints.
    """
    path = Path(path)
    stubs = tuple(stubs)
    try:
        if path.is_dir():
            return _open_file(find_in_folder(path), stubs)
        if path.is_file():
            return _open_file(path, stubs)
        if path.with_name(path.name + ".index").is_file():
            return open_tf_bundle(path)
        if any(path.parent.glob(f"{_literal(path.name)}-?????-of-?????")):
            return open_tf_v1(path)
        if path.exists():
            raise CheckpointError(
                f"{str(path)!r} is neither a file nor a folder, but a pipe, a socket or a device. "
                "Give the path of a checkpoint."
            )
    except (OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from error
    raise FileNotFoundError(_missing(path))


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _missing(path: Path) -> str:
    message = f"There is no checkpoint at {str(path)!r}."
    folder = path.parent
    if not folder.is_dir():
        return f"{message} The folder {str(folder)!r} does not exist either."
    names = sorted(entry.name for entry in folder.iterdir())
    near = difflib.get_close_matches(path.name, names, n=5, cutoff=0.5) or names[:10]
    return f"{message} In its folder there is: {', '.join(near) or 'nothing'}."


def _open_file(path: Path, stubs: tuple[str, ...]) -> Checkpoint:
    if is_shard_index(path):
        return open_shards(path, lambda shard: _open_file(shard, stubs))
    if path.name == "saved_model.pb":
        return open_saved_model(path.parent)
    data = _DATA_SHARD.fullmatch(path.name)
    if data and path.with_name(f"{data[1]}.index").is_file():
        return open_tf_bundle(path.with_name(data[1]))

    file = FileBytes(path)
    start = file.buffer[:512]
    if header_length(start, file.size) is not None:
        return open_safetensors(path)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _open_zip(ZipContainer(file), stubs)
    if is_hdf5(file):
        return open_hdf5(path)
    if start.startswith(numpy_files.MAGIC):
        return open_npy(path)
    if is_legacy_torch(start):
        return open_torch(path, stubs=stubs)
    if file.buffer[-len(TABLE_MAGIC) :] == TABLE_MAGIC:
        is_bundle = path.suffix == ".index" or any(
            path.parent.glob(f"{_literal(path.stem)}.data-?????-of-?????")
        )
        return open_tf_bundle(path) if is_bundle else open_tf_v1(path)
    if start[257:262] == b"ustar":
        return open_torch(path, stubs=stubs)
    raise CheckpointError(_unknown(path, file.size, start))


def _open_zip(archive: ZipContainer, stubs: tuple[str, ...]) -> Checkpoint:
    if is_torch_zip(archive):
        return open_torch_zip(archive, stubs=stubs)
    if is_keras_zip(archive):
        return open_keras_zip(archive)
    if any(name.endswith(".npy") for name in archive):
        return open_npz_zip(archive)
    raise CheckpointError(
        f"{str(archive.path)!r} is a zip archive, but not of PyTorch (data.pkl), Keras "
        "(config.json, model.weights.h5) or NumPy (*.npy). If it is a packed folder, unpack it "
        f"and give the folder. It holds: {', '.join(sorted(archive)[:10]) or 'nothing'}."
    )


def _unknown(path: Path, size: int, start: bytes) -> str:
    message = f"{str(path)!r} is not a checkpoint of a known kind: {_KNOWN}."
    head = start.lstrip().lower()
    if not size:
        return f"{message} It is empty: get it again."
    if start.startswith(b"version https://git-lfs"):
        return (
            f"{message} It is a Git LFS pointer, a note in place of the real file: run "
            "`git lfs pull`, or download the file itself."
        )
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return (
            f"{message} It is a web page, probably an error message that was saved under the "
            "name of the file: download it again."
        )
    if start[:2] == b"\x1f\x8b" or start[:3] == b"BZh" or start[:6] == b"\xfd7zXZ\0":
        return (
            f"{message} It is a compressed archive: unpack it, and give the folder or file in it."
        )
    if start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5":
        return (
            f"{message} It is a pickle that torch did not write. Pickles are programs and are not "
            "run; save the arrays in it with `numpy.savez`."
        )
    return f"{message} It has {size} bytes and begins with {start[:16]!r}."
