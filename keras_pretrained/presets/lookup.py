"""What this machine has of a preset: placed files, installed packages, the cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from keras_pretrained.presets.fetching.placement import cached_placement
from keras_pretrained.presets.located import Located, SourceError, checkpoint_path
from keras_pretrained.presets.packages import find_in_package, installed_version, split_address
from keras_pretrained.presets.placed import Placement, files_in, find_placed
from keras_pretrained.presets.preset import Preset, PresetError, Source
from keras_pretrained.presets.registry import preset_info


def find_file(preset: Preset | str, role: str) -> Path | None:
    """One file of a preset, such as its `"vocabulary"`, or None when it is not on this machine.

    It needs no other file of the preset to be there. Nothing is fetched.

    Raises:
        PresetError: an unknown preset, or a role that none of its sources has.
        SourceError: the file has the wrong size.
    """
    record = preset_info(preset) if isinstance(preset, str) else preset
    check_role(record, role)
    for placement in placements(record):
        if role in placement.files:
            check_size(record, placement.source, role, placement.files[role])
            return placement.files[role]
    return None


def find_preset(preset: Preset | str) -> Located | None:
    """The files of a preset, if all that it needs are on this machine. Nothing is fetched.

    Raises:
        PresetError: an unknown preset.
        SourceError: a file has the wrong size.
    """
    record = preset_info(preset) if isinstance(preset, str) else preset
    placement, _ = complete_placement(record)
    return located(record, placement) if placement else None


def placements(preset: Preset) -> Iterator[Placement]:
    """What is here of each source: placed by the user, then installed, then fetched."""
    yield from find_placed(preset)
    for source in preset.sources:
        if source.kind == "pkg" and (folder := find_in_package(source.address)):
            yield files_in(source, folder)
        elif source.kind == "local":
            yield files_in(source, Path(source.address).expanduser())
    for source in preset.sources:
        if source.kind not in ("pkg", "local"):
            yield cached_placement(source)


def complete_placement(preset: Preset) -> tuple[Placement | None, list[Placement]]:
    """The first source of which all required files are here, and those that are here in part.

    Raises:
        SourceError: a file has the wrong size.
    """
    partly: list[Placement] = []
    for placement in placements(preset):
        if not placement.missing:
            for role, path in placement.files.items():
                check_size(preset, placement.source, role, path)
            return placement, partly
        if placement.files:
            partly.append(placement)
    return None, partly


def located(preset: Preset, placement: Placement) -> Located:
    """The files of a preset as what a layer loads."""
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


def check_role(preset: Preset, role: str) -> None:
    """Fails when no source of a preset has such a file."""
    roles = sorted({each for source in preset.sources for each in source.files})
    if role not in roles:
        raise PresetError(
            f"Preset {preset.name!r} has no file {role!r}. Expected one of: {', '.join(roles)}."
        )


def check_size(preset: Preset, source: Source, role: str, path: Path) -> None:
    """Fails when a file has another size than the published one."""
    expected = source.sizes.get(role)
    size = path.stat().st_size
    if expected is not None and size != expected:
        raise damaged(preset, source, path, f"{expected:,} bytes", f"{size:,} bytes")


def damaged(preset: Preset, source: Source, path: Path, expected: str, found: str) -> SourceError:
    """The error for a file that is not what it should be."""
    if source.kind == "pkg":
        from keras_pretrained.presets.advice import install_command

        package, _ = split_address(source.address)
        again = install_command(f"--force-reinstall {source.requirement}")
        remedy = f"Install it again: {again} {installed_version(package)}"
    else:
        remedy = f"Get it again from {source.address}, or remove it."
    return SourceError(
        f"{path} is not the file that preset {preset.name!r} was published with. "
        f"Expected {expected}, found {found}. {remedy}"
    )
