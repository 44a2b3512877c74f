"""Reads one TOML table of presets, strictly: whatever is unknown or of the wrong type is an error.

A table has `family`, `builder`, `[defaults]`, `[parts.<part>]`, `[sources.<source>]` and
`[presets.<name>]`. A preset is the defaults, overlaid with its `parts` in order, overlaid with its
own entries; the sub-tables named in `_MERGED` are overlaid entry by entry. `{entry}` in a
description or a source path stands for that entry of the architecture or the image; `{path}` in a
source's file name for the last part of its path.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from keras_pretrained.presets.checks import check, known, match, strings
from keras_pretrained.presets.families import FAMILIES, Family
from keras_pretrained.presets.images import ImageSpec, image_spec
from keras_pretrained.presets.member_names import is_pattern
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
    "builder": str,
    "description": str,
    "released": date,
    "licence": str,
    "languages": list,
    "paper": dict,
    "architecture": dict,
    "tokenizer": dict,
    "embedding": dict,
    "image": dict,
    "parameters": int,
    "sources": list,
}
_PRESET = {**_FIELDS, "aliases": list, "parts": list, "unreleased": bool}
_MERGED = ("architecture", "tokenizer", "embedding", "image", "paper")
_PAPER = {"title": str, "url": str}
_EMBEDDING = {"pooling": str, "normalize": bool, "max_length": int}
_TEMPLATE = {
    "base": str,
    "dialect": str,
    "files": dict,
    "sizes": dict,
    "sha256": dict,
    "md5": dict,
    "requirement": str,
    "note": str,
}
# What is known of the bytes; a preset's own entry adds to what its sources have in common.
_FACTS = ("sizes", "sha256", "md5")
_ENTRY = {"from": str, "path": str, "sizes": dict, "sha256": dict, "md5": dict}
_ROLES = ("weights", "weights_index", "weights_data", "config", "vocabulary", "merges")

_NAME = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
_BUILDER = re.compile(r"keras_pretrained(?:\.\w+)+:[A-Z]\w*", re.ASCII)
# No segment starts with a dot, so none climbs out of its folder.
_STEP = r"(?!\.)[\w.+@-]+"
_FILE = re.compile(rf"{_STEP}(?:/{_STEP})*", re.ASCII)
# A pattern stands for a name in the archive's own folder.
_MEMBER = re.compile(r"(?:[\w.+*-]|\{[\w.,-]*\})+", re.ASCII)
_ADDRESS = re.compile(
    rf"https://{_STEP}(?:/{_STEP})+|hf://{_STEP}/{_STEP}|kaggle://{_STEP}(?:/{_STEP}){{3}}/\d+"
    rf"|pkg://[a-z_]\w*(?:/{_STEP})*",
    re.ASCII,
)
_ADDRESSES = "https://..., hf://name/name, kaggle://... (with a version) or pkg://name/..."
_SHA256 = re.compile(r"[0-9a-f]{8,64}")
_MD5 = re.compile(r"[0-9a-f]{32}")


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
    check(table, _TABLE, origin, required=("family", "presets"))
    check(table.get("defaults", {}), _FIELDS, f"{origin}, defaults")
    for kind, types in (("parts", _FIELDS), ("sources", _TEMPLATE), ("presets", _PRESET)):
        for name, entries in table.get(kind, {}).items():
            check({name: entries}, {name: dict}, f"{origin}, {kind}")
            check(entries, types, f"{origin}, {kind} {name!r}")
    return [_preset(name, table, f"{origin}, preset {name!r}") for name in table["presets"]]


def _preset(name: str, table: Mapping[str, Any], where: str) -> Preset:
    known(table["family"], FAMILIES, f"{where}, family")
    family = FAMILIES[table["family"]]
    entries = {"builder": table.get("builder", ""), **_overlaid(name, table, where)}
    match(_BUILDER, entries["builder"], where, "builder", "'keras_pretrained.module:Class'")
    architecture = entries.get("architecture", {})
    check(architecture, family.architecture, f"{where}, architecture", family.architecture)
    for problem in family.problems(architecture):
        raise PresetError(f"{where}, architecture: {problem}.")
    tokenizer = entries.get("tokenizer", {})
    check(tokenizer, family.tokenizer, f"{where}, tokenizer", family.tokenizer)
    if not family.takes_images:
        known(tokenizer["kind"], family.tokenizer_kinds, f"{where}, tokenizer kind")
    image, parameters = _image(entries, family, where)
    embedding = entries.get("embedding", {})
    check(embedding, _EMBEDDING, f"{where}, embedding")
    aliases = strings(entries.get("aliases", []), where, "aliases")
    for each in (name, *aliases):
        match(_NAME, each, where, "name", "lower-case words joined by '-'")
    return Preset(
        name=name,
        family=table["family"],
        builder=entries["builder"],
        description=_filled(entries["description"], entries, where),
        architecture=MappingProxyType({key: architecture[key] for key in family.architecture}),
        tokenizer=MappingProxyType(tokenizer),
        sources=_sources(entries, table, family, where),
        aliases=aliases,
        languages=strings(entries.get("languages", []), where, "languages"),
        licence=entries.get("licence"),
        paper=_paper(entries, where),
        released=entries.get("released"),
        embedding=MappingProxyType(embedding),
        image=image,
        stated_parameters=parameters,
    )


def _image(
    entries: Mapping[str, Any], family: Family, where: str
) -> tuple[ImageSpec | None, int | None]:
    """What image networks have and others have not: the record, and the number of parameters."""
    fields = ("image", "parameters")
    if not family.takes_images:
        for field in fields:
            if field in entries:
                raise PresetError(f"{where}: {field!r} is for families that take images.")
        return None, None
    missing = [field for field in fields if field not in entries]
    if missing:
        raise PresetError(f"{where}: missing {', '.join(missing)}.")
    if entries["parameters"] < 1:
        raise PresetError(f"{where}: parameters must be positive, not {entries['parameters']}.")
    return image_spec(entries["image"], where), entries["parameters"]


def _overlaid(name: str, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The entries of a preset: defaults, its parts in order, its own."""
    own = table["presets"][name]
    layers = [table.get("defaults", {})]
    for part in strings(own.get("parts", []), where, "parts"):
        known(part, table.get("parts", {}), f"{where}, part")
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
    check(entries["paper"], _PAPER, f"{where}, paper", _PAPER)
    return Paper(**entries["paper"])


