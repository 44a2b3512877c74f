"""What a source says of a text encoder: its sizes, its weights, its vocabulary and its casing."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from keras_pretrained.checkpoints import Checkpoint, CheckpointError, open_checkpoint
from keras_pretrained.layers.text.config_format import ConfigFormat
from keras_pretrained.presets import (
    Located,
    Preset,
    PresetError,
    find_file,
    preset_of,
    read_json,
    resolve,
)
from keras_pretrained.tokenizers import ByteLevelBPETokenizer
from keras_pretrained.weights import WeightMap, WeightsError, select_map

Made = TypeVar("Made")


@dataclass(frozen=True)
class SourceReader:
    """How the published files of one family are read.

    Attributes:
        family: the family of its presets.
        config: how its configuration files name the sizes.
        weight_maps: its dialects.
        tokenizer_files: the roles of files that make the tokenizer, e.g. `("vocabulary",)`.
    """

    family: str
    config: ConfigFormat
    weight_maps: Sequence[WeightMap]
    tokenizer_files: tuple[str, ...] = ("vocabulary",)

    def architecture_from_tensors(
        self, checkpoint: Checkpoint, weight_map: WeightMap
    ) -> dict[str, Any]:
        """The sizes of a checkpoint without a configuration file.

        Raises:
            WeightsError: the tensors do not tell them.
        """
        raise no_configuration(checkpoint)

    def held_architecture(
        self, checkpoint: Checkpoint, weight_map: WeightMap, architecture: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The entries of the architecture that depend on what the checkpoint holds."""
        return {}


@dataclass(frozen=True)
class PoolerReader(SourceReader):
    """Of a family whose files may lack the original pooler."""

    def held_architecture(
        self, checkpoint: Checkpoint, weight_map: WeightMap, architecture: Mapping[str, Any]
    ) -> dict[str, Any]:
        dims = {"num_layers": int(architecture["num_layers"])}
        return {"pooler": holds(checkpoint, weight_map, "pooler/kernel", dims)}


def no_configuration(checkpoint: Checkpoint) -> WeightsError:
    """The error of a checkpoint whose sizes cannot be told."""
    return WeightsError(
        f"The checkpoint {str(checkpoint.path)!r} has no configuration file beside it, and its "
        "tensors do not tell the number of heads. Place the configuration file beside it, or load "
        "it into a known architecture with `Encoder(preset_or_folder, weights=path)`."
    )


@dataclass(frozen=True)
class Source:
    """All that a source gives: what to build, what to load into it, and the tokenizer's files.

    Attributes:
        files: role -> path, of the files that make the tokenizer.
        folder: the folder of a source that is a path.
    """

    architecture: Mapping[str, Any]
    checkpoint: Checkpoint | None = None
    weight_map: WeightMap | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    folder: Path | None = None
    lowercase: bool | None = None
    preset: str | None = None


def checked_architecture(made: type[Made], sizes: Mapping[str, Any], layer: str) -> Made:
    """The architecture with these sizes.

    Args:
        made: its class, a dataclass.
        sizes: entry -> value.
        layer: the layer's class, for the message.

    Raises:
        ValueError: entries are missing or unknown; the message lists all of them.
    """
    fields = dataclasses.fields(made)  # type: ignore[arg-type]
    names = [each.name for each in fields]
    missing = [
        each.name
        for each in fields
        if each.default is dataclasses.MISSING and each.name not in sizes
    ]
    unknown = [name for name in sizes if name not in names]
    if missing or unknown:
        raise ValueError(
            f"A {layer} needs a `source` (a preset name or a path), or an `architecture` with all "
            f"of its sizes. Expected entries: {', '.join(names)}. "
            f"Missing: {', '.join(missing) or 'none'}. Unknown: {', '.join(unknown) or 'none'}."
        )
    return made(**sizes)


def read_source(
    layer: type[Any],
    source: str | os.PathLike[str] | None,
    weights: str | os.PathLike[str] | None = "auto",
    dialect: str = "auto",
    architecture: Any = None,
) -> tuple[Source, Any]:
    """What a layer is made from, and its architecture.

    Args:
        layer: its class, with a `reader` and an `architecture_class`.
        source, weights, dialect: see `find_source`.
        architecture: an instance of `architecture_class`, or entries that replace the source's own.
    """
    given = dataclasses.is_dataclass(architecture) and not isinstance(architecture, type)
    changes = dataclasses.asdict(architecture) if given else architecture or {}
    found = find_source(layer.reader, source, weights, dialect, changes)
    return found, checked_architecture(layer.architecture_class, found.architecture, layer.__name__)


def find_source(
    reader: SourceReader,
    source: str | os.PathLike[str] | Preset | None,
    weights: str | os.PathLike[str] | None,
    dialect: str,
    changes: Mapping[str, Any],
) -> Source:
    """Finds out what a source is: a preset, a folder or file, or an architecture alone.

    Args:
        reader: of the layer's family.
        source: preset name, local path, or None for `changes` alone.
        weights: `"auto"`, None, or the path of another checkpoint.
        dialect: naming scheme of the weights, or `"auto"`.
        changes: entries that replace those of the source's own architecture.
    """
    if source is None:
        if weights not in ("auto", None):
            raise ValueError(
                "`weights` needs a `source` (a preset name or a path) that says which network they "
                f"belong to. Received: source=None, weights={str(weights)!r}"
            )
        return Source(changes)
    source = preset_of(source) or source
    if isinstance(source, Preset):
        return _from_preset(reader, source, weights, dialect, changes)
    return _from_path(reader, source, weights, dialect, changes)


