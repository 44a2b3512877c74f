"""The curves and the matrix of a report, drawn with matplotlib."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from keras_pretrained.finetune.reporting.counts import Confusion
from keras_pretrained.finetune.reporting.depth_plan import NEW
from keras_pretrained.finetune.reporting.rate_curves import RateCurves
from keras_pretrained.finetune.reporting.recorded import Curve

FONT = "DejaVu Sans"
TRAIN, VALIDATION = "#3b82f6", "#f97316"
_NEW_COLOR = "#f43f5e"
_STAGE_COLORS = ("#22a7c4", "#7c5cff")
"""Of the first and of the last stage; light enough for a dark page, dark enough for a light one."""

_LEGEND = 14
"""So many lines have a name beside the picture."""


@contextmanager
def drawing(ink: str, **options: Any) -> Iterator[None]:
    """While this lasts, figures look as those of a report do, whatever the user has set.

    Args:
        ink: the colour of texts and axes.
        options: further settings of matplotlib.
    """
    import matplotlib

    inked = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor")
    settings: Any = {
        **dict.fromkeys(inked, ink),
        "font.family": FONT,
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        # Names of stages and classes are no formulas.
        "text.parse_math": False,
        **options,
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def new_figure(width: float, height: float) -> Any:
    # Not by pyplot, which would keep the figure and choose a window system.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def draw_rates(axes: Any, curves: RateCurves) -> None:
    """A line for each group of stages whose rates are the same all the time."""
    if curves.missing:
        axes.axis("off")
        axes.text(0, 1, curves.missing, va="top", wrap=True)
        return
    groups = rate_groups(curves.rates)
    stages = [name for name, _ in groups if name != NEW]
    for name, rates in groups:
        is_new = NEW in name
        color = _NEW_COLOR if is_new else _between(stages.index(name), len(stages))
        # A legend leaves out what begins with an underscore.
        label = drawable(name) if name[0] != "_" else f" {drawable(name)}"
        axes.plot(curves.steps, rates, color=color, label=label, lw=1.8 if is_new else 1.3)
    _scale_rates(axes, [rates for _, rates in groups])
    axes.set_xlabel("step")
    axes.set_xlim(0, max(curves.total - 1, 1))
    handles, names = axes.get_legend_handles_labels()
    # The last stage on top, as its rate is; of many stages some.
    every = -(-len(names) // _LEGEND)
    axes.legend(
        handles[::-every], names[::-every], loc="upper left", bbox_to_anchor=(1, 1), fontsize=8
    )


def rate_groups(rates: Mapping[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """The curves without repetitions: (`layer_0 ... layer_3`, rates)."""
    groups: list[tuple[list[str], np.ndarray]] = []
    for name, values in rates.items():
        if groups and np.array_equal(groups[-1][1], values):
            groups[-1][0].append(name)
        else:
            groups.append(([name], values))
    return [(_range_of(names), values) for names, values in groups]


def draw_curve(axes: Any, curve: Curve) -> None:
    """A loss or a metric by epoch."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    for name, (epochs, values), color in (
        ("train", curve.train, TRAIN),
        ("validation", curve.validation, VALIDATION),
    ):
        if len(values):
            marker = "o" if len(values) <= 30 else ""
            axes.plot(epochs, values, color=color, marker=marker, ms=3.5, label=name)
    axes.set_title(drawable(curve.name), loc="left")
    axes.set_xlabel("epoch")
    is_single = max(len(curve.train[0]), len(curve.validation[0])) == 1
    axes.xaxis.set_major_locator(FixedLocator([1]) if is_single else MaxNLocator(integer=True))
    axes.legend()


def draw_confusion(axes: Any, confusion: Confusion) -> None:
    """Counts, coloured by the share of their row."""
    counts = confusion.counts
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = len(counts)
    if size <= 20:
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.55 else "black"
            text_size = 9 if size <= 10 else 6
            axes.text(
                column, row, str(count), ha="center", va="center", color=color, size=text_size
            )
    names = [drawable(shortened(label, 16)) for label in confusion.labels]
    # A line has a place for so many letters.
    upright = size * max(map(len, names)) > 40
    axes.set_xticks(range(size), names, rotation=90 if upright else 0)
    axes.set_yticks(range(size), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def shortened(text: str, length: int) -> str:
    """One line of at most so many letters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def drawable(text: str) -> str:
    """With an empty square for each letter that the font lacks, of which matplotlib would warn."""
    known = _letters()
    return "".join(x if ord(x) in known or x == "\n" else "\N{WHITE SQUARE}" for x in text)


@cache
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(FONT)).get_charmap())


def _scale_rates(axes: Any, rates: Sequence[np.ndarray]) -> None:
    """Logarithmic with a place for 0 where rates differ much, so that all of them can be seen."""
    peaks = [peak for peak in (float(each.max()) for each in rates) if peak > 0]
    if peaks and max(peaks) / min(peaks) > 8:
        positive = np.concatenate(rates)
        smallest = max(positive[positive > 0].min(), min(peaks) / 50)
        axes.set_yscale("symlog", linthresh=smallest, linscale=0.4)
        top = max(peaks) * 1.6
        # A decade at the end of the linear part would stand on 0.
        decades = range(math.ceil(math.log10(smallest * 1.3)), math.floor(math.log10(top)) + 1)
        axes.set_yticks([0, *(10.0**decade for decade in decades)])
        axes.minorticks_off()
        axes.set_ylim(0, top)
    else:
        axes.set_ylim(0, max(peaks, default=1) * 1.08)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    axes.grid(axis="y", alpha=0.2)


def _range_of(names: Sequence[str]) -> str:
    stages = [name for name in names if name != NEW]
    parts = stages if len(stages) < 3 else [f"{stages[0]} … {stages[-1]}"]
    return ", ".join([*parts, *(name for name in names if name == NEW)])


def _between(index: int, count: int) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("stages", _STAGE_COLORS)(index / max(count - 1, 1))
