"""The plots of the page, each a function of plain numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from penstock.recipes.palette import COLOURS, SHAPES
from penstock.run.report.markup import Html, clean
from penstock.run.report.svg import FIRST, INK, MUTED, SECOND, draw

Array = NDArray[np.float64]

_STEPS = (1, 2, 2.5, 5, 10)  # so that ticks fall on numbers that are easy to read


@dataclass(frozen=True)
class Line:
    """A curve. A `noisy` one with many points is drawn faint, with its running mean on top."""

    x: Sequence[float]
    y: Sequence[float]
    colour: str
    noisy: bool = False


@dataclass(frozen=True)
class Best:
    """A point to mark, with its words."""

    x: float
    y: float | None
    text: str


def curves(prefix: str, label: str, lines: Sequence[Line], across: str, best: Best | None = None) -> Html:
    """Curves over `across` (epoch or step); on a logarithmic axis where the values span more than a factor of 30."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        values = np.concatenate([np.asarray(line.y, dtype=float) for line in lines])
        if spans_decades(values):
            _logarithmic(axes, values)
        else:
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
            axes.yaxis.set_major_formatter(FuncFormatter(short))
        for line in lines:
            _curve(axes, line)
        if best is not None:
            _mark(axes, best)
        axes.set_xlabel(across)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=max(line.x[-1] for line in lines) >= 4))
        axes.xaxis.set_major_formatter(FuncFormatter(short))
        axes.grid(False, axis="x")

    return draw(prefix, label, paint)


def fit(prefix: str, label: str, points: Array, name: str) -> Html:
    """Predictions against targets, points (N, 2), with the diagonal on which a perfect model would lie."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        low, high = float(points.min()), float(points.max())
        margin = 0.04 * (high - low) or 1.0
        low, high = low - margin, high + margin
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1, dashes=(4, 3))
        size = 4.5 if len(points) <= 300 else 3.2
        axes.plot(points[:, 0], points[:, 1], "o", color=FIRST, markersize=size, markeredgewidth=0, alpha=0.55)
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.set_aspect("equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, steps=_STEPS))
            axis.set_major_formatter(FuncFormatter(short))
        # A `$` in a column's name is a character, not the start of a formula.
        axes.set_xlabel(f"true {clean(name)}", parse_math=False)
        axes.set_ylabel(f"predicted {clean(name)}", parse_math=False)

    return draw(prefix, label, paint, size=(5.4, 4.8))


def histogram(prefix: str, label: str, edges: Sequence[float], counts: Sequence[int], across: str) -> Html:
    """Counts between edges, with a line at zero."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.stairs(counts, edges, fill=True, color=FIRST, alpha=0.8, linewidth=0)
        axes.axvline(0, color=INK, linewidth=1, dashes=(4, 3))
        axes.set_xlabel(across)
        axes.set_ylabel("examples")
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS, integer=True))
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=_STEPS))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(short))
        axes.grid(False, axis="x")

    return draw(prefix, label, paint, size=(5.4, 4.8))


