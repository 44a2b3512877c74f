"""What a loading did with every tensor, and the one error that lists what it could not do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_SHOWN = 20


class WeightsError(ValueError):
    """A checkpoint and a layer do not fit each other; the message lists every difference."""


@dataclass(frozen=True)
class LoadReport:
    """The account of one loading: each tensor of both sides stands in it exactly once.

    Attributes:
        path: the checkpoint.
        format: its container, e.g. `"safetensors"`.
        dialect: the naming scheme that was used.
        loaded: variable path -> the names of the tensors that it was made from.
        ignored: tensor name -> why it was left out.
        new: paths of variables that the checkpoint does not hold: they have random values.
    """

    path: Path
    format: str
    dialect: str
    loaded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    new: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"{self.path} ({self.format}, dialect {self.dialect!r}): "
            f"{len(self.loaded)} variables loaded, {len(self.ignored)} tensors ignored"
        ]
        reasons: dict[str, list[str]] = {}
        for name, reason in self.ignored.items():
            reasons.setdefault(reason, []).append(name)
        for reason, names in reasons.items():
            lines.append(f"  {len(names)} ignored, {reason}: {shortened(names)}")
        if self.new:
            lines.append(f"  {len(self.new)} new, with random values: {shortened([*self.new])}")
        return "\n".join(lines)


@dataclass
class Problems:
    """Collects what does not fit, so that a user sees all of it at once."""

    missing: dict[str, str] = field(default_factory=dict)
    ambiguous: dict[str, str] = field(default_factory=dict)
    unfit: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.ambiguous or self.unfit or self.unused)

    def error(self, path: Path, dialect: str, advice: str) -> WeightsError:
        lines = [f"The checkpoint {str(path)!r} does not fit the layer (dialect {dialect!r})."]
        for title, found in (
            ("Variables without a tensor", self.missing),
            ("Variables that several tensors claim", self.ambiguous),
            ("Tensors that do not fit their variable", self.unfit),
        ):
            if found:
                lines.append(f"{title} ({len(found)}):")
                lines += [f"  {target}: {text}" for target, text in found.items()]
        if self.unused:
            lines.append(f"Tensors that nothing uses ({len(self.unused)}):")
            lines += [f"  {name}" for name in self.unused]
        lines.append(advice)
        return WeightsError("\n".join(lines))


def shortened(names: list[str]) -> str:
    """A list for one line: the first few names and how many follow."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, ... and {len(names) - _SHOWN} more"
