"""Fetching what is not on this machine: the sources of a preset in order, or one address."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing
from pathlib import Path

from keras_pretrained.presets.advice import missing_files, offline
from keras_pretrained.presets.fetching.entries import entry_of
from keras_pretrained.presets.fetching.failure import DiskFailure, FetchFailure
from keras_pretrained.presets.fetching.fetcher import can_fetch, fetch_source
from keras_pretrained.presets.fetching.hub import find_in_hub_cache
from keras_pretrained.presets.fetching.network import Network, Patience
from keras_pretrained.presets.fetching.placement import cached_placement
from keras_pretrained.presets.located import SourceError
from keras_pretrained.presets.lookup import complete_placement
from keras_pretrained.presets.placed import Placement
from keras_pretrained.presets.preset import Preset, Source

_SINGLE_FILES = ("file", "hf", "kaggle")
PATIENCE = Patience()


def fetch_preset(
    preset: Preset, role: str | None = None, *, show: bool = True, force: bool = False
) -> Placement:
    """The files of a preset from the first source that gives them.

    Args:
        preset: what is wanted.
        role: the one file that is wanted, or None for all.
        show: whether to show progress on a terminal.
        force: fetch again what is in the cache.

    Raises:
        SourceError: one message with every source, why it failed, and what can be done by hand.
    """
    roles = None if role is None else (role,)
    sources = [
        source for source in preset.sources if can_fetch(source) and role in (None, *source.files)
    ]
    if role is not None:
        # First from where it can be had alone; an archive comes as a whole.
        sources.sort(key=lambda source: source.kind not in _SINGLE_FILES)
    if not force and (placement := _in_hub_cache(sources, roles)):
        return placement
    failures: list[tuple[str, str]] = []
    if not offline():
        with closing(Network(PATIENCE)) as network:
            for source in sources:
                try:
                    fetch_source(network, source, roles, show=show, force=force)
                    return cached_placement(source)
                except FetchFailure as failure:
                    failures.append((source.address, str(failure)))
                    if isinstance(failure, DiskFailure):
                        break
    partly = [] if role else complete_placement(preset)[1]
    raise SourceError(missing_files(preset, partly, role, failures))


def fetch_address(source: Source, *, show: bool = True, force: bool = False) -> Path:
    """What an address gives: the folder of its files, or its only file.

    Args:
        source: without files, which stands for all that there are.
        show: whether to show progress on a terminal.
        force: fetch again what is in the cache.

    Raises:
        SourceError: the message has the reason.
    """
    entry = entry_of(source.address)
    if force or not entry.is_whole():
        otherwise = (
            "If you have the files, unpack archives and give the path of their folder in place of "
            "the address."
        )
        if offline():
            raise SourceError(
                f"{source.address} is not on this machine, and KERAS_PRETRAINED_OFFLINE=1 is set: "
                f"nothing is downloaded. {otherwise}"
            )
        try:
            with closing(Network(PATIENCE)) as network:
                fetch_source(network, source, show=show, force=force)
        except FetchFailure as failure:
            raise SourceError(
                f"{source.address} cannot be fetched: {failure}. {otherwise}"
            ) from None
    files = list(entry.intact().values())
    return files[0].path if source.kind == "file" and len(files) == 1 else entry.content


def _in_hub_cache(sources: Iterable[Source], roles: Collection[str] | None) -> Placement | None:
    """What other programs have downloaded from the Hugging Face Hub, where it lies."""
    for source in sources:
        if source.kind != "hf":
            continue
        files = find_in_hub_cache(source, roles)
        wanted = source.required if roles is None else roles
        if set(wanted) <= set(files):
            folder = next(iter(files.values())).parent
            missing = tuple(name for role, name in source.required.items() if role not in files)
            return Placement(source, folder, files, missing)
    return None
