"""Folders as they are published: which file of one holds the weights, and shards put together.

Published folders often hold the same weights several times. The order of preference:

    1. safetensors: `model.safetensors`, `model.safetensors.index.json` with its shards, or the
       only other `*.safetensors` (names, shapes and types are plain, reading is instant)
    2. PyTorch: `pytorch_model.bin`, `pytorch_model.bin.index.json` with its shards, or the only
       other `*.bin`, `*.pt`, `*.pth`, `*.th`
    3. TensorFlow checkpoints: the one that the `checkpoint` file names, or the only `*.index`,
       or the only `*.ckpt` (V1)
    4. TensorFlow SavedModels: `saved_model.pb`
    5. Keras and HDF5: `tf_model.h5`, `model.weights.h5`, or the only `*.keras`, `*.h5`, `*.hdf5`
    6. NumPy: the only `*.npz`
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from keras_pretrained.checkpoints.checkpoint import Checkpoint, CheckpointError, LazyArray
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.json_text import parse_json_object

_MAX_INDEX = 100_000_000
_MAX_SHARDS = 10_000
_MAX_ENTRIES = 100_000

_SHARD_INDEX = re.compile(r".+\.(safetensors|bin|pt|pth)\.index\.json")
_SHARD = re.compile(r".+-\d{5}-of-\d{5}\.\w+")

_KINDS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("model.safetensors", "model.safetensors.index.json"), (".safetensors",)),
    (("pytorch_model.bin", "pytorch_model.bin.index.json"), (".bin", ".pt", ".pth", ".th")),
    ((), (".index", ".ckpt")),
    (("saved_model.pb",), ()),
    (("tf_model.h5", "model.weights.h5"), (".keras", ".h5", ".hdf5")),
    ((), (".npz",)),
)
# What trainers leave beside the weights under the same extensions.
_NOT_WEIGHTS = re.compile(r"(training_args|optimizer|scheduler|rng_state.*|scaler)\.(bin|pt|pth)")
_POINTER = re.compile(r'^model_checkpoint_path:\s*"([^"\\]+)"\s*$', re.MULTILINE)


def find_in_folder(folder: Path) -> Path:
    """The one checkpoint in a folder, by the order of preference above.

    Raises:
        CheckpointError: there is none, or several of the preferred kind.
    """
    try:
        names = []
        for number, entry in enumerate(folder.iterdir()):
            if number >= _MAX_ENTRIES:
                raise CheckpointError(
                    f"{str(folder)!r} holds more than {_MAX_ENTRIES} files. Give the file itself."
                )
            if entry.is_file():
                names.append(entry.name)
    except OSError as error:
        raise CheckpointError(f"The folder {str(folder)!r} cannot be read: {error}") from error
    names.sort()
    for published, extensions in _KINDS:
        found = [name for name in published if name in names]
        if not found:
            found = [name for name in names if name.endswith(extensions) and _is_weights(name)]
        if extensions == (".index", ".ckpt"):
            found = _checkpoint_prefixes(folder, names, found)
        if len(found) > 1:
            raise CheckpointError(
                f"{str(folder)!r} holds several checkpoints: {', '.join(found[:20])}. Give "
                "the path of the one that you want."
            )
        if found:
            return folder / found[0]
    raise CheckpointError(
        f"{str(folder)!r} holds no checkpoint that is known by its name. Expected one of: "
        "model.safetensors, pytorch_model.bin, their sharded forms (*.index.json), a TensorFlow "
        "checkpoint (*.index with *.data-*), saved_model.pb, tf_model.h5, model.weights.h5, "
        f"*.keras, *.npz. Found: {', '.join(names[:20]) or 'no file'}. Give the file itself if it "
        "has another name."
    )


def _is_weights(name: str) -> bool:
    return not name.startswith(".") and not _NOT_WEIGHTS.fullmatch(name)


def _checkpoint_prefixes(folder: Path, names: list[str], found: list[str]) -> list[str]:
    """TensorFlow's checkpoints; where a folder keeps several, its own note names the current."""
    if len(found) > 1 and "checkpoint" in names:
        note = FileBytes(folder / "checkpoint").buffer[:10_000].decode("utf-8", "replace")
        pointer = _POINTER.search(note)
        # The note may hold a path of the machine that trained: only the file name counts.
        current = pointer[1].replace("\\", "/").rsplit("/", 1)[-1] if pointer else None
        return [
            name for name in found if current and name in (f"{current}.index", current)
        ] or found
    return found


def is_shard_index(path: Path) -> bool:
    """Whether a file name is that of an index of shards."""
    return _SHARD_INDEX.fullmatch(path.name) is not None


def open_shards(path: Path, open_file: Callable[[Path], Checkpoint]) -> Checkpoint:
    """Opens the shards that a Hugging Face index lists, as one checkpoint.

    Args:
        path: `model.safetensors.index.json` or `pytorch_model.bin.index.json`.
        open_file: opens one shard.

    Raises:
        CheckpointError: the index is broken, names a file outside of its folder, or does not
            list exactly the tensors that the shards hold.
    """
    where = repr(str(path))
    file = FileBytes(path)
    if file.size > _MAX_INDEX:
        raise CheckpointError(f"{where} has {file.size} bytes; an index has at most {_MAX_INDEX}.")
    index = parse_json_object(file.read(0, file.size), where)
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{where} is no index of shards: it has no object 'weight_map'.")
    shards: dict[str, Checkpoint] = {}
    arrays: dict[str, LazyArray] = {}
    for name, shard in weight_map.items():
        if not _is_plain_name(shard) or is_shard_index(Path(shard)):
            raise CheckpointError(
                f"{where} says that tensor {name[:200]!r} is in {str(shard)[:200]!r}; expected the "
                "name of a file with tensors in the same folder."
            )
        if shard not in shards:
            if len(shards) >= _MAX_SHARDS:
                raise CheckpointError(f"{where} lists more than {_MAX_SHARDS} files.")
            if not (path.parent / shard).is_file():
                raise CheckpointError(
                    f"{where} lists {shard!r}, which is missing. Place it in the same folder."
                )
            shards[shard] = open_file(path.parent / shard)
        if name not in shards[shard]:
            raise CheckpointError(
                f"{where} says that tensor {name[:200]!r} is in {shard!r}, but it is not. The "
                "files are of different releases: get all of them again."
            )
        arrays[name] = shards[shard][name]
    unlisted = [name for found in shards.values() for name in found if name not in arrays]
    if unlisted:
        raise CheckpointError(
            f"The shards of {where} hold tensors that it does not list: "
            f"{', '.join(unlisted[:10])}. The files are of different releases: get them again."
        )
    formats = {found.format for found in shards.values()}
    metadata = index.get("metadata")
    return Checkpoint(
        path,
        "+".join(sorted(formats)),
        arrays,
        {**(metadata if isinstance(metadata, dict) else {}), "shards": sorted(shards)},
    )


def _is_plain_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and 0 < len(name) < 256
        and name not in (".", "..")
        and not any(part in name for part in ("/", "\\", "\0", ":"))
    )
