"""TensorFlow SavedModel folders: the variables, under the names that their authors gave them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_pretrained.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_pretrained.checkpoints.damage import blame
from keras_pretrained.checkpoints.file_bytes import FileBytes
from keras_pretrained.checkpoints.object_graph import (
    OBJECT_GRAPH_KEY,
    VALUE_SUFFIX,
    exposed_names,
    read_saved_names,
)
from keras_pretrained.checkpoints.tf_bundle import lazy_array, read_graph_names
from keras_pretrained.checkpoints.tf_bundle_index import BundleIndex, index_path, read_index

_PREFIX = "variables"
_OPTIMIZER = "optimizer/"
_MAX_ASSETS = 10_000


def open_saved_model(folder: Path) -> Checkpoint:
    """Open the variables of a SavedModel, of TF2 or TF1, a TF-Hub module included.

    Names. A TF1 SavedModel keeps the names of its bundle. In a TF2 one each variable gets its
    author's name (`transformer/layer_0/output/kernel`, without `:0`), except:

    - The state of optimizers and metrics stays under its object path (`optimizer/_variables/2`,
      `keras_api/metrics/0/total`), so that it can be left out by pattern. The optimizer's own
      list of the model's weights (`optimizer/_trainable_variables`, Keras 3) does get names:
      sometimes it is the only place where they are.
    - A name that several variables of different content bear is used for none of them: each
      stays under its object path.
    - A name that one content bears several times (Keras 3 exports list every weight twice)
      goes to the first of them, model before optimizer, then by path; the other copies stay
      under their object path and are listed in `metadata["aliases"]`.
    - A name that is also the object path of another variable is not used.

    Args:
        folder: holds `saved_model.pb` and, if there are variables, `variables/`.

    Returns:
        A `Checkpoint` of format `"saved-model"`. Metadata: `object_based`, `object_paths` (of
        a TF2 SavedModel: exposed name -> object path), `aliases` (copy -> exposed name),
        `assets` (relative file names, e.g. `"assets/vocab.txt"`), `shards`, `unreadable`.

    Raises:
        CheckpointError: no SavedModel is there, or its variables are missing or broken.
    """
    folder = Path(folder)
    prefix = folder / "variables" / _PREFIX
    if not index_path(prefix).exists():
        return _without_variables(folder)
    index = read_index(prefix)
    full_names = read_graph_names(index)
    object_based = full_names is not None or any(
        key.endswith(VALUE_SUFFIX) for key in index.entries
    )
    paths = exposed_names(key for key in index.entries if key != OBJECT_GRAPH_KEY)
    if object_based and not full_names:
        full_names = _read_saved_model_names(folder, paths)
    names, aliases = _choose_names(index, paths, full_names or {})
    arrays = {name: lazy_array(index, key, name) for key, name in names.items()}
    metadata: dict[str, Any] = {
        "object_based": object_based,
        "aliases": aliases,
        "assets": _asset_names(folder),
        "shards": index.shard_count,
        "unreadable": index.unreadable,
    }
    if object_based:
        metadata["object_paths"] = {name: paths[key] for key, name in names.items()}
    return Checkpoint(folder, "saved-model", arrays, metadata)


def _without_variables(folder: Path) -> Checkpoint:
    """A graph of constants only is a SavedModel too; a lost index is a broken one."""
    if not any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise CheckpointError(
            f"{str(folder)!r} is no SavedModel: expected 'saved_model.pb' or "
            "'variables/variables.index' in it."
        )
    if any((folder / "variables").glob("*.data-*")):
        raise CheckpointError(
            f"{str(folder)!r} has data files but no 'variables/variables.index'. "
            "The folder is incomplete: get it again."
        )
    metadata = {"object_based": False, "aliases": {}, "assets": _asset_names(folder)}
    return Checkpoint(folder, "saved-model", {}, {**metadata, "shards": 0, "unreadable": {}})


def _read_saved_model_names(folder: Path, keys: Mapping[str, str]) -> dict[str, str]:
    path = folder / "saved_model.pb"
    if not path.exists():
        return {}
    with blame(str(path)):
        return read_saved_names(memoryview(FileBytes(path).buffer), keys)


def _choose_names(
    index: BundleIndex, paths: Mapping[str, str], full_names: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Checkpoint key -> exposed name, and the object paths of copies -> exposed name."""
    bearers: dict[str, list[str]] = defaultdict(list)
    taken = set(paths.values())
    for key, path in paths.items():
        name = full_names.get(key)
        if name and not _is_training_state(path) and (name == path or name not in taken):
            bearers[name].append(key)
    names, aliases = dict(paths), {}
    for name, keys in bearers.items():
        first, *others = sorted(keys, key=lambda key: _naming_order(paths[key]))
        contents = {_content(index, key) for key in keys}
        if len(contents) > 1:
            continue
        names[first] = name
        aliases.update({paths[other]: name for other in others})
    return names, aliases


def _is_training_state(path: str) -> bool:
    if path.startswith(_OPTIMIZER + "_trainable_variables/"):
        return False
    return path.startswith((_OPTIMIZER, "keras_api/metrics/")) or ".OPTIMIZER_SLOT" in path


def _naming_order(path: str) -> tuple[Any, ...]:
    parts = [
        (int(part), "") if part.isdecimal() and len(part) < 20 else (-1, part)
        for part in path.split("/")
    ]
    return path.startswith(_OPTIMIZER), path.startswith("_"), parts


def _content(index: BundleIndex, key: str) -> tuple[Any, ...]:
    """Equal for two tensors of equal bytes, as far as the stored checksums tell."""
    entry = index.entries[key]
    unique = key if entry.slices else None
    return entry.type_number, entry.shape, entry.size, entry.checksum, unique


def _asset_names(folder: Path) -> list[str]:
    found = []
    for number, path in enumerate((folder / "assets").rglob("*")):
        if number >= _MAX_ASSETS:
            raise CheckpointError(
                f"{str(folder / 'assets')!r} holds more than {_MAX_ASSETS} files; no SavedModel "
                "does. Is it a link to another folder?"
            )
        if path.is_file():
            found.append(path.relative_to(folder).as_posix())
    return sorted(found)
