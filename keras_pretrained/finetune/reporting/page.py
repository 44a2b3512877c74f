"""A report as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
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
from keras_pretrained.finetune.reporting.counts import Confusion, LabelCounts
from keras_pretrained.finetune.reporting.held_out import HardExample, HeldOut
from keras_pretrained.finetune.reporting.pictures import (
    draw_curve,
    draw_rates,
    drawing,
    new_figure,
)
from keras_pretrained.finetune.reporting.recorded import Curve
from keras_pretrained.finetune.reporting.style import STYLE
from keras_pretrained.finetune.reporting.thumbnails import png_of, thumbnail

_INK = "#010203"
"""No colour that a curve has; the page puts that of its own text in its place."""

_TEXT = 600
"""So many letters of an example are shown."""

_CONTROL = re.compile(r"[^\S\n]|[\x00-\x09\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
"""What is no letter in HTML, or looks like a space."""


def page(content: Content) -> str:
    """The whole document."""
    title = _escaped(content.title)
    parts = [
        f"<h1>{title}</h1>",
        "<dl>",
        *(f"<dt>{_escaped(name)}</dt><dd>{_escaped(x)}</dd>" for name, x in content.facts),
        "</dl>",
        *_section("Depth plan", _plan(content)),
        *_section("Learning rate of each stage", _rates(content)),
        *_section("Losses and metrics", _curves(content.curves)),
    ]
    held = content.held_out
    if held is not None:
        parts += _section(held_out_title(held.answers), _counts(held.answers))
        parts += _section("Hardest examples", _hardest(held))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style></head>",
            "<body>",
            *parts,
            "</body></html>\n",
        ]
    )


def _section(title: str, body: str) -> list[str]:
    return ["<section>", f"<h2>{title}</h2>", body, "</section>"]


def _escaped(text: str) -> str:
    return escape(_CONTROL.sub(" ", text))


# --- training ---------------------------------------------------------------------------------


def _plan(content: Content) -> str:
    rows = [
        [
            _cell(name),
            _cell(parameters, "number"),
            _cell(state, "soft" if factor == "-" else ""),
            _cell(factor, "number"),
        ]
        for name, parameters, state, factor in content.plan_rows
    ]
    return _table(["stage", "parameters", "", "factor"], rows, numbers=(1, 3))


def _rates(content: Content) -> str:
    if content.rates.missing:
        return f"<p>{_escaped(content.rates.missing)}</p>"
    return _svg(8.6, 3.2, lambda figure: draw_rates(figure.subplots(), content.rates))


def _curves(curves: Sequence[Curve]) -> str:
    columns = min(len(curves), 3)
    rows = -(-len(curves) // 3)

    def draw(figure: Any) -> None:
        places = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, curve in zip(places, curves, strict=False):
            draw_curve(axes, curve)
        for axes in places[len(curves) :]:
            axes.remove()

    return _svg(2.9 * columns + 0.4, 2.5 * rows, draw)


def _svg(width: float, height: float, draw: Callable[[Any], None]) -> str:
    """A picture as part of the page: its texts are texts, in the colour of the page."""
    # Without the salt, names in the file would be other ones each time.
    with drawing(_INK, **{"svg.fonttype": "none", "svg.hashsalt": "report"}):
        figure = new_figure(width, height)
        draw(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Names of groups, which nothing refers to, would stand in the page twice.
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    return text.replace(_INK, "currentColor")


# --- validation -------------------------------------------------------------------------------


def _counts(answers: Answers) -> str:
    if isinstance(answers, Classes):
        confusion = answers.confusion
        return (_mistakes if len(confusion.labels) > LARGEST_MATRIX else _matrix)(confusion)
    if isinstance(answers, SeveralLabels):
        return _labels(answers.table)
    return f"<p>Mean {answers.loss_name}: {answers.mean_loss:.4g}</p>"


def _matrix(confusion: Confusion) -> str:
    counts = confusion.counts
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = []
    for index, label in enumerate(confusion.labels):
        cells = [
            # As transparent as the share of its row, so that it fits a light and a dark page.
            f'<td style="background: rgb(59 130 246 / {0.65 * part:.3f})">{count}</td>'
            for count, part in zip(counts[index].tolist(), shares[index], strict=True)
        ]
        recall = _cell(share(confusion.recall[index]), "soft")
        rows.append([_cell(label, tag="th"), *cells, recall])
    precision = [_cell(share(value), "soft") for value in confusion.precision]
    rows.append([_cell("precision", "soft", "th"), *precision, "<td></td>"])
    header = ["true \\ predicted", *confusion.labels, "recall"]
    return _table(header, rows, kind="matrix")


def _mistakes(confusion: Confusion) -> str:
    found = confusion.mistakes()
    rows = [
        [_cell(true), _cell(said), _cell(str(count), "number")]
        for true, said, count in found[:MISTAKES]
    ]
    note = f"<p>Of {len(found):,} pairs of classes that are confused.</p>"
    return note + _table(["true", "predicted", "examples"], rows, numbers=(2,))


def _labels(table: Sequence[LabelCounts]) -> str:
    rows = [
        [
            _cell(row.name),
            *(_cell(f"{count:,}", "number") for count in (row.found, row.missed, row.wrong)),
            *(_cell(share(value), "number") for value in (row.precision, row.recall)),
        ]
        for row in table
    ]
    header = ["label", "found", "missed", "wrongly found", "precision", "recall"]
    return _table(header, rows, numbers=range(1, 6))


def _hardest(held: HeldOut) -> str:
    numbers = held.answers.right is None
    header = ["row", "", "true", "predicted", "squared error" if numbers else "loss"]
    rows = [_hard(each) for each in held.hardest]
    note = f"<p>Those with the highest {held.answers.loss_name}.</p>"
    return note + _table(header, rows, numbers=(0, 4))


def _hard(example: HardExample) -> list[str]:
    shown = "" if example.text is None else _escaped(_cut(example.text))
    if example.picture is not None:
        data = base64.b64encode(png_of(thumbnail(example.picture, 112))).decode()
        shown = f'<img alt="" src="data:image/png;base64,{data}">{shown}'
    answer = example.answer
    return [
        _cell(str(example.number), "number"),
        f'<td class="text" dir="auto">{shown}</td>',
        _with_probability(answer.true, answer.true_probability),
        _with_probability(answer.predicted, answer.predicted_probability),
        _cell(f"{example.loss:.3g}", "number"),
    ]


def _with_probability(name: str, probability: float | None) -> str:
    value = "" if probability is None else f' <span class="soft">{probability:.3f}</span>'
    return f"<td>{_escaped(name)}{value}</td>"


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[:_TEXT].rstrip()}…"


# --- tables -----------------------------------------------------------------------------------


def _cell(text: str, kind: str = "", tag: str = "td") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f"<{tag}{attribute}>{_escaped(text)}</{tag}>"


def _table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Iterable[int] = (),
    kind: str = "",
) -> str:
    """A table of cells that are HTML already, under headings that are not."""
    right = set(numbers)
    titles = [
        _cell(title, "number" if index in right else "", "th") for index, title in enumerate(header)
    ]
    lines = [f"<tr>{''.join(row)}</tr>" for row in (titles, *rows)]
    attribute = f' class="{kind}"' if kind else ""
    body = "\n".join(lines[1:])
    return f"<table{attribute}>\n<thead>{lines[0]}</thead>\n<tbody>\n{body}\n</tbody></table>"
