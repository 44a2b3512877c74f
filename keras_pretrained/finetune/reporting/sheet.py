"""A report as one picture."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_pretrained.finetune.reporting.answers import Answers, Classes, SeveralLabels
from keras_pretrained.finetune.reporting.content import (
    LARGEST_MATRIX,
    MISTAKES,
    Content,
    held_out_title,
    share,
)
from keras_pretrained.finetune.reporting.held_out import HardExample, HeldOut
from keras_pretrained.finetune.reporting.pictures import (
    draw_confusion,
    draw_curve,
    draw_rates,
    drawable,
    drawing,
    new_figure,
    shortened,
)
from keras_pretrained.finetune.reporting.thumbnails import thumbnail

_WIDTH, _LEFT = 13.0, 5.2
_LINE = 0.19
_INK, _SOFT = "#1b1f24", "#5d6570"
_DOTS = 120
_LETTERS = 14
"""So many letters are one inch wide, on the average of a text."""


@dataclass(frozen=True)
class _Cell:
    """A picture in a table, if there is one, with a text on its right."""

    text: str
    picture: np.ndarray | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Height and width of the picture, in inches."""
        shape = () if self.picture is None else self.picture.shape
        return (shape[0] / 100, shape[1] / 100) if shape else (0, 0)


@dataclass(frozen=True)
class _Table:
    """A table that knows its size.

    Attributes:
        widths: of the columns, in inches.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | _Cell]]
    widths: Sequence[float]
    lines: int = 1

    @property
    def height(self) -> float:
        return 0.75 + sum(map(self._row_height, self.rows))

    def draw(self, axes: Any, width: float, height: float) -> None:
        """At its own size, in the upper left corner of a place of this size in inches."""
        left = np.cumsum([0, *self.widths[:-1]])
        axes.axis("off")
        axes.set_title(self.title, loc="left", fontweight="bold")
        for x, name in zip(left, self.header, strict=True):
            axes.text(x, 0.1, name, color=_SOFT, va="top", size=8.5)
        y = 0.35
        for row in self.rows:
            for x, cell, space in zip(left, row, self.widths, strict=True):
                self._draw_cell(axes, cell, x, y, space)
            y += self._row_height(row)
        # Pictures change the limits.
        axes.set(xlim=(0, max(sum(self.widths), width)), ylim=(height - 0.4, 0), aspect="auto")

    def _draw_cell(self, axes: Any, cell: str | _Cell, x: float, y: float, space: float) -> None:
        if isinstance(cell, _Cell) and cell.picture is not None:
            high, wide = cell.size
            axes.imshow(cell.picture, extent=(x, x + wide, y + high, y), aspect="auto")
            x, space = x + wide + 0.15, space - wide - 0.15
        text = self._wrapped(_text(cell), space)
        axes.text(x, y, drawable(text), va="top", size=8.5, linespacing=1.25)

    def _wrapped(self, text: str, space: float) -> str:
        limit = max(int(space * _LETTERS) - 1, 4)
        lines = textwrap.wrap(" ".join(text.split()), limit)
        if len(lines) > self.lines:
            lines = [*lines[: self.lines - 1], shortened(" ".join(lines[self.lines - 1 :]), limit)]
        return "\n".join(lines)

    def _row_height(self, row: Sequence[str | _Cell]) -> float:
        return max(map(self._cell_height, row, self.widths))

    def _cell_height(self, cell: str | _Cell, space: float) -> float:
        if isinstance(cell, _Cell) and cell.picture is not None:
            return cell.size[0] + 0.08
        return _LINE * (1 + self._wrapped(_text(cell), space).count("\n")) + 0.03


def sheet(content: Content) -> bytes:
    """The file of the picture."""
    with drawing(_INK):
        plan = _plan(content)
        curves = content.curves
        columns = 2 if len(curves) < 3 else 3
        curve_rows = -(-len(curves) // 3)
        rates_height = 1.0 if content.rates.missing else 3.0
        parts = [
            0.6 + _LINE * len(content.facts),
            max(plan.height, rates_height),
            2.5 * curve_rows,
        ]
        held = content.held_out
        if held is not None:
            hard = _hardest(held)
            parts.append(max(_counts_height(held.answers), hard.height))
        figure = new_figure(_WIDTH, sum(parts))
        figure.get_layout_engine().set(h_pad=0.08, w_pad=0.08)
        places = list(figure.subfigures(len(parts), 1, height_ratios=parts, squeeze=False).ravel())
        _head(places[0], content)
        left, right = places[1].subfigures(1, 2, width_ratios=(_LEFT, _WIDTH - _LEFT))
        plan.draw(left.subplots(), _LEFT, parts[1])
        axes = right.subplots()
        axes.set_title("Learning rate of each stage", loc="left", fontweight="bold")
        draw_rates(axes, content.rates)
        grid = places[2].subplots(curve_rows, columns, squeeze=False).ravel()
        for axes, curve in zip(grid, curves, strict=False):
            draw_curve(axes, curve)
        for axes in grid[len(curves) :]:
            axes.axis("off")
        if held is not None:
            left, right = places[3].subfigures(1, 2, width_ratios=(_LEFT, _WIDTH - _LEFT))
            _draw_counts(left, held.answers, parts[3])
            hard.draw(right.subplots(), _WIDTH - _LEFT, parts[3])
        file = io.BytesIO()
        options: Any = {"bbox_inches": "tight", "pad_inches": 0.3, "facecolor": "white"}
        figure.savefig(file, format="png", dpi=_DOTS, **options)
    return file.getvalue()


def _head(figure: Any, content: Content) -> None:
    axes = figure.subplots()
    axes.axis("off")
    axes.set_title(drawable(content.title), loc="left", fontsize=14, fontweight="bold")
    axes.set(xlim=(0, _WIDTH), ylim=(len(content.facts), -0.4))
    for line, (name, value) in enumerate(content.facts):
        axes.text(0, line, name, color=_SOFT, va="top")
        axes.text(1.2, line, drawable(shortened(value, 150)), va="top")


def _plan(content: Content) -> _Table:
    header = ("stage", "parameters", "", "factor")
    return _Table("Depth plan", header, content.plan_rows, (1.9, 1.0, 1.6, 0.6), lines=2)


def _counts_height(answers: Answers) -> float:
    if isinstance(answers, Classes) and len(answers.labels) <= LARGEST_MATRIX:
        return 4.6
    return _counts_table(answers).height


def _draw_counts(figure: Any, answers: Answers, height: float) -> None:
    axes = figure.subplots()
    if isinstance(answers, Classes) and len(answers.labels) <= LARGEST_MATRIX:
        axes.set_title(held_out_title(answers), loc="left", fontweight="bold")
        draw_confusion(axes, answers.confusion)
        axes.set_anchor("NW")
    else:
        _counts_table(answers).draw(axes, _LEFT, height)


def _counts_table(answers: Answers) -> _Table:
    title = held_out_title(answers)
    rows: list[tuple[str, ...]]
    if isinstance(answers, Classes):
        found = answers.confusion.mistakes()[:MISTAKES]
        rows = [(true, said, f"{count:,}") for true, said, count in found]
        return _Table(title, ("true", "predicted", "examples"), rows, (2, 2, 1))
    if isinstance(answers, SeveralLabels):
        rows = [
            (row.name, f"{row.found:,}", f"{row.missed:,}", f"{row.wrong:,}", share(row.precision))
            for row in answers.table
        ]
        header = ("label", "found", "missed", "wrong", "precision")
        return _Table(title, header, rows, (2, 0.8, 0.8, 0.8, 0.8))
    rows = [(f"mean {answers.loss_name}", f"{answers.mean_loss:.4g}")]
    return _Table(title, ("", ""), rows, (2, 2))


def _hardest(held: HeldOut) -> _Table:
    rows = [_hard(each) for each in held.hardest]
    header = ("row", "", "true", "predicted", "loss")
    wide, name = (4.0, 1.35) if any(each.text for each in held.hardest) else (1.0, 2.35)
    return _Table("Hardest examples", header, rows, (0.5, wide, name, name, 0.5), lines=3)


def _hard(example: HardExample) -> tuple[str | _Cell, ...]:
    answer = example.answer
    picture = None if example.picture is None else thumbnail(example.picture, 70)
    return (
        str(example.number),
        _Cell(example.text or "", picture),
        _with_probability(answer.true, answer.true_probability),
        _with_probability(answer.predicted, answer.predicted_probability),
        f"{example.loss:.3g}",
    )


def _with_probability(name: str, value: float | None) -> str:
    return name if value is None else f"{name} ({value:.3f})"


def _text(cell: str | _Cell) -> str:
    return cell if isinstance(cell, str) else cell.text
