"""NumPy's `.npy` and `.npz`, with views of the file where the data is stored plainly.

NumPy's own unpickling is never used. An array of objects, which some programs publish (a
dictionary of layers through `np.save`), goes through the restricted unpickler instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from math import prod
from pathlib import Path

import ml_dtypes
import numpy as np

from keras_pretrained.checkpoints.checkpoint import Checkpoint, CheckpointError, LazyArray
from keras_pretrained.checkpoints.file_bytes import FileBytes, checked_shape, typed_view
from keras_pretrained.checkpoints.pickled_numpy import NUMPY_GLOBALS
from keras_pretrained.checkpoints.pickled_plain import PLAIN_GLOBALS
from keras_pretrained.checkpoints.pickled_state import flatten
from keras_pretrained.checkpoints.restricted_pickle import load_pickle
from keras_pretrained.checkpoints.zip_container import ZipContainer

MAGIC = b"\x93NUMPY"

ARRAY_NAME = "array"
"""What the one array of a `.npy` file is called."""

# NumPy's own limit.
_MAX_HEADER = 10_000

_ITEMS = {
    "descr": re.compile(rb"""['"]descr['"]:\s?['"]([<>|=]?[A-Za-z?][0-9]{0,6})['"]"""),
    "fortran_order": re.compile(rb"""['"]fortran_order['"]:\s?(True|False)"""),
    "shape": re.compile(
        rb"""['"]shape['"]:\s?\(((?:\s?[0-9]{1,19}L?(?:,\s?[0-9]{1,19}L?)*+,?)?)\s?\)"""
    ),
}
_ANY_ITEM = b"(?:" + b"|".join(item.pattern for item in _ITEMS.values()) + b")"
_HEADER = re.compile(
    rb"\s*+\{\s?" + _ANY_ITEM + rb",\s?" + _ANY_ITEM + rb",\s?" + _ANY_ITEM + rb",?\s?\}\s*+"
)


def open_npy(path: str | os.PathLike[str]) -> Checkpoint:
    """Opens a `.npy` file: one array called `"array"`, or the tensors of a pickled dictionary.

    Raises:
        CheckpointError: the header is broken, the data is too short or too long, or a pickled
            object is not plain data.
    """
    file = FileBytes(Path(path))
    where = repr(str(path))
    shape, fortran, dtype, start = _read_header(file.buffer[:_MAX_HEADER], where)
    if dtype.hasobject:
        content, _ = load_pickle(
            file.buffer, where, offset=start, allowed={**PLAIN_GLOBALS, **NUMPY_GLOBALS}
        )
        tensors, settings = flatten(content, where)
        arrays = {
            name: LazyArray(name, value.shape, value.dtype, _constant(value))
            for name, value in tensors.items()
            if isinstance(value, np.ndarray)
        }
        return Checkpoint(file.path, "npy", arrays, settings)
    _check_size(file.size - start, shape, dtype, where)
    read = _ordered(lambda flat, kind: file.view(start, flat, kind), shape, fortran, dtype)
    native = _native(dtype)
    return Checkpoint(file.path, "npy", {ARRAY_NAME: LazyArray(ARRAY_NAME, shape, native, read)})


def open_npz(path: str | os.PathLike[str]) -> Checkpoint:
    """Opens a `.npz` archive: every member `name.npy` is the array `name`.

    Raises:
        CheckpointError: the archive or a member is damaged, or holds pickled objects.
    """
    return open_npz_zip(ZipContainer(FileBytes(Path(path))))


def open_npz_zip(archive: ZipContainer) -> Checkpoint:
    """Opens a `.npz` file whose archive was read already; see `open_npz`."""
    arrays = {}
    unreadable = {}
    for member_name, member in archive.items():
        name = member_name.removesuffix(".npy")
        if name == member_name:
            unreadable[member_name] = "not a NumPy array"
            continue
        head = archive.head(member, _MAX_HEADER)
        where = f"{str(archive.path)!r}, array {name!r}"
        shape, fortran, dtype, start = _read_header(head, where)
        if dtype.hasobject:
            raise CheckpointError(
                f"{where} holds pickled Python objects, which are not read. Save it as plain "
                "arrays, one a name."
            )
        _check_size(member.size - start, shape, dtype, where)

        def view(
            flat: tuple[int, ...],
            kind: np.dtype,
            member_name: str = member_name,
            start: int = start,
        ) -> np.ndarray:
            return archive.view(archive[member_name], start, flat, kind)

        read = _ordered(view, shape, fortran, dtype)
        arrays[name] = LazyArray(name, shape, _native(dtype), read)
    metadata = {"unreadable": unreadable} if unreadable else {}
    return Checkpoint(archive.path, "npz", arrays, metadata)


def _read_header(head: bytes, where: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order, dtype and the offset of the data.

    The header is the text of a Python dictionary. NumPy has Python's compiler parse it, which
    takes hostile nesting badly, and falls back to a tokenizer with errors of its own; a pattern
    is enough for the one form that exists.
    """
    version = head[6:8]
    width = {b"\1\0": 2, b"\2\0": 4}.get(version)
    if not head.startswith(MAGIC) or width is None:
        raise _broken(where, f"it begins with {head[:8]!r}; expected version 1.0 or 2.0")
    start = 8 + width + int.from_bytes(head[8 : 8 + width], "little")
    text = head[8 + width : start]
    if start > len(head):
        raise _broken(where, f"it should end at byte {start}, of {len(head)} that it may have")
    if not _HEADER.fullmatch(text):
        raise _broken(where, f"it is not that of an array of plain values: {text[:100]!r}")
    found = {name: _ITEMS[name].findall(text) for name in _ITEMS}
    if any(len(values) != 1 for values in found.values()):
        raise _broken(where, "it says something twice, or not at all")
    descr, order, sizes = (values[0].decode("ascii") for values in found.values())
    shape = tuple(int(size.rstrip("L")) for size in sizes.split(",") if size.strip())
    # NumPy has no name for bfloat16 and writes it as two bytes without meaning.
    is_bfloat16 = descr[-2:] == "V2"
    if not is_bfloat16 and (descr.lstrip("<>|=")[0] not in "?biufcSUO" or descr[-1:] == "0"):
        raise _broken(where, f"its dtype {descr!r} is not one of plain numbers or texts")
    try:
        dtype = np.dtype(ml_dtypes.bfloat16 if is_bfloat16 else descr)
    except (TypeError, ValueError) as error:
        raise _broken(where, f"its dtype {descr!r} is unknown") from error
    return checked_shape(shape, where), order == "True", dtype, start


def _broken(where: str, problem: str) -> CheckpointError:
    return CheckpointError(
        f"{where}: its NumPy header cannot be read: {problem}. Get the file again."
    )


def _check_size(available: int, shape: tuple[int, ...], dtype: np.dtype, where: str) -> None:
    needed = prod(shape) * dtype.itemsize
    if available != needed:
        raise CheckpointError(
            f"{where}: {dtype}{list(shape)} needs {needed} bytes, but the file holds {available}. "
            "It is incomplete or damaged: get it again."
        )


def _native(dtype: np.dtype) -> np.dtype:
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def _ordered(
    view: Callable[[tuple[int, ...], np.dtype], np.ndarray],
    shape: tuple[int, ...],
    fortran: bool,
    dtype: np.dtype,
) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        stored = shape[::-1] if fortran else shape
        if dtype.isnative:
            array = view(stored, dtype)
        else:
            raw = view((prod(shape) * dtype.itemsize,), np.dtype("u1"))
            array = typed_view(raw, stored, dtype, "the file")
        return array.T if fortran else array

    return read


def _constant(value: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: value
