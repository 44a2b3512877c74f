"""Where the files of a network are on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from keras_pretrained.presets.preset import Preset, Source


class SourceError(ValueError):
    """The files of a network cannot be used: absent, incomplete, damaged, or out of bounds.

    The message names the preset or path, every file and address, and what to do.
    """


@dataclass(frozen=True)
class Located:
    """The files of one network, found on this machine.

    Attributes:
        name: what the user asked for.
        folder: the folder that holds the files.
        weights: what `keras_pretrained.checkpoints.open_checkpoint` takes: a file, the prefix of
            a TensorFlow checkpoint, or a folder.
        config: `config.json` or `bert_config.json`, or None.
        vocabulary: the vocabulary file, or None.
        preset: the preset that was asked for; None for a path.
        source: the preset's source whose files these are; None for a path.
        files: role -> path, for each file of `source` that is there.
    """

    name: str
    folder: Path
    weights: Path
    config: Path | None = None
    vocabulary: Path | None = None
    preset: Preset | None = field(default=None, repr=False)
    source: Source | None = field(default=None, repr=False)
    files: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @property
    def dialect(self) -> str | None:
        """Naming scheme of the tensors where the source states it; None: tell from the names."""
        return self.source.dialect if self.source else None


def checkpoint_path(file: Path) -> Path:
    """What `open_checkpoint` takes for a file that is one part of a checkpoint.

    That is the prefix of a TensorFlow checkpoint for its `.index` or `.data-...` file, the folder
    of a SavedModel for its `saved_model.pb`, and any other file itself.
    """
    if file.name == "saved_model.pb":
        return file.parent
    part = re.fullmatch(r"(.+)\.(?:index|data-\d{5}-of-\d{5})", file.name)
    return file.with_name(part[1]) if part else file


def exists_as_checkpoint(path: Path) -> bool:
    """Whether a file or folder is there, or a TensorFlow checkpoint of which it is the prefix."""
    return path.exists() or path.with_name(f"{path.name}.index").is_file()
