"""From a preset name, a path or an address to files on this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keras_pretrained.presets.advice import install_command, missing_files
from keras_pretrained.presets.local import inspect_path
from keras_pretrained.presets.located import (
    Located,
    SourceError,
    checkpoint_path,
    exists_as_checkpoint,
)
from keras_pretrained.presets.packages import find_in_package, installed_version, split_address
from keras_pretrained.presets.placed import Placement, files_in, find_placed
from keras_pretrained.presets.preset import Preset, PresetError, Source
from keras_pretrained.presets.registry import preset_info, registry, unknown_preset


def resolve(source: str | os.PathLike[str] | Preset, *, family: str | None = None) -> Located:
    """The files of a network, whatever way it is given.

    A plain name is first a preset: `"bert-base"` means the preset even where a folder of that name
    lies in the working directory. A path is what has a separator, starts with `.` or `~`, is
    absolute, or is a `Path`: `"./bert-base"` means the folder. A plain name that is no preset may
    be a file or folder of the working directory. What has `://` is an address.

    The files of a preset are looked for where the user placed them (`KERAS_PRETRAINED_HOME`, then
    the preset's name), then in an installed package. Nothing is downloaded.

    Args:
        source: a preset, its name or alias; a local folder, file or checkpoint prefix; or
            `pkg://package/path`, a path inside an installed package, which is not imported.
        family: when given, a preset must be of this family.

    Raises:
        PresetError: an unknown name, or a preset of another family.
        SourceError: files are absent, incomplete, or of the wrong size. For a preset the message
            names every file, every address and the place where to put them.
    """
    if isinstance(source, Preset):
        return _located_preset(_of_family(source, family))
    if not isinstance(source, str):
        return inspect_path(Path(source), str(source))
    if "://" in source:
        return _located_address(source)
    if _is_path(source):
        path = Path(source).expanduser()
        if not path.exists() and (preset := _published_at(f"hf://{source}")):
            raise SourceError(
                f"No file or folder {source!r}. The Hugging Face repository of that name is the "
                f"preset {preset.name!r}."
            )
        return inspect_path(path, source)
    preset = registry().find(source)
    if preset is not None:
        return _located_preset(_of_family(preset, family))
    if not source or not exists_as_checkpoint(Path(source)):
        raise PresetError(
            f"{unknown_preset(source)} {Path.cwd()} has no file or folder of that name either."
        )
    return inspect_path(Path(source), source)


def find_file(preset: Preset | str, role: str) -> Path | None:
    """One file of a preset, such as its `"vocabulary"`, or None when it is not on this machine.

    It needs no other file of the preset to be there.

    Raises:
        PresetError: an unknown preset, or a role that none of its sources has.
        SourceError: the file has the wrong size.
    """
    record = preset_info(preset) if isinstance(preset, str) else preset
    roles = sorted({each for source in record.sources for each in source.files})
    if role not in roles:
        raise PresetError(
            f"Preset {record.name!r} has no file {role!r}. Expected one of: {', '.join(roles)}."
        )
    for placement in _placements(record):
        if role in placement.files:
            _check_size(record, placement.source, role, placement.files[role])
            return placement.files[role]
    return None


def locate_file(preset: Preset | str, role: str) -> Path:
    """One file of a preset, like `find_file`.

    Raises:
        SourceError: it is not there; the message says where to get it and where to put it.
    """
    path = find_file(preset, role)
    if path is None:
        record = preset_info(preset) if isinstance(preset, str) else preset
        raise SourceError(missing_files(record, (), role))
    return path


@dataclass(frozen=True)
class FileCheck:
    """The outcome for one file: its digest, and the published one where there is one."""

    role: str
    path: Path
    sha256: str
    published: str | None


def verify_files(preset: Preset | str) -> list[FileCheck]:
    """Reads every file of a preset on this machine and compares it with the published SHA-256.

    Returns:
        One entry a file. `published` is None where no hash is known: such a file was only read.

    Raises:
        SourceError: the files are not there, or one of them differs.
    """
    record = preset_info(preset) if isinstance(preset, str) else preset
    placement = _complete(record)
    checks = []
    for role, path in placement.files.items():
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        published = placement.source.sha256.get(role)
        if published not in (None, digest):
            raise _damaged(record, placement.source, path, f"SHA-256 {published}", digest)
        checks.append(FileCheck(role, path, digest, published))
    return checks


def _is_path(text: str) -> bool:
    separators = {"/", os.sep, os.altsep} - {None}
    return text.startswith((".", "~")) or any(each in text for each in separators if each)


def _of_family(preset: Preset, family: str | None) -> Preset:
    if family is not None and preset.family != family:
        raise PresetError(
            f"Preset {preset.name!r} is of family {preset.family!r}, built by {preset.builder!r}. "
            f"Expected family {family!r}: keras_pretrained.list_presets(family={family!r})."
        )
    return preset


def _placements(preset: Preset) -> Iterator[Placement]:
    """What this machine has of each source: placed files first, then installed packages."""
    yield from find_placed(preset)
    for source in preset.sources:
        if source.kind == "pkg" and (folder := find_in_package(source.address)):
            yield files_in(source, folder)


def _complete(preset: Preset) -> Placement:
    """The first source of which this machine has all required files, sizes checked."""
    partly = []
    for placement in _placements(preset):
        if not placement.missing:
            for role, path in placement.files.items():
                _check_size(preset, placement.source, role, path)
            return placement
        partly.append(placement)
    raise SourceError(missing_files(preset, partly))


def _located_preset(preset: Preset) -> Located:
    placement = _complete(preset)
    return Located(
        name=preset.name,
        folder=placement.folder,
        weights=checkpoint_path(placement.files["weights"]),
        config=placement.files.get("config"),
        vocabulary=placement.files.get("vocabulary"),
        preset=preset,
        source=placement.source,
        files=placement.files,
    )


def _located_address(address: str) -> Located:
    if not address.startswith("pkg://"):
        preset = _published_at(address)
        if preset is not None:
            raise SourceError(
                f"{address} is a source of preset {preset.name!r}. "
                f"{missing_files(preset, find_placed(preset))}"
            )
        raise SourceError(
            f"{address} cannot be opened: keras_pretrained downloads nothing (as with "
            "KERAS_PRETRAINED_OFFLINE=1). Download its files into a folder, unpack archives, and "
            "give the path of the folder. Addresses that work: pkg://package/path."
        )
    found = find_in_package(address)
    if found is None:
        package, _ = split_address(address)
        raise SourceError(
            f"{address}: the package {package!r} is not installed: "
            f"{install_command(_requirement(package))}"
        )
    return inspect_path(found, address)


def _published_at(address: str) -> Preset | None:
    return next(
        (
            preset
            for preset in registry().presets.values()
            if any(source.address == address for source in preset.sources)
        ),
        None,
    )


def _requirement(package: str) -> str:
    """What to install for a package: with its version where a preset names it."""
    for preset in registry().presets.values():
        for source in preset.sources:
            if source.kind == "pkg" and split_address(source.address)[0] == package:
                return source.requirement or package
    return package


def _check_size(preset: Preset, source: Source, role: str, path: Path) -> None:
    expected = source.sizes.get(role)
    size = path.stat().st_size
    if expected is not None and size != expected:
        raise _damaged(preset, source, path, f"{expected:,} bytes", f"{size:,} bytes")


def _damaged(preset: Preset, source: Source, path: Path, expected: str, found: str) -> SourceError:
    if source.kind == "pkg":
        package, _ = split_address(source.address)
        again = install_command(f"--force-reinstall {source.requirement}")
        remedy = f"Install it again: {again} {installed_version(package)}"
    else:
        remedy = f"Get it again from {source.address}, or remove it."
    return SourceError(
        f"{path} is not the file that preset {preset.name!r} was published with. "
        f"Expected {expected}, found {found}. {remedy}"
    )
