"""PyTorch files (`.pt`, `.pth`, `.bin`, `.th`, ULMFiT's `.h5`) without PyTorch.

Since torch 1.6 a zip archive, its members uncompressed and aligned:

    {root}/data.pkl      the object; storages are persistent ids
    {root}/data/{key}    the raw bytes of a storage
    {root}/byteorder     "little" or "big"; absent in older files, which are little

Before, one stream: pickles of a magic number, the protocol 1001, facts about the machine, the
object and the list of storage keys; then for each key an int64 element count and raw bytes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keras_pretrained.checkpoints.checkpoint import Checkpoint, CheckpointError, LazyArray
from keras_pretrained.checkpoints.describe import describe
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.pickled_state import flatten
from keras_pretrained.checkpoints.restricted_pickle import load_pickle
from keras_pretrained.checkpoints.torch_tensors import (
    TORCH_GLOBALS,
    Storage,
    Tensor,
    storage_from_id,
    tensor_values,
)
from keras_pretrained.checkpoints.zip_container import ZipContainer

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MAX_PICKLE = 1 << 30

LEGACY_MAGIC = b"\x8a\x0a" + _MAGIC.to_bytes(10, "little") + b"."
"""What the old stream starts with, behind two bytes of pickle protocol."""

_SAVE_AGAIN = (
    "Load it with a torch that reads it, and save it again: "
    "`torch.save(model.state_dict(), 'model.pth')`, or best as safetensors."
)


def is_legacy_torch(start: bytes) -> bool:
    """Whether a file that begins so is torch's old stream."""
    return start[:1] == b"\x80" and start[2 : 2 + len(LEGACY_MAGIC)] == LEGACY_MAGIC


def is_torch_zip(archive: ZipContainer) -> bool:
    """Whether an archive has the members of a torch file."""
    return any(name.split("/")[-1] in ("data.pkl", "constants.pkl") for name in archive)


def open_torch(path: str | os.PathLike[str], *, stubs: Iterable[str] = ()) -> Checkpoint:
    """Opens a torch file; tensors are named by their dotted path, settings are metadata.

    `{"state_dict": {"fc.weight": ...}, "epoch": 3}` gives the tensor `state_dict.fc.weight` and
    `metadata["epoch"]`; a plain state dict gives its own names. Arrays are views of a memory
    map. Tensors that share a storage share its bytes.

    Args:
        path: the file.
        stubs: dotted names of classes to keep as inert records; see `load_pickle`.

    Raises:
        CheckpointError: the file is damaged or hostile, holds a model with its code, or is of
            the tar kind that torch wrote before 0.1.10.
    """
    file = FileBytes(Path(path))
    start = file.buffer[:512]
    if start[:2] == b"PK":
        return open_torch_zip(ZipContainer(file), stubs=stubs)
    if is_legacy_torch(start):
        return _open_stream(file, stubs)
    if start[257:262] == b"ustar" or start[:8] in (b"storages", b"tensors\0"):
        raise CheckpointError(
            f"{str(path)!r} is a tar archive. If it is a torch file (before torch 0.1.10), this "
            f"reader does not know its layout. {_SAVE_AGAIN} If it is a packed folder, unpack it "
            "and give the folder."
        )
    raise CheckpointError(
        f"{str(path)!r} is not a torch file: expected a zip archive or torch's magic number, "
        f"received {start[:16]!r}."
    )


def open_torch_zip(archive: ZipContainer, *, stubs: Iterable[str] = ()) -> Checkpoint:
    """Opens a torch file whose archive was read already; see `open_torch`."""
    where = repr(str(archive.path))
    names = [name for name in archive if name.split("/")[-1] == "data.pkl" and name.count("/") < 2]
    root = names[0].removesuffix("data.pkl") if len(names) == 1 else ""
    if any(name.split("/")[-1] == "constants.pkl" for name in archive):
        raise CheckpointError(f"{where} is a TorchScript program, not weights alone. {_SAVE_AGAIN}")
    if len(names) != 1:
        raise CheckpointError(
            f"{where} is not a torch file: expected one data.pkl in the archive, found "
            f"{len(names)}."
        )
    order = archive.read(f"{root}byteorder", 16) if f"{root}byteorder" in archive else b"little"
    if order not in (b"little", b"big"):
        raise CheckpointError(f"{where} names the byte order {order!r}; expected little or big.")

    def load_storage(identifier: Any) -> Storage:
        storage, _ = storage_from_id(identifier)
        member = archive.get(f"{root}data/{storage.key}")
        if member is None or member.size != storage.nbytes:
            found = "is missing" if member is None else f"has {member.size} bytes"
            raise CheckpointError(
                f"storage {storage.key!r} needs {storage.nbytes} bytes ({storage.size} of "
                f"{storage.dtype}), but its member of the archive {found}"
            )
        if member.is_bomb:
            raise CheckpointError(
                f"storage {storage.key!r} has {member.size} bytes in {member.stored_size} stored "
                "ones, as no weights do"
            )
        return storage

    content, _ = load_pickle(
        archive.read(names[0], _MAX_PICKLE),
        where,
        allowed=TORCH_GLOBALS,
        stubs=stubs,
        persistent_load=load_storage,
    )

    def read(tensor: Tensor) -> np.ndarray:
        member = archive[f"{root}data/{tensor.storage.key}"]
        offset = tensor.offset * tensor.dtype.itemsize
        length = tensor.span * tensor.dtype.itemsize
        if order == b"big":
            raw = archive.view(member, offset, (length,), np.dtype("u1"))
            return _from_big_endian(raw, tensor.dtype)
        return archive.view(member, offset, (tensor.span,), tensor.dtype)

    return _checkpoint(archive.path, "torch-zip", content, read)


