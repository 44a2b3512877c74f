"""How the names of one dialect meet the variables of one architecture: rules, as data.

A pattern is a path with placeholders in braces. `{i}` stands for a number that both sides
share; `{i+4}` for that number plus four; a name that the architecture gives, such as
`{num_layers}` or `{num_layers+4}`, for its value. All other text is literal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from keras_pretrained.weights.transforms import IDENTITY, Transform

_PLACEHOLDER = re.compile(r"\{([a-z_]+)(?:\+(\d+))?\}")


@dataclass(frozen=True)
class Rule:
    """One correspondence: target path(s) in the layer, source name(s) in the file, a transform.

    Args:
        target: path of the variable below the layer, or several of them.
        source: name in the checkpoint, or several of them.
        transform: how the arrays differ; see `keras_pretrained.weights.transforms`.
    """

    target: str | tuple[str, ...]
    source: str | tuple[str, ...]
    transform: Transform = IDENTITY

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,) if isinstance(self.target, str) else self.target

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,) if isinstance(self.source, str) else self.source


@dataclass(frozen=True)
class BoundRule:
    """A rule whose placeholders have been replaced by numbers."""

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    transform: Transform


class NameMap(Protocol):
    """What reading and writing need of a map; a `WeightMap` is one."""

    @property
    def dialect(self) -> str: ...

    def candidates(self, target: str, dims: Mapping[str, int]) -> Iterator[BoundRule]: ...

    def reason_to_ignore(self, name: str) -> str | None: ...


@dataclass(frozen=True)
class WeightMap:
    """The rules of one dialect.

    Several rules may name the same target where publishers spelled it in several ways
    (`gamma` and `weight`): exactly one of them must find its sources in a checkpoint, and
    writing uses the first.

    Args:
        dialect: the name of the naming scheme, e.g. `"hf"`.
        rules: the correspondences.
        ignore: regular expressions for names that publishers store beside the weights and
            that no layer of this family holds; each with the reason.
        prefixes: what may stand before every source name; writing uses the first.
        container: the file format that checkpoints of this dialect are written in.
        file_name: what the file, or its prefix, is called in a published folder.
        by_name_only: the dialect is never recognised, only asked for: its files hold a whole
            network of another dialect, too.
    """

    dialect: str
    rules: tuple[Rule, ...]
    ignore: Mapping[str, str] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ("",)
    container: str = "safetensors"
    file_name: str = "model.safetensors"
    by_name_only: bool = False

    def candidates(self, target: str, dims: Mapping[str, int]) -> Iterator[BoundRule]:
        """Every way in which a checkpoint of this dialect may hold the target."""
        for rule in self.rules:
            for pattern in rule.targets:
                captured = _match(pattern, target, dims)
                if captured is None:
                    continue
                values = {**dims, **captured}
                targets = tuple(_fill(text, values) for text in rule.targets)
                sources = tuple(_fill(text, values) for text in rule.sources)
                for prefix in self.prefixes:
                    yield BoundRule(
                        targets, tuple(prefix + name for name in sources), rule.transform
                    )

    def known(self, names: Iterable[str], dims: Mapping[str, int]) -> set[str]:
        """The names that some rule of this map may read."""
        patterns = [
            _compile(prefix + source, dims)
            for rule in self.rules
            for source in rule.sources
            for prefix in self.prefixes
        ]
        return {name for name in names if any(pattern.fullmatch(name) for pattern in patterns)}

    def reason_to_ignore(self, name: str) -> str | None:
        """Why a tensor of this name is left out, or None when it may not be."""
        for pattern, reason in self.ignore.items():
            if re.fullmatch(pattern, name):
                return reason
        return None


def _match(pattern: str, path: str, dims: Mapping[str, int]) -> dict[str, int] | None:
    found = _compile(pattern, dims).fullmatch(path)
    if found is None:
        return None
    offsets = {name: int(offset or 0) for name, offset in _PLACEHOLDER.findall(pattern)}
    return {name: int(text) - offsets[name] for name, text in found.groupdict().items()}


def _compile(pattern: str, dims: Mapping[str, int]) -> re.Pattern[str]:
    return _regex(pattern, tuple(sorted(dims.items())))


@cache
def _regex(pattern: str, dims: tuple[tuple[str, int], ...]) -> re.Pattern[str]:
    known = dict(dims)
    parts, position = [], 0
    for found in _PLACEHOLDER.finditer(pattern):
        name, offset = found[1], int(found[2] or 0)
        parts.append(re.escape(pattern[position : found.start()]))
        parts.append(str(known[name] + offset) if name in known else rf"(?P<{name}>\d+)")
        position = found.end()
    parts.append(re.escape(pattern[position:]))
    return re.compile("".join(parts))


def _fill(pattern: str, values: Mapping[str, int]) -> str:
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]] + int(found[2] or 0)), pattern)
