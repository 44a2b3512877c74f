"""Every preset that the package knows: listing, looking up, and importing its builder.

Nothing here imports a backend; a builder is imported by `load_builder` alone.
"""

from __future__ import annotations

import fnmatch
import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from keras_pretrained.presets.families import FAMILIES
from keras_pretrained.presets.preset import Preset, PresetError
from keras_pretrained.presets.table import parse_table


@dataclass(frozen=True)
class Registry:
    """Presets by name, and the name that each alias stands for."""

    presets: Mapping[str, Preset]
    aliases: Mapping[str, str]

    def find(self, name: str) -> Preset | None:
        return self.presets.get(self.aliases.get(name, name))


def build_registry(tables: Iterable[tuple[str, str]]) -> Registry:
    """The registry of several tables.

    Args:
        tables: pairs of a file name, for error messages, and its TOML text.

    Raises:
        PresetError: a wrong table, or a name or alias that stands for two things.
    """
    presets: dict[str, Preset] = {}
    aliases: dict[str, str] = {}
    owners: dict[str, str] = {}
    for origin, text in tables:
        for preset in parse_table(text, origin):
            presets[preset.name] = preset
            for name in (preset.name, *preset.aliases):
                here = f"preset {preset.name!r} of {origin}"
                if name in owners:
                    raise PresetError(f"The name {name!r} of {here} already names {owners[name]}.")
                owners[name] = here
            aliases.update(dict.fromkeys(preset.aliases, preset.name))
    ordered = {name: presets[name] for name in sorted(presets, key=_natural)}
    return Registry(MappingProxyType(ordered), MappingProxyType(aliases))


@cache
def registry() -> Registry:
    """The presets that come with the package, read once."""
    folder = files("keras_pretrained.presets") / "data"
    tables = sorted(
        (entry.name, entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )
    return build_registry(tables)


def list_presets(pattern: str = "*", family: str | None = None) -> list[str]:
    """The names of all presets that match, in natural order (`l2` before `l10`).

    Args:
        pattern: a name or an alias, with the wildcards `*`, `?` and `[...]`. What matches by an
            alias is listed by its name.
        family: one of the families, e.g. `"bert"`.

    Returns:
        Names that `preset_info` and the layers of the family take; empty when nothing matches.

    Raises:
        PresetError: an unknown family.

    Example:

    ```python
    list_presets("bert-base*")        # ['bert-base', 'bert-base-cased', ...]
    list_presets("*uncased*")         # ['bert-base', 'bert-large', ...], found by their aliases
    ```
    """
    if family is not None and family not in FAMILIES:
        raise PresetError(f"Unknown family {family!r}. Expected one of: {', '.join(FAMILIES)}.")
    return [
        name
        for name, preset in registry().presets.items()
        if (family is None or preset.family == family)
        and any(fnmatch.fnmatchcase(each, pattern) for each in (name, *preset.aliases))
    ]


def preset_info(name: str) -> Preset:
    """The record of one preset; printing it gives a readable summary.

    Args:
        name: its name or one of its aliases.

    Raises:
        PresetError: an unknown name; the message has the closest ones.
    """
    if not isinstance(name, str):
        raise TypeError(f"A preset name is a string. Received: {name!r}")
    preset = registry().find(name)
    if preset is None:
        raise PresetError(unknown_preset(name))
    return preset


def preset_of(source: Any) -> Preset | None:
    """The preset that a source is or names; None for a path, an address, or anything else."""
    if isinstance(source, Preset):
        return source
    return registry().find(source) if isinstance(source, str) else None


def image_presets(
    builder: str, *, size: int | None = None, **architecture: Any
) -> dict[str, Preset]:
    """The published weights that a builder of image networks offers.

    Args:
        builder: its dotted path, as in `Preset.builder`.
        size: height and width of the input. Where one network was published for several sizes,
            such as MobileNet, the one for this size is taken, or else that for the largest.
        architecture: arguments of the builder; only networks that have these values count.

    Returns:
        The value of `weights=` -> preset; empty where nothing was published.

    Raises:
        PresetError: the arguments leave several different networks for one value of `weights=`.

    Example:

    ```python
    builder = "keras_pretrained.applications.vision.mobilenet_v1:MobileNetV1"
    presets = image_presets(builder, alpha=0.25)
    presets["imagenet-slim"].name     # 'mobilenet-v1-0.25-224'
    ```
    """
    offered: dict[str, list[Preset]] = {}
    for preset in registry().presets.values():
        given = {key: preset.architecture.get(key) for key in architecture}
        if preset.image and preset.builder == builder and given == architecture:
            offered.setdefault(preset.image.weights, []).append(preset)
    return {weights: _one_size(builder, size, found) for weights, found in offered.items()}


def _one_size(builder: str, size: int | None, presets: list[Preset]) -> Preset:
    if any(preset.architecture != presets[0].architecture for preset in presets):
        raise PresetError(
            f"{builder} has several networks: {', '.join(preset.name for preset in presets)}. "
            f"Say which with {' and '.join(presets[0].architecture)}."
        )
    by_size = {preset.image.size: preset for preset in presets if preset.image}
    return by_size[size if size in by_size else max(by_size)]


def unknown_preset(name: str) -> str:
    """What to tell a user who asked for a preset that does not exist."""
    import difflib

    known = registry()
    close = difflib.get_close_matches(name.lower(), [*known.presets, *known.aliases], n=4)
    hint = f" Did you mean {', '.join(map(repr, close))}?" if close else ""
    return (
        f"Unknown preset {name!r}.{hint} keras_pretrained.list_presets() names all of them, "
        "list_presets('bert*') those that match."
    )


def load_builder(preset: Preset | str) -> Any:
    """The class or function that builds a preset. This imports Keras and so a backend.

    Raises:
        PresetError: an unknown preset.
        ImportError: the builder cannot be imported; the message names the preset.
    """
    record = preset_info(preset) if isinstance(preset, str) else preset
    module, _, name = record.builder.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"Preset {record.name!r} is built by {record.builder!r}, which cannot be imported: "
            f"{error}"
        ) from error


def _natural(name: str) -> list[tuple[int, float, str]]:
    """A key that sorts numbers by their value."""
    pieces = re.findall(r"\d+(?:\.\d+)?|\D+", name)
    return [(0, float(each), "") if each[0].isdigit() else (1, 0.0, each) for each in pieces]
