"""Reads one TOML table of presets, strictly: whatever is unknown or of the wrong type is an error.

A table has `family`, `builder`, `[defaults]`, `[parts.<part>]`, `[sources.<source>]` and
`[presets.<name>]`. A preset is the defaults, overlaid with its `parts` in order, overlaid with its
own entries; the sub-tables named in `_MERGED` are overlaid entry by entry. `{entry}` in a
description or a source path stands for that entry of the architecture.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from keras_pretrained.presets.families import FAMILIES, Family
from keras_pretrained.presets.preset import Paper, Preset, PresetError, Source

_TABLE = {
    "family": str,
    "builder": str,
    "defaults": dict,
    "parts": dict,
    "sources": dict,
    "presets": dict,
}
_FIELDS = {
    "description": str,
    "released": date,
    "licence": str,
    "languages": list,
    "paper": dict,
    "architecture": dict,
    "tokenizer": dict,
    "embedding": dict,
    "sources": list,
}
_PRESET = {**_FIELDS, "aliases": list, "parts": list}
_MERGED = ("architecture", "tokenizer", "embedding", "paper")
_PAPER = {"title": str, "url": str}
_EMBEDDING = {"pooling": str, "normalize": bool, "max_length": int}
_TEMPLATE = {
    "base": str,
    "dialect": str,
    "files": dict,
    "sizes": dict,
    "sha256": dict,
    "requirement": str,
    "note": str,
}
# What is known of the bytes; a preset's own entry adds to what its sources have in common.
_FACTS = ("sizes", "sha256")
_ENTRY = {"from": str, "path": str, "sizes": dict, "sha256": dict}
_ROLES = ("weights", "weights_index", "weights_data", "config", "vocabulary", "merges")

_NAME = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
_BUILDER = re.compile(r"keras_pretrained(?:\.\w+)+:[A-Z]\w*", re.ASCII)
# No segment starts with a dot, so none climbs out of its folder.
_STEP = r"(?!\.)[\w.+@-]+"
_FILE = re.compile(rf"{_STEP}(?:/{_STEP})*", re.ASCII)
_ADDRESS = re.compile(
    rf"https://{_STEP}(?:/{_STEP})+|hf://{_STEP}/{_STEP}|kaggle://{_STEP}(?:/{_STEP}){{3}}/\d+"
    rf"|pkg://[a-z_]\w*(?:/{_STEP})*",
    re.ASCII,
)
_ADDRESSES = "https://..., hf://name/name, kaggle://... (with a version) or pkg://name/..."
_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse_table(text: str, origin: str) -> list[Preset]:
    """The presets of one table, in its order.

    Args:
        text: the TOML.
        origin: the file's name, for error messages.

    Raises:
        PresetError: names the file, the preset, the entry and what was expected.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PresetError(f"{origin} is not valid TOML: {error}") from error
    _check(table, _TABLE, origin, required=("family", "builder", "presets"))
    _check(table.get("defaults", {}), _FIELDS, f"{origin}, defaults")
    for kind, types in (("parts", _FIELDS), ("sources", _TEMPLATE), ("presets", _PRESET)):
        for name, entries in table.get(kind, {}).items():
            _check({name: entries}, {name: dict}, f"{origin}, {kind}")
            _check(entries, types, f"{origin}, {kind} {name!r}")
    return [_preset(name, table, f"{origin}, preset {name!r}") for name in table["presets"]]


def _preset(name: str, table: Mapping[str, Any], where: str) -> Preset:
    _known(table["family"], FAMILIES, f"{where}, family")
    family = FAMILIES[table["family"]]
    _match(_BUILDER, table["builder"], where, "builder", "'keras_pretrained.module:Class'")
    entries = _overlaid(name, table, where)
    architecture = entries.get("architecture", {})
    _check(architecture, family.architecture, f"{where}, architecture", family.architecture)
    for problem in family.problems(architecture):
        raise PresetError(f"{where}, architecture: {problem}.")
    tokenizer = entries.get("tokenizer", {})
    _check(tokenizer, family.tokenizer, f"{where}, tokenizer", family.tokenizer)
    _known(tokenizer["kind"], family.tokenizer_kinds, f"{where}, tokenizer kind")
    embedding = entries.get("embedding", {})
    _check(embedding, _EMBEDDING, f"{where}, embedding")
    aliases = _strings(entries.get("aliases", []), where, "aliases")
    for each in (name, *aliases):
        _match(_NAME, each, where, "name", "lower-case words joined by '-'")
    return Preset(
        name=name,
        family=table["family"],
        builder=table["builder"],
        description=_filled(entries["description"], architecture, where),
        architecture=MappingProxyType({key: architecture[key] for key in family.architecture}),
        tokenizer=MappingProxyType(tokenizer),
        sources=_sources(entries, table, family, where),
        aliases=aliases,
        languages=_strings(entries.get("languages", []), where, "languages"),
        licence=entries.get("licence"),
        paper=_paper(entries, where),
        released=entries.get("released"),
        embedding=MappingProxyType(embedding),
    )


