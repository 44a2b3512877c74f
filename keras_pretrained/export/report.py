"""What an export returns, and what it raises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class ExportError(ValueError):
    """An artefact could not be made, or does not compute what the model computes.

    Nothing is left behind: an older artefact at the same path is as it was.
    """


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of an artefact.

    Attributes:
        name: its name in the artefact.
        dtype: such as `"int32"`.
        shape: sizes; a free axis is a name such as `"batch"` or `"length"`.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        inside = ", ".join(map(str, self.shape))
        return f"{self.name}: {self.dtype} ({inside}{',' if len(self.shape) == 1 else ''})"


@dataclass(frozen=True)
class ExportReport:
    """A finished artefact.

    Attributes:
        path: where it lies.
        format: `"SavedModel"` or `"ONNX"`.
        detail: its endpoints, or its operator set.
        size_bytes: of all its files.
        inputs, outputs: its signature.
        largest_difference: between any of its numbers and the model's, on all checked inputs.
        tolerance: what was allowed.
        seconds: export and check together.
    """

    path: Path
    format: str
    detail: str
    size_bytes: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    largest_difference: float
    tolerance: float
    seconds: float

    def __str__(self) -> str:
        lines = [
            f"{self.format} {self.path}",
            f"  {self.detail}, {_size(self.size_bytes)}, {self.seconds:.1f} s",
            *(f"  input   {tensor}" for tensor in self.inputs),
            *(f"  output  {tensor}" for tensor in self.outputs),
            f"  largest difference from the model: {self.largest_difference:.1e} "
            f"(tolerance {self.tolerance:g})",
        ]
        return "\n".join(lines)


def _size(count: int) -> str:
    if count < 1_000_000:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e6:.1f} MB"


def total_size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
