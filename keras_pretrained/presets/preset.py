"""The typed record of one published network: what it is, and where its files are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from keras_pretrained.presets.families import FAMILIES

if TYPE_CHECKING:
    from keras_pretrained.presets.images import ImageSpec

_EMPTY: Mapping[str, Any] = MappingProxyType({})


class PresetError(ValueError):
    """A preset is unknown, of the wrong family, or wrongly written in its table."""


@dataclass(frozen=True)
class Source:
    """One place where the files of a preset are published.

    Attributes:
        address: `https://...` (an archive, a TF-Hub handle, one file, or the folder of several),
            `hf://organisation/name[@revision]` (a Hugging Face repository),
            `kaggle://owner/model/framework/variation/version` (a Kaggle model),
            `pkg://package/folder` (a folder inside an installed Python package), or the path of a
            local folder.
        dialect: naming scheme of the tensors: `"hf"`, `"google"`, `"slim"`, `"keras"` ...
        files: role -> file name below the address. Roles that start with `weights` are the parts
            of one checkpoint; `config` is for other programs and may be missing. In archives a
            name may be a pattern, as `member_names` has it.
        sizes: role -> bytes, for the files whose size has a source; `archive` is the archive
            itself.
        sha256: role -> lower-case hexadecimal digest, likewise, or its first digits where no more
            was published.
        md5: role -> digest, for files of which only this one was published.
        requirement: what to `pip install` for a `pkg://` address.
        note: what a user should know about this source.
    """

    address: str
    dialect: str
    files: Mapping[str, str]
    sizes: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
    sha256: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    md5: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    requirement: str | None = None
    note: str = ""

    @property
    def kind(self) -> str:
        """`"pkg"`, `"hf"`, `"kaggle"`, `"tf-hub"`, `"archive"`, `"file"` or `"local"`."""
        scheme, separator, rest = self.address.partition("://")
        if not separator:
            return "local"
        if scheme in ("pkg", "hf", "kaggle"):
            return scheme
        path, _, query = rest.partition("?")
        # Other hosts serve TF-Hub's protocol too; there the query tells.
        if path.startswith("tfhub.dev/") or "tf-hub-format=compressed" in query:
            return "tf-hub"
        return "archive" if re.search(r"\.(zip|tar|tgz|tbz2?|gz|bz2)$", path) else "file"

    @property
    def required(self) -> Mapping[str, str]:
        """The files without which the preset cannot be loaded: all but `config`."""
        return {role: name for role, name in self.files.items() if role != "config"}


@dataclass(frozen=True)
class Paper:
    """Where a network was described."""

    title: str
    url: str


@dataclass(frozen=True, repr=False)
class Preset:
    """A published network: what it is, its licence, paper and sources, as plain data.

    Attributes:
        name: the registered name, in the words of the paper: `"bert-base"`.
        family: networks of one family share a builder: `"bert"`.
        builder: `"module:Class"` or `"module:Function"`, imported by `load_builder` only.
        description: one line.
        architecture: the keyword arguments of the family's architecture.
        tokenizer: `kind` and its options, e.g. `{"kind": "wordpiece", "lowercase": True}`; empty
            for networks that take no text.
        sources: in order of preference; empty for a network whose weights were never published.
        aliases: other names of the same preset.
        languages: ISO 639 codes; `"mul"` for many.
        licence: SPDX name of the licence of the weights.
        paper: the publication that describes the network.
        released: day of publication.
        embedding: for encoders of whole texts, how their authors make one vector of a text:
            `pooling`, `normalize` (to length 1) and `max_length`.
        image: for image networks, how images are prepared, and the published accuracy.
        stated_parameters: the number of weights, for families that have no formula for it.
    """

    name: str
    family: str
    builder: str
    description: str
    architecture: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    sources: tuple[Source, ...]
    aliases: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    licence: str | None = None
    paper: Paper | None = None
    released: date | None = None
    embedding: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    image: ImageSpec | None = None
    stated_parameters: int | None = None

    @property
    def parameters(self) -> int:
        """The number of weights that training changes, without heads for training alone."""
        count = FAMILIES[self.family].count_parameters
        if self.stated_parameters is not None:
            return self.stated_parameters
        if count is None:
            raise PresetError(f"Preset {self.name!r} does not state its number of parameters.")
        return count(self.architecture)

    def __repr__(self) -> str:
        return f"<Preset {self.name!r}>"

    def __str__(self) -> str:
        also = f"  (also: {', '.join(self.aliases)})" if self.aliases else ""
        rows = {
            "family": f"{self.family} ({self.builder.partition(':')[2]})",
            "parameters": f"{self.parameters:,}",
            "architecture": _pairs(self.architecture),
            "tokenizer": _pairs(self.tokenizer),
            "embedding": _pairs(self.embedding),
            "images": str(self.image or ""),
            "accuracy": _accuracy(self.image),
            "languages": ", ".join(self.languages),
            "released": str(self.released or ""),
            "licence": self.licence or "",
            "paper": f"{self.paper.title}, {self.paper.url}" if self.paper else "",
        }
        lines = [f"{self.name}{also}", f"  {self.description}"]
        lines += [f"  {title:<13} {text}" for title, text in rows.items() if text]
        for number, source in enumerate(self.sources, 1):
            lines.append(f"  {f'source {number}':<13} {source.address} ({source.dialect})")
        if not self.sources:
            lines.append(f"  {'source':<13} none: these weights were never published")
        return "\n".join(lines)


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in mapping.items())


def _accuracy(image: ImageSpec | None) -> str:
    scores = {"top-1": image.top_1, "top-5": image.top_5} if image else {}
    return ", ".join(f"{name} {score} %" for name, score in scores.items() if score is not None)