def _overlaid(name: str, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The entries of a preset: defaults, its parts in order, its own."""
    own = table["presets"][name]
    layers = [table.get("defaults", {})]
    for part in _strings(own.get("parts", []), where, "parts"):
        _known(part, table.get("parts", {}), f"{where}, part")
        layers.append(table["parts"][part])
    entries: dict[str, Any] = {}
    for layer in (*layers, own):
        for key, value in layer.items():
            entries[key] = {**entries.get(key, {}), **value} if key in _MERGED else value
    missing = [key for key in ("description", "sources") if key not in entries]
    if missing:
        raise PresetError(f"{where}: {' and '.join(missing)} missing.")
    return entries


def _paper(entries: Mapping[str, Any], where: str) -> Paper | None:
    if "paper" not in entries:
        return None
    _check(entries["paper"], _PAPER, f"{where}, paper", _PAPER)
    return Paper(**entries["paper"])


def _sources(
    entries: Mapping[str, Any], table: Mapping[str, Any], family: Family, where: str
) -> tuple[Source, ...]:
    sources = []
    architecture = entries.get("architecture", {})
    for number, entry in enumerate(entries["sources"], 1):
        here = f"{where}, source {number}"
        _check({"source": entry}, {"source": dict}, where)
        _check(entry, _ENTRY, here, ("from", "path"))
        _known(entry["from"], table.get("sources", {}), f"{here}, from")
        template = dict(table["sources"][entry["from"]])
        for key in _FACTS:
            template[key] = {**template.get(key, {}), **entry.get(key, {})}
        path = _filled(entry["path"], architecture, here)
        sources.append(_source(template, path, family, here))
    if not sources:
        raise PresetError(f"{where}: `sources` is empty.")
    return tuple(sources)


def _source(template: Mapping[str, Any], path: str, family: Family, where: str) -> Source:
    _check(template, _TEMPLATE, where, required=("base", "dialect", "files"))
    address = template["base"] + path
    _match(_ADDRESS, address, where, "address", _ADDRESSES)
    _known(template["dialect"], family.dialects, f"{where}, dialect")
    files = template["files"]
    _check(files, dict.fromkeys(_ROLES, str), f"{where}, files", ("weights",))
    for name in files.values():
        _match(_FILE, name, where, "file name", "a relative path without '..'")
    sizes, sha256 = template["sizes"], template["sha256"]
    # An archive has a size and a hash of its own.
    _check(sizes, dict.fromkeys((*files, "archive"), int), f"{where}, sizes")
    _check(sha256, dict.fromkeys((*files, "archive"), str), f"{where}, sha256")
    for size in sizes.values():
        if size < 1:
            raise PresetError(f"{where}: sizes must be positive, not {size}.")
    for digest in sha256.values():
        _match(_SHA256, digest, where, "sha256", "64 lower-case hexadecimal digits")
    if address.startswith("pkg://") and "requirement" not in template:
        raise PresetError(f"{where}: a pkg:// source needs a `requirement` for pip.")
    return Source(
        address=address,
        dialect=template["dialect"],
        files=MappingProxyType(files),
        sizes=MappingProxyType(sizes),
        sha256=MappingProxyType(sha256),
        requirement=template.get("requirement"),
        note=template.get("note", ""),
    )


def _filled(text: str, architecture: Mapping[str, Any], where: str) -> str:
    """The text with `{entry}` replaced by that entry of the architecture."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in architecture:
            raise PresetError(f"{where}: {text!r} refers to {match[1]!r}, not in the architecture.")
        return str(architecture[match[1]])

    return re.sub(r"\{(\w*)\}", value, text)


def _check(
    entries: Mapping[str, Any],
    types: Mapping[str, type],
    where: str,
    required: Iterable[str] = (),
) -> None:
    """Fails unless every entry is known and of exactly its type, and no required one is missing."""
    for key, value in entries.items():
        _known(key, types, f"{where}, entry")
        # Exact types: `True` is an int and a date-time is a date to isinstance.
        if type(value) is not types[key]:
            raise PresetError(
                f"{where}: {key!r} must be of type {types[key].__name__}, "
                f"not {type(value).__name__} ({value!r})."
            )
    missing = [key for key in required if key not in entries]
    if missing:
        raise PresetError(f"{where}: missing {', '.join(missing)}.")


def _strings(values: list[Any], where: str, title: str) -> tuple[str, ...]:
    for value in values:
        if type(value) is not str:
            raise PresetError(f"{where}: {title} must be strings, not {value!r}.")
    return tuple(values)


def _match(pattern: re.Pattern[str], text: str, where: str, title: str, expected: str) -> None:
    if not pattern.fullmatch(text):
        raise PresetError(f"{where}: wrong {title} {text!r}. Expected: {expected}.")


def _known(value: str, known: Collection[str], where: str) -> None:
    if value not in known:
        expected = ", ".join(known) or "nothing"
        raise PresetError(f"{where}: unknown value {value!r}. Expected: {expected}.")
