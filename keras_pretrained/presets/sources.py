"""From a preset name, a path or an address to files on this machine."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from keras_pretrained.presets.advice import install_command
from keras_pretrained.presets.local import inspect_path
from keras_pretrained.presets.located import Located, SourceError, exists_as_checkpoint
from keras_pretrained.presets.lookup import check_size, find_file, find_preset, located
from keras_pretrained.presets.packages import find_in_package, split_address
from keras_pretrained.presets.preset import Preset, PresetError, Source
from keras_pretrained.presets.registry import preset_info, registry, unknown_preset

_SCHEMES = ("https://", "http://", "hf://", "kaggle://")


def resolve(source: str | os.PathLike[str] | Preset, *, family: str | None = None) -> Located:
    """The files of a network, whatever way it is given.

    A plain name is first a preset: `"bert-base"` means the preset even where a folder of that name
    lies in the working directory. A path is what has a separator, starts with `.` or `~`, is
    absolute, or is a `Path`: `"./bert-base"` means the folder. A plain name that is no preset may
    be a file or folder of the working directory. What has `://` is an address.

    The files of a preset are looked for where the user placed them (`KERAS_PRETRAINED_HOME`, then
    the preset's name), in an installed package, and in the cache. If they are nowhere, they are
    fetched, unless `KERAS_PRETRAINED_OFFLINE=1` is set.

    Args:
        source: a preset, its name or alias; a local folder, file or checkpoint prefix; an address:
            `https://...` (a file, an archive or a TF-Hub handle), `hf://organisation/name`,
            `kaggle://owner/model/framework/variation/version`; or `pkg://package/path`, a path
            inside an installed package, which is not imported.
        family: when given, a preset must be of this family.

    Raises:
        PresetError: an unknown name, or a preset of another family.
        SourceError: files are absent, incomplete, or not the published ones, and cannot be fetched.
            For a preset the message names every file, every address, why it failed, and the place
            where to put the files by hand.
    """
    return _resolved(source, family)


def fetch(
    source: str | os.PathLike[str] | Preset, *, progress: bool = True, force: bool = False
) -> Located:
    """Makes sure that the files of a network are on this machine.

    It does what `resolve` does, for those who want to do it beforehand: on a machine that has a
    network, in an image that is being built, with a progress bar.

    Args:
        source: as for `resolve`.
        progress: whether to show progress on standard error, if that is a terminal.
        force: fetch again what is in the cache, and leave it as it is if that fails. Files that
            the user placed are neither read nor touched, and `resolve` still prefers them.

    Raises:
        PresetError: an unknown name.
        SourceError: the files cannot be had; the message has every address and the reason.

    Example:

    ```python
    from keras_pretrained import presets

    presets.fetch("bert-base").folder
    ```
    """
    return _resolved(source, None, progress, force)


def locate_file(preset: Preset | str, role: str) -> Path:
    """One file of a preset, like `find_file`; if it is not here, it alone is fetched if possible.

    Raises:
        SourceError: it cannot be had; the message says where to get it and where to put it.
    """
    path = find_file(preset, role)
    if path is not None:
        return path
    from keras_pretrained.presets.remote import fetch_preset

    record = preset_info(preset) if isinstance(preset, str) else preset
    placement = fetch_preset(record, role)
    check_size(record, placement.source, role, placement.files[role])
    return placement.files[role]


def _resolved(
    source: str | os.PathLike[str] | Preset,
    family: str | None,
    show: bool = True,
    force: bool = False,
) -> Located:
    if isinstance(source, Preset):
        return _preset_files(_of_family(source, family), show, force)
    if not isinstance(source, str):
        return inspect_path(Path(source), str(source))
    if "://" in source:
        return _address_files(source, family, show, force)
    if _is_path(source):
        path = Path(source).expanduser()
        if not path.exists() and (known := _published_at(f"hf://{source}")):
            raise SourceError(
                f"No file or folder {source!r}. The Hugging Face repository of that name is the "
                f"preset {known[0].name!r}."
            )
        return inspect_path(path, source)
    preset = registry().find(source)
    if preset is not None:
        return _preset_files(_of_family(preset, family), show, force)
    if not source or not exists_as_checkpoint(Path(source)):
        raise PresetError(
            f"{unknown_preset(source)} {Path.cwd()} has no file or folder of that name either."
        )
    return inspect_path(Path(source), source)


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


def _preset_files(preset: Preset, show: bool, force: bool) -> Located:
    here = find_preset(preset)
    if here and not force:
        return here
    from keras_pretrained.presets.remote import can_fetch, fetch_preset

    # What was installed or placed cannot be fetched anew.
    if here and not any(map(can_fetch, preset.sources)):
        return here
    return located(preset, fetch_preset(preset, show=show, force=force))


def _address_files(address: str, family: str | None, show: bool, force: bool) -> Located:
    if address.startswith("pkg://"):
        return _package_files(address)
    if not address.startswith(_SCHEMES):
        raise SourceError(
            f"{address} cannot be opened. Addresses that work: https://..., "
            "hf://organisation/name, kaggle://owner/model/framework/variation/version, "
            "pkg://package/path."
        )
    if known := _published_at(address):
        preset, source = known
        # What is known of this address is known of this source alone.
        here = replace(_of_family(preset, family), sources=(source,))
        return replace(_preset_files(here, show, force), name=address, preset=preset)
    from keras_pretrained.presets.remote import fetch_address

    source = Source(address, dialect="", files=MappingProxyType({}))
    return inspect_path(fetch_address(source, show=show, force=force), address)


def _package_files(address: str) -> Located:
    found = find_in_package(address)
    if found is None:
        package, _ = split_address(address)
        raise SourceError(
            f"{address}: the package {package!r} is not installed: "
            f"{install_command(_requirement(package))}"
        )
    return inspect_path(found, address)


def _published_at(address: str) -> tuple[Preset, Source] | None:
    """The preset and its source that have this address."""
    return next(
        (
            (preset, source)
            for preset in registry().presets.values()
            for source in preset.sources
            if source.address == address
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