def _open_stream(file: FileBytes, stubs: Iterable[str]) -> Checkpoint:
    where = repr(str(file.path))
    limit = min(file.size, _MAX_PICKLE)
    storages: dict[str, Storage] = {}

    def load_storage(identifier: Any) -> Storage:
        storage, rest = storage_from_id(identifier)
        known = storages.setdefault(storage.key, storage)
        if (known.dtype, known.size) != (storage.dtype, storage.size):
            raise CheckpointError(f"storage {storage.key!r} is described in two ways")
        view = rest[0] if rest else None
        return storage if view is None else _storage_view(storage, view)

    def load(position: int) -> tuple[Any, int]:
        return load_pickle(
            file.buffer,
            where,
            offset=position,
            end=limit,
            allowed=TORCH_GLOBALS,
            stubs=stubs,
            persistent_load=load_storage,
        )

    magic, position = load(0)
    protocol, position = load(position)
    if magic != _MAGIC or type(protocol) is not int or protocol != _PROTOCOL:
        raise CheckpointError(
            f"{where} is a torch stream of protocol {describe(protocol)}; expected {_PROTOCOL}."
        )
    machine, position = load(position)
    content, position = load(position)
    keys, position = load(position)
    little = not isinstance(machine, dict) or machine.get("little_endian", True) is not False
    offsets = _storage_offsets(file, keys, storages, position, "<q" if little else ">q")

    def read(tensor: Tensor) -> np.ndarray:
        size = tensor.dtype.itemsize
        start = tensor.storage.start * tensor.storage.dtype.itemsize + tensor.offset * size
        offset = offsets[tensor.storage.key] + start
        if not little:
            raw = file.view(offset, (tensor.span * size,), np.dtype("u1"))
            return _from_big_endian(raw, tensor.dtype)
        return file.view(offset, (tensor.span,), tensor.dtype)

    return _checkpoint(file.path, "torch-legacy", content, read)


def _storage_view(storage: Storage, view: Any) -> Storage:
    numbers = view[1:] if type(view) is tuple else ()
    if len(numbers) != 2 or not all(type(n) is int and 0 <= n < 2**59 for n in numbers):
        raise ValueError(f"a view of a storage is described as {describe(view)}")
    start, size = numbers
    if start + size > storage.size:
        raise CheckpointError(
            f"a view of {size} elements from {start} leaves its storage {storage.key!r} of "
            f"{storage.size}"
        )
    return Storage(storage.key, storage.dtype, size, start)


def _storage_offsets(
    file: FileBytes, keys: Any, storages: dict[str, Storage], position: int, code: str
) -> dict[str, int]:
    where = repr(str(file.path))
    listed = keys if type(keys) is list else []
    names = [str(key) if type(key) in (str, int) else "" for key in listed]
    if len(set(names)) != len(names) or set(names) != set(storages):
        raise CheckpointError(
            f"{where} is damaged: its tensors use {len(storages)} storages, and its list of stored "
            f"ones is another: {describe(keys)}."
        )
    offsets = {}
    for name in names:
        storage = storages[name]
        (count,) = struct.unpack(code, file.read(position, 8))
        position += 8
        if count != storage.size or storage.nbytes > file.size - position:
            raise CheckpointError(
                f"{where} is incomplete or damaged: storage {name!r} should hold {storage.size} "
                f"elements of {storage.dtype}; the file announces {count} and has "
                f"{file.size - position} bytes left. Get it again."
            )
        offsets[name] = position
        position += storage.nbytes
    return offsets


def _from_big_endian(raw: np.ndarray, dtype: np.dtype) -> np.ndarray:
    unit = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
    return raw.view(f"u{unit}").byteswap().view(dtype)


def _checkpoint(
    path: Path, format: str, content: Any, read: Callable[[Tensor], np.ndarray]
) -> Checkpoint:
    found, settings = flatten(content, repr(str(path)))
    arrays = {}
    for name, value in found.items():
        if isinstance(value, Tensor):
            reader = _tensor_reader(value, read)
            arrays[name] = LazyArray(name, value.shape, value.dtype, reader)
        else:
            arrays[name] = LazyArray(name, value.shape, value.dtype, _constant(value))
    return Checkpoint(path, format, arrays, settings)


def _tensor_reader(
    tensor: Tensor, read: Callable[[Tensor], np.ndarray]
) -> Callable[[], np.ndarray]:
    return lambda: tensor_values(tensor, read(tensor))


def _constant(value: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: value
