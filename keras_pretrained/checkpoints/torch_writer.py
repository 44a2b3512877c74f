"""Arrays -> a torch file, without PyTorch: the zip archive that `torch_files` describes.

The pickle in it is written opcode by opcode, because `pickle` would have to import the classes that
it names. It holds text, numbers, dictionaries, lists, tensors and `argparse.Namespace`s.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from keras_pretrained.checkpoints.pickled_plain import Record
from keras_pretrained.checkpoints.torch_tensors import STORAGES

_ROOT = "archive"
_ALIGNMENT = 64
_ZIP64 = 1 << 31
_RECORDS = ("argparse.Namespace",)


def write_torch(path: str | os.PathLike[str], content: Mapping[str, Any]) -> Path:
    """Writes a dictionary as `torch.save` would, all or nothing.

    Args:
        path: the file to write; its folder must exist.
        content: name -> array, or a dictionary, list, text, number, None, or a `Record` of
            `argparse.Namespace`; at any depth.

    Returns:
        The path.

    Raises:
        ValueError: something that cannot be written; the message names it.
    """
    path = Path(path)
    pickled = _Pickled()
    data = pickled.write(content)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                _add(archive, "data.pkl", data)
                _add(archive, "byteorder", b"little")
                for key, array in enumerate(pickled.storages):
                    _add(archive, f"data/{key}", np.ascontiguousarray(array).reshape(-1))
                _add(archive, "version", b"3\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def _add(archive: zipfile.ZipFile, name: str, data: bytes | np.ndarray) -> None:
    """Adds a member whose bytes begin at a multiple of 64, as torch's own do."""
    raw = data.view(np.uint8).data if isinstance(data, np.ndarray) else data
    size = raw.nbytes if isinstance(raw, memoryview) else len(raw)
    # The same content gives the same bytes: no times of this machine.
    info = zipfile.ZipInfo(f"{_ROOT}/{name}", (1980, 1, 1, 0, 0, 0))
    large = size >= _ZIP64
    header = 30 + len(info.filename) + (20 if large else 0)
    stream: Any = archive.fp
    padding = -(stream.tell() + header + 4) % _ALIGNMENT
    info.extra = b"FB" + struct.pack("<H", padding) + bytes(padding)
    info.file_size = size
    with archive.open(info, "w", force_zip64=large) as member:
        member.write(raw)


class _Pickled:
    """Pickle protocol 2 of one dictionary; arrays become storages beside it."""

    def __init__(self) -> None:
        self.storages: list[np.ndarray] = []
        self._kinds = {dtype: name for name, dtype in reversed(STORAGES.items())}

    def write(self, content: Mapping[str, Any]) -> bytes:
        return b"\x80\x02" + b"".join(self._value(content, "")) + b"."

    def _value(self, value: Any, where: str) -> Iterator[bytes]:
        if isinstance(value, np.ndarray):
            yield from self._tensor(value, where)
        elif isinstance(value, Mapping):
            yield b"}("
            for key, part in value.items():
                if not isinstance(key, str):
                    raise ValueError(f"A torch file's keys are text here. Received: {key!r}")
                yield _text(key)
                yield from self._value(part, f"{where}.{key}" if where else key)
            yield b"u"
        elif isinstance(value, Record) and value.name in _RECORDS and not value.arguments:
            yield _name(value.name) + b")\x81"
            yield from self._value(value.state, where)
            yield b"b"
        elif isinstance(value, list):
            yield b"]("
            for index, part in enumerate(value):
                yield from self._value(part, f"{where}.{index}")
            yield b"e"
        else:
            yield _scalar(value, where)

    def _tensor(self, array: np.ndarray, where: str) -> Iterator[bytes]:
        dtype = array.dtype.newbyteorder("<")
        kind = self._kinds.get(dtype)
        if kind is None:
            raise ValueError(
                f"Tensor {where!r} has dtype {array.dtype}, which a torch file cannot hold. "
                f"Expected one of: {', '.join(map(str, self._kinds))}."
            )
        key = str(len(self.storages))
        self.storages.append(array.astype(dtype, copy=False))
        strides = tuple(prod(array.shape[axis + 1 :]) for axis in range(array.ndim))
        yield _name("torch._utils._rebuild_tensor_v2") + b"("
        # The persistent id of the storage.
        yield b"(" + _text("storage") + _name(f"torch.{kind}") + _text(key) + _text("cpu")
        yield _integer(array.size) + b"tQ"
        yield _integer(0) + _integers(array.shape) + _integers(strides)
        yield b"\x89" + _name("collections.OrderedDict") + b")R" + b"tR"


def _name(dotted: str) -> bytes:
    module, _, name = dotted.rpartition(".")
    return f"c{module}\n{name}\n".encode("ascii")


def _text(text: str) -> bytes:
    raw = text.encode("utf-8")
    return b"X" + struct.pack("<I", len(raw)) + raw


def _integer(number: int) -> bytes:
    if 0 <= number < 2**31:
        return b"J" + struct.pack("<i", number)
    raw = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def _integers(numbers: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_integer, numbers)) + b"t"


def _scalar(value: Any, where: str) -> bytes:
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return _text(value)
    raise ValueError(
        f"{where!r} is of type {type(value).__name__}. A torch file holds arrays, dictionaries, "
        "lists, text, numbers and None here."
    )