def counted(prefix: str, label: str, edges: Sequence[float], parts: Sequence[Array], line: float | None) -> Html:
    """Shares between edges, of one or two sets over one another, with a line at `line`."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for part, colour in zip(parts, (FIRST, SECOND)):
            axes.stairs(part / max(part.sum(), 1), edges, fill=True, color=colour, alpha=0.6, linewidth=0)
        if line is not None:
            axes.axvline(line, color=INK, linewidth=1, dashes=(4, 3))
        axes.set_xlabel("error of reconstruction")
        axes.set_ylabel("share of the examples")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, steps=_STEPS))
            axis.set_major_formatter(FuncFormatter(short))
        axes.grid(False, axis="x")

    return draw(prefix, label, paint)


def scatter(prefix: str, label: str, points: Array, classes: Sequence[int], across: str) -> Html:
    """Points (N, 2), with the colour of each class; -1 is none."""
    known = np.asarray(classes)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        size = 4.0 if len(points) <= 500 else 2.6
        for number in np.unique(known):
            here = points[known == number]
            colour = COLOURS[number % len(COLOURS)] if number >= 0 else MUTED
            marker = SHAPES[number // len(COLOURS) % len(SHAPES)] if number >= 0 else "o"
            axes.plot(here[:, 0], here[:, 1], marker, color=colour, markersize=size, markeredgewidth=0, alpha=0.75)
        axes.set_xlabel(across)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, steps=_STEPS))
            axis.set_major_formatter(FuncFormatter(short))

    return draw(prefix, label, paint, size=(7.0, 5.2))


def reliability(prefix: str, label: str, bins: Array) -> Html:
    """Accuracy against confidence over the number of predictions; bins (N, 3) hold confidence, accuracy, count."""

    def paint(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color=MUTED, linewidth=1, dashes=(4, 3))
        upper.vlines(bins[:, 0], bins[:, 0], bins[:, 1], color=SECOND, linewidth=3, alpha=0.5)
        upper.plot(bins[:, 0], bins[:, 1], "o-", color=FIRST, markersize=5.5, linewidth=1)
        upper.set(ylim=(-0.02, 1.04), ylabel="share that is right")
        lower.vlines(bins[:, 0], 0, bins[:, 2], color=FIRST, linewidth=7, alpha=0.8)
        lower.set(xlim=(-0.03, 1.04), ylim=(0, None), xlabel="confidence", ylabel="examples")
        lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        for axis in (upper.xaxis, upper.yaxis, lower.yaxis):
            axis.set_major_formatter(FuncFormatter(short))
        lower.grid(False, axis="x")

    return draw(prefix, label, paint, size=(5.4, 4.8))


def spans_decades(values: Array) -> bool:
    """Whether a logarithmic axis shows these values better: all positive, the largest 30 times the smallest or more."""
    return bool(values.min() > 0 and values.max() >= 30 * values.min())


def bucket_means(x: Array, y: Array, buckets: int) -> tuple[Array, Array]:
    """The means of `buckets` equal stretches of a curve."""
    starts = np.linspace(0, len(x), buckets + 1).astype(int)
    sizes = np.diff(starts)
    return np.add.reduceat(x, starts[:-1]) / sizes, np.add.reduceat(y, starts[:-1]) / sizes


def extremes(x: Array, y: Array, buckets: int) -> tuple[Array, Array]:
    """The lowest and the highest point of each stretch, so that no spike is lost when a curve is thinned."""
    if len(x) <= 2 * buckets:
        return x, y
    starts = np.linspace(0, len(x), buckets + 1).astype(int)
    kept = {0, len(x) - 1}
    for start, stop in itertools.pairwise(starts):
        kept |= {start + int(y[start:stop].argmin()), start + int(y[start:stop].argmax())}
    places = sorted(kept)
    return x[places], y[places]


def _curve(axes: Axes, line: Line) -> None:
    x, y = np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float)
    few = len(x) <= 40
    thin_x, thin_y = extremes(x, y, 300)
    if line.noisy and len(x) > 120:
        axes.plot(thin_x, thin_y, color=line.colour, alpha=0.28, linewidth=0.8)
        axes.plot(*bucket_means(x, y, 60), color=line.colour)
    else:
        marker = "o" if (few and not line.noisy) or len(x) == 1 else ""
        axes.plot(thin_x, thin_y, marker=marker, color=line.colour, markersize=3.5)


def _mark(axes: Axes, best: Best) -> None:
    axes.axvline(best.x, color=MUTED, linewidth=1, dashes=(4, 3))
    if best.y is not None:
        axes.plot([best.x], [best.y], "o", color=INK, markersize=6)
    low, high = axes.get_xlim()
    right = best.x > (low + high) / 2
    axes.annotate(
        best.text,
        (best.x, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4 if right else -4, 3),
        textcoords="offset points",
        ha="right" if right else "left",
        va="bottom",
        color=INK,
    )


def _logarithmic(axes: Axes, values: Array) -> None:
    axes.set_yscale("log")
    decades = np.log10(values.max() / values.min())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.2 else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


def short(value: float, _: int | None = None) -> str:
    """A tick's number: no trailing zeros, thousands with commas."""
    rounded = float(f"{value:.6g}")
    text = f"{rounded:,.0f}" if abs(rounded) >= 1000 and rounded == int(rounded) else f"{rounded:g}"
    return text.replace("-", "\u2212")
