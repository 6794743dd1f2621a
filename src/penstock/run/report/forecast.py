"""How a series went on, and what had been told of it."""

from __future__ import annotations

import numpy as np

from penstock.run.report.bands import bands
from penstock.run.report.findings import Forecast, Window
from penstock.run.report.markup import Html, Section, element, figure, join, number, percent
from penstock.run.report.plots import Array, Line, curves
from penstock.run.report.records import RunRecord
from penstock.run.report.svg import FIRST, SECOND, THIRD

MOST = 6
_RULES = {"model": (FIRST, "first", "model"), "last": (SECOND, "second", "stay at the last value")}
_RULES["seasonal"] = (THIRD, "third", "the same as a season before")


def forecast(run: RunRecord) -> Section | None:
    """The error by how far ahead it is, and a few windows with their bands."""
    found = run.evaluation.forecast if run.evaluation is not None else None
    if found is None or 0.5 not in found.levels:
        return None
    plots = [plot for plot in [_steps(found), *_windows(found)] if plot is not None]
    if not plots:
        return None
    return Section("forecast", "Forecasts", join([_held(found), element("div", *plots, class_="figures")]))


def _held(found: Forecast) -> Html:
    """A sentence on how often the truth was in the band."""
    low, high = found.levels[0], found.levels[-1]
    if found.coverage is None or low == high:
        return element("p", "The line in blue is the median of what was told.", class_="note")
    said = (
        f"The truth lay between the quantiles {low:g} and {high:g} in {percent(found.coverage)} of all steps; "
        f"{percent(high - low)} would be exact. The band is drawn around the median; the dark line is what came."
    )
    return element("p", said, class_="note")


def _steps(found: Forecast) -> Html | None:
    rules = [(rule, values) for rule, values in found.steps.items() if rule in _RULES and None not in values]
    if not rules or len(rules[0][1]) < 2:
        return None
    lines = [
        Line(range(1, len(values) + 1), [v for v in values if v is not None], _RULES[rule][0]) for rule, values in rules
    ]
    what = "mean absolute error" if len(found.columns) == 1 else "mean absolute error, relative to a season before"
    words = "; ".join(f"{_RULES[rule][2]} from {number(values[0])} to {number(values[-1])}" for rule, values in rules)
    label = f"The {what} over the steps ahead: {words}."
    keys = [(_RULES[rule][1], _RULES[rule][2]) for rule, _ in rules]
    return figure("Error by steps ahead", curves("ahead", label, lines, "rows ahead"), keys, note=f"The {what}.")


def _windows(found: Forecast) -> list[Html]:
    """The windows of the first column, then those of the next, as many as there is room for."""
    places = [(column, at) for column in range(len(found.columns)) for at in range(len(found.windows))]
    if len(found.columns) > 1:
        each = max(MOST // len(found.columns), 1)
        places = [(column, at) for column, at in places if at < each]
    drawn = (_window(found, column, at, found.windows[at]) for column, at in places[:MOST])
    return [plot for plot in drawn if plot is not None]


def _window(found: Forecast, column: int, at: int, window: Window) -> Html | None:
    try:
        known, target, quantiles = (
            np.array(part[column], dtype=float) for part in (window.known, window.target, window.quantiles)
        )
    except (IndexError, ValueError):  # of unequal lengths
        return None
    if not _fits(known, target, quantiles, len(found.levels)):
        return None
    middle = found.levels.index(0.5)
    name = found.columns[column]
    label = (
        f"{name}, window {at + 1}: known up to {number(known[-1])}; {len(target)} rows later it was "
        f"{number(target[-1])}, and {number(quantiles[middle, -1])} had been told."
    )
    svg = bands(f"window-{column}-{at}", label, known, target, quantiles, middle)
    return figure(f"{name}, window {at + 1}", svg, [("first", "told")])


def _fits(known: Array, target: Array, quantiles: Array, levels: int) -> bool:
    finite = all(np.isfinite(part).all() for part in (known, target, quantiles))
    return bool(finite and known.ndim == 1 and len(known) and quantiles.shape == (levels, len(target)) and len(target))
