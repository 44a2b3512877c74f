"""The folder where a user places the files of a preset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keras_pretrained.presets.local import subfolders
from keras_pretrained.presets.located import SourceError
from keras_pretrained.presets.member_names import find_name, is_pattern
from keras_pretrained.presets.preset import Preset, Source


@dataclass(frozen=True)
class Placement:
    """The files of one source that are in a folder, and the names of those that are not."""

    source: Source
    folder: Path
    files: Mapping[str, Path]
    missing: tuple[str, ...]


def home() -> Path:
    """The folder of all placed files.

    `KERAS_PRETRAINED_HOME`, else `keras_pretrained` in `XDG_CACHE_HOME`, else in `~/.cache`; never
    the system's folder for temporary files, which others may write to and which gets emptied.
    """
    chosen = os.environ.get("KERAS_PRETRAINED_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored.
    if os.path.isabs(cache):
        return Path(cache) / "keras_pretrained"
    try:
        return Path.home() / ".cache" / "keras_pretrained"
    except RuntimeError as error:
        raise SourceError(
            "This user has no home folder. Set KERAS_PRETRAINED_HOME to a folder for the files of "
            "presets."
        ) from error


def preset_folder(preset: Preset) -> Path:
    """Where the files of one preset are to be placed."""
    return home() / preset.name


def find_placed(preset: Preset) -> list[Placement]:
    """What is there of each source that has any file in the preset's folder, best source first.

    Archives may be unpacked there with or without their own top folder.

    Raises:
        SourceError: two sub-folders hold the same source.
    """
    folder = preset_folder(preset)
    if not folder.is_dir():
        return []
    roots = [folder, *subfolders(folder)]
    found = (_best_placement(preset, source, roots) for source in preset.sources)
    return [placement for placement in found if placement.files]


def files_in(source: Source, folder: Path) -> Placement:
    """What is there of a source in exactly this folder."""
    files = {role: path for role, name in source.files.items() if (path := _file_in(folder, name))}
    missing = tuple(name for role, name in source.required.items() if role not in files)
    return Placement(source, folder, files, missing)


def _file_in(folder: Path, name: str) -> Path | None:
    """The file of a name, or the only one that a pattern stands for."""
    found: str | None = name
    if is_pattern(name):
        there = folder.iterdir() if folder.is_dir() else ()
        found = find_name(name, (entry.name for entry in there))
    return folder / found if found and (folder / found).is_file() else None


def _best_placement(preset: Preset, source: Source, roots: list[Path]) -> Placement:
    placements = [files_in(source, root) for root in roots]
    complete = [placement for placement in placements if not placement.missing]
    if complete:
        in_sub_folders = [each for each in complete if each.folder != roots[0]]
        if complete[0].folder != roots[0] and len(in_sub_folders) > 1:
            names = ", ".join(each.folder.name for each in in_sub_folders)
            raise SourceError(
                f"The files of preset {preset.name!r} are in several sub-folders of {roots[0]}: "
                f"{names}. Keep one of them."
            )
        return complete[0]
    return max(placements, key=lambda placement: len(placement.files))
