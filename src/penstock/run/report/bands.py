"""A series with what was told of its future: a line in a band."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from penstock.run.report.markup import Html
from penstock.run.report.plots import Array, short
from penstock.run.report.svg import FIRST, INK, MUTED, draw


def bands(prefix: str, label: str, known: Array, target: Array, quantiles: Array, middle: int) -> Html:
    """What was known (T,), what came (F,) and the quantiles told (Q, F), over rows relative to the last known one.

    Each pair of quantiles, from without to within, is a band darker than the one before it.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        last = known[-1:]
        past, ahead = np.arange(1 - len(known), 1), np.arange(len(target) + 1)
        pairs = min(middle, len(quantiles) - 1 - middle)
        for pair in range(pairs):
            low, high = (np.concatenate([last, quantiles[at]]) for at in (pair, -1 - pair))
            axes.fill_between(ahead, low, high, color=FIRST, alpha=0.22, linewidth=0)
        axes.plot(past, known, color=MUTED, linewidth=1.4)
        axes.plot(ahead, np.concatenate([last, target]), color=INK, linewidth=1.4)
        axes.plot(ahead, np.concatenate([last, quantiles[middle]]), color=FIRST)
        axes.axvline(0, color=MUTED, linewidth=1, dashes=(4, 3))
        axes.set_xlabel("rows after the last known one")
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(short))
        axes.grid(False, axis="x")

    return draw(prefix, label, paint)