def _from_preset(
    reader: SourceReader, preset: Preset, weights: Any, dialect: str, changes: Mapping[str, Any]
) -> Source:
    if preset.family != reader.family:
        raise PresetError(
            f"Preset {preset.name!r} is of family {preset.family!r}, built by {preset.builder!r}. "
            f"Expected family {reader.family!r}."
        )
    checkpoint = weight_map = None
    if weights == "auto":
        located = resolve(preset)
        weights, files = located.weights, located.files
        if dialect == "auto" and any(
            each.by_name_only and each.dialect == located.dialect for each in reader.weight_maps
        ):
            # Files of two networks: the preset says which of them it is.
            dialect = str(located.dialect)
    else:
        found = {role: find_file(preset, role) for role in reader.tokenizer_files}
        files = {role: path for role, path in found.items() if path is not None}
    architecture = dict(preset.architecture)
    if weights is not None:
        checkpoint = open_checkpoint(weights)
        weight_map = select_map(checkpoint, reader.weight_maps, {}, dialect)
        architecture |= reader.held_architecture(checkpoint, weight_map, architecture)
    return Source(
        {**architecture, **changes},
        checkpoint,
        weight_map,
        files,
        lowercase=preset.tokenizer.get("lowercase"),
        preset=preset.name,
    )


def _from_path(
    reader: SourceReader,
    source: str | os.PathLike[str],
    weights: Any,
    dialect: str,
    changes: Mapping[str, Any],
) -> Source:
    located = resolve(source, family=reader.family)
    origin = located.config or located.folder
    config = read_json(origin) if located.config else None
    if weights is None and config is not None:
        written = _dialect_of(reader, located)
        architecture = reader.config.read(config, str(origin), written)
        return Source(
            {**architecture, **changes},
            files=_files(located),
            folder=located.folder,
            lowercase=_lowercase(located.folder, None),
        )
    checkpoint = open_checkpoint(located.weights if weights in ("auto", None) else weights)
    weight_map = select_map(checkpoint, reader.weight_maps, {}, dialect)
    if config is not None:
        architecture = reader.config.read(config, str(origin), _dialect_of(reader, located))
    else:
        architecture = reader.architecture_from_tensors(checkpoint, weight_map)
    architecture |= reader.held_architecture(checkpoint, weight_map, architecture)
    found = Source(
        {**architecture, **changes},
        checkpoint,
        weight_map,
        _files(located),
        located.folder,
        _lowercase(located.folder, checkpoint),
    )
    return found if weights is not None else replace(found, checkpoint=None, weight_map=None)


def _files(located: Located) -> dict[str, Path]:
    return {} if located.vocabulary is None else {"vocabulary": located.vocabulary}


def _dialect_of(reader: SourceReader, located: Located) -> str:
    """The dialect in which a source's configuration file is written."""
    if located.config is not None and located.config.name == "config.json":
        return "hf"
    # Google wrote bert_config.json, and so did the first PyTorch conversions of its checkpoints.
    try:
        return select_map(open_checkpoint(located.weights), reader.weight_maps, {}).dialect
    except (CheckpointError, WeightsError, FileNotFoundError):
        return "google"


def holds(checkpoint: Checkpoint, weight_map: WeightMap, target: str, dims: Any) -> bool:
    """Whether the checkpoint has what some rule makes the variable `target` of."""
    return any(
        source in checkpoint
        for rule in weight_map.candidates(target, dims)
        for source in rule.sources
    )


def stored_shape(checkpoint: Checkpoint, weight_map: WeightMap, target: str) -> tuple[int, ...]:
    """The shape of the tensor that the variable `target` is made of, or () if there is none."""
    for rule in weight_map.candidates(target, {}):
        if all(name in checkpoint for name in rule.sources):
            return checkpoint[rule.sources[0]].shape
    return ()


def _lowercase(folder: Path, checkpoint: Checkpoint | None) -> bool | None:
    """What the source says of casing: TF-Hub among the variables, Hugging Face in a file."""
    if checkpoint is not None and "do_lower_case" in checkpoint:
        return bool(checkpoint["do_lower_case"].read())
    options = folder / "tokenizer_config.json"
    stored = read_json(options).get("do_lower_case") if options.is_file() else None
    return stored if isinstance(stored, bool) else None


def byte_level_tokenizer(
    found: Source, special: str, max_length: int
) -> ByteLevelBPETokenizer | None:
    """The tokenizer that the files of a source make, or None without them."""
    folder = found.folder
    if folder is None and found.files:
        folder = next(iter(found.files.values())).parent
    if folder is None:
        return None
    try:
        return ByteLevelBPETokenizer.from_folder(folder, special=special, max_length=max_length)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(
            f"{error} A layer takes a tokenizer of another kind in place of its source's: "
            f"`tokenizer=ByteLevelBPETokenizer.from_folder({str(folder)!r}, special=...)`."
        ) from error
