"""safetensors: 8 bytes of header length, a JSON header, then the raw tensors.

    uint64 n, little endian
    n bytes of JSON: {name: {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}},
        and optionally "__metadata__": {string: string}
    the data; offsets count from its first byte, cover all of it and never overlap

Our own 200 lines instead of the `safetensors` package: reading needs views of a memory map
with bfloat16 and float8 as NumPy types, which the package's NumPy interface does not give, and
writing is then 40 lines that save every user a compiled dependency. The tests compare both
directions with the package, the written files byte for byte.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_pretrained.checkpoints.checkpoint import Checkpoint, CheckpointError, LazyArray
from keras_pretrained.checkpoints.describe import describe
from keras_pretrained.checkpoints.file_bytes import FileBytes, checked_shape
from keras_pretrained.checkpoints.json_text import parse_json_object

# The limit of the reference implementation.
MAX_HEADER = 100_000_000

_METADATA = "__metadata__"

# In the order in which the reference implementation writes them: wide items come first, so
# that every tensor is aligned.
_DTYPES: dict[str, np.dtype] = {
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
    "C64": np.dtype("<c8"),
    "F32": np.dtype("<f4"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F16": np.dtype("<f2"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "F8_E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "F8_E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
if hasattr(ml_dtypes, "float8_e8m0fnu"):
    _DTYPES["F8_E8M0"] = np.dtype(ml_dtypes.float8_e8m0fnu)


def header_length(start: bytes, size: int) -> int | None:
    """The header's length if a file of `size` bytes starts as safetensors does, else None."""
    if len(start) < 9 or start[8:9] != b"{":
        return None
    (length,) = struct.unpack_from("<Q", start)
    return length if 2 <= length <= min(MAX_HEADER, size - 8) else None


def open_safetensors(path: str | os.PathLike[str]) -> Checkpoint:
    """Opens a safetensors file; arrays are views of a memory map.

    Raises:
        CheckpointError: the header breaks the format, or does not describe the data exactly.
    """
    file = FileBytes(Path(path))
    length = header_length(file.buffer[:9], file.size)
    if length is None:
        raise CheckpointError(
            f"{str(path)!r} is not a safetensors file: expected a header length of 2 to "
            f"{MAX_HEADER} bytes within the file, then '{{'. Received: {file.buffer[:16]!r}"
        )
    header = parse_json_object(file.read(8, length), f"The safetensors header of {str(path)!r}")
    metadata = _checked_metadata(header.pop(_METADATA, {}), path)
    start = 8 + length
    arrays = {}
    spans = []
    for name, entry in header.items():
        what = f"{str(path)!r}, tensor {name[:200]!r}"
        dtype, shape, begin, end = _checked_entry(entry, what)
        spans.append((begin, end, name))
        arrays[name] = LazyArray(name, shape, dtype, _reader(file, start + begin, shape, dtype))
    _check_coverage(spans, file.size - start, path)
    return Checkpoint(file.path, "safetensors", arrays, metadata)


def _reader(file: FileBytes, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    return lambda: file.view(offset, shape, dtype)


def _checked_metadata(metadata: object, path: object) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise CheckpointError(
            f"The safetensors header of {str(path)!r}: {_METADATA} must map strings to strings."
        )
    return metadata


def _checked_entry(entry: object, what: str) -> tuple[np.dtype, tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(
            f"{what}: its header entry must have exactly dtype, shape and data_offsets."
        )
    dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise CheckpointError(
            f"{what}: its dtype is {describe(entry['dtype'])}; this reader knows "
            f"{', '.join(_DTYPES)}."
        )
    shape = checked_shape(entry["shape"], what)
    offsets = entry["data_offsets"]
    if (
        not isinstance(offsets, list)
        or len(offsets) != 2
        or not all(type(offset) is int for offset in offsets)
        or not 0 <= offsets[0] <= offsets[1]
    ):
        raise CheckpointError(
            f"{what}: its data_offsets are {describe(offsets)}; expected two growing integers."
        )
    needed = prod(shape) * dtype.itemsize
    if offsets[1] - offsets[0] != needed:
        raise CheckpointError(
            f"{what}: {entry['dtype']}{list(shape)} needs {needed} bytes, but its data_offsets "
            f"{offsets} give {offsets[1] - offsets[0]}."
        )
    return dtype, shape, offsets[0], offsets[1]


def _check_coverage(spans: list[tuple[int, int, str]], size: int, path: object) -> None:
    position = 0
    for begin, end, name in sorted(spans):
        if begin != position:
            kind = "overlaps the one before" if begin < position else "leaves a hole before it"
            raise CheckpointError(
                f"{str(path)!r}: the data of tensor {name[:200]!r} {kind}: it begins at byte "
                f"{begin}, expected {position}. The file is damaged or forged."
            )
        position = end
    if position != size:
        raise CheckpointError(
            f"{str(path)!r}: its tensors cover {position} bytes of data, but the file holds "
            f"{size}. It is incomplete or damaged: get it again."
        )


def write_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Writes arrays as a safetensors file, all or nothing.

    The bytes go to a temporary file beside the target, which then replaces it in one step: a
    reader never sees half a file, and a failure leaves the old file as it was.

    Args:
        path: the file to write; its folder must exist.
        tensors: name -> array; one tensor at a time is copied if it is not C-contiguous.
        metadata: strings by name, e.g. `{"format": "pt"}`, which transformers asks for.

    Returns:
        The path.

    Raises:
        ValueError: a dtype that the format lacks, a reserved name, or metadata that is not text.
    """
    path = Path(path)
    order = {dtype: rank for rank, dtype in enumerate(_DTYPES.values())}
    codes = {dtype: code for code, dtype in _DTYPES.items()}
    arrays = {}
    for name, tensor in tensors.items():
        array = np.asarray(tensor)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if not isinstance(name, str) or name == _METADATA:
            raise ValueError(f"A tensor of a safetensors file cannot be called {name!r}.")
        if array.dtype not in codes:
            raise ValueError(
                f"Tensor {name!r} has dtype {array.dtype}, which safetensors cannot hold. "
                f"Expected one of: {', '.join(str(dtype) for dtype in codes)}."
            )
        arrays[name] = array
    header: dict[str, Any] = {}
    if metadata:
        if not all(isinstance(text, str) for item in metadata.items() for text in item):
            raise ValueError(f"safetensors metadata maps strings to strings: {dict(metadata)!r}")
        header[_METADATA] = dict(metadata)
    names = sorted(arrays, key=lambda name: (order[arrays[name].dtype], name))
    offset = 0
    for name in names:
        array = arrays[name]
        span = [offset, offset + array.nbytes]
        header[name] = {
            "dtype": codes[array.dtype],
            "shape": list(array.shape),
            "data_offsets": span,
        }
        offset = span[1]
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise ValueError(f"{len(arrays)} tensors need a header of more than {MAX_HEADER} bytes.")

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name in names:
                flat = np.ascontiguousarray(arrays[name]).reshape(-1)
                file.write(flat.view(np.uint8).data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
