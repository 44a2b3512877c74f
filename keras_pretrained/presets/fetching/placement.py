"""What the cache has of a source."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from keras_pretrained.presets.digests import is_published
from keras_pretrained.presets.fetching.entries import Intact, entry_of
from keras_pretrained.presets.member_names import find_name
from keras_pretrained.presets.placed import Placement
from keras_pretrained.presets.preset import Source


def cached_placement(source: Source) -> Placement:
    """The files of a source that were fetched and are still as they were."""
    entry = entry_of(source.address)
    intact = entry.intact()
    root = root_of(source, intact)
    found = files_below(root, source, intact)
    files = {
        role: intact[name].path
        for role, name in found.items()
        if _is_published(source, role, intact[name])
    }
    missing = tuple(name for role, name in source.required.items() if role not in files)
    return Placement(source, entry.content / root, MappingProxyType(files), missing)


def _is_published(source: Source, role: str, kept: Intact) -> bool:
    """Whether a file is the published one, also by what became known after it was fetched."""
    same_size = source.sizes.get(role, kept.size) == kept.size
    return same_size and is_published(source.sha256.get(role), kept.sha256)


def root_of(source: Source, names: Iterable[str]) -> str:
    """The folder that holds a source's files: `""`, or an archive's own one with a slash."""
    there = set(names)
    roots = sorted({"", *(name.partition("/")[0] + "/" for name in there if "/" in name)})
    return max(roots, key=lambda root: len(files_below(root, source, there)))


def files_below(root: str, source: Source, names: Iterable[str]) -> dict[str, str]:
    """Role -> name, for those of a source's files that are among the names."""
    inside = [name.removeprefix(root) for name in names if name.startswith(root)]
    found = {role: find_name(name, inside) for role, name in source.files.items()}
    return {role: root + name for role, name in found.items() if name is not None}