def _sources(
    entries: Mapping[str, Any], table: Mapping[str, Any], family: Family, where: str
) -> tuple[Source, ...]:
    sources = []
    for number, entry in enumerate(entries["sources"], 1):
        here = f"{where}, source {number}"
        check({"source": entry}, {"source": dict}, where)
        check(entry, _ENTRY, here, ("from", "path"))
        known(entry["from"], table.get("sources", {}), f"{here}, from")
        template = dict(table["sources"][entry["from"]])
        for key in _FACTS:
            template[key] = {**template.get(key, {}), **entry.get(key, {})}
        path = _filled(entry["path"], entries, here)
        sources.append(_source(template, path, family, here))
    if entries.get("unreleased", False) != (not sources):
        raise PresetError(
            f"{where}: `sources` is empty."
            if not sources
            else f"{where}: `unreleased` is for a network without sources."
        )
    return tuple(sources)


def _source(template: Mapping[str, Any], path: str, family: Family, where: str) -> Source:
    check(template, _TEMPLATE, where, required=("base", "dialect", "files"))
    address = template["base"] + path
    match(_ADDRESS, address, where, "address", _ADDRESSES)
    known(template["dialect"], family.dialects, f"{where}, dialect")
    check(template["files"], dict.fromkeys(_ROLES, str), f"{where}, files", ("weights",))
    last = path.rpartition("/")[2]
    files = {role: name.replace("{path}", last) for role, name in template["files"].items()}
    sizes, sha256, md5 = (template[key] for key in _FACTS)
    # An archive has a size and a hash of its own.
    check(sizes, dict.fromkeys((*files, "archive"), int), f"{where}, sizes")
    check(sha256, dict.fromkeys((*files, "archive"), str), f"{where}, sha256")
    check(md5, dict.fromkeys(files, str), f"{where}, md5")
    for size in sizes.values():
        if size < 1:
            raise PresetError(f"{where}: sizes must be positive, not {size}.")
    for digest in sha256.values():
        match(_SHA256, digest, where, "sha256", "64 lower-case hexadecimal digits, or the first 8")
    for digest in md5.values():
        match(_MD5, digest, where, "md5", "32 lower-case hexadecimal digits")
    if address.startswith("pkg://") and "requirement" not in template:
        raise PresetError(f"{where}: a pkg:// source needs a `requirement` for pip.")
    source = Source(
        address=address,
        dialect=template["dialect"],
        files=MappingProxyType(files),
        sizes=MappingProxyType(sizes),
        sha256=MappingProxyType(sha256),
        md5=MappingProxyType(md5),
        requirement=template.get("requirement"),
        note=template.get("note", ""),
    )
    for name in files.values():
        if is_pattern(name) and source.kind == "archive":
            match(_MEMBER, name, where, "pattern", "a name with '*' or '{a,b}' and without '/'")
        else:
            match(_FILE, name, where, "file name", "a relative path without '..'")
    return source


def _filled(text: str, entries: Mapping[str, Any], where: str) -> str:
    """The text with `{entry}` replaced by that entry of the architecture or the image."""
    values = {**entries.get("architecture", {}), **entries.get("image", {})}

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise PresetError(f"{where}: {text!r} refers to {found[1]!r}, not in the architecture.")
        return str(values[found[1]])

    return re.sub(r"\{(\w*)\}", value, text)
