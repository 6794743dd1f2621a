"""Curves with names, as a figure with the key to their colours."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.recipes.palette import COLOURS as PALETTE
from penstock.run.report.markup import Html, element, figure, join, number
from penstock.run.report.plots import Best, Line, curves
from penstock.run.report.records import RunRecord
from penstock.run.report.svg import FIRST, MUTED, SECOND, THIRD

COLOURS = (FIRST, SECOND, THIRD)
_CLASSES = {FIRST: "first", SECOND: "second", THIRD: "third", MUTED: "muted"}


def series(run: RunRecord, split: str, key: str, across: str) -> tuple[list[float], list[float]]:
    """The points of one curve; rows without a finite number there are left out."""
    rows = [row for row in run.rows.get(split, []) if key in row and across in row]
    return [row[across] for row in rows], [row[key] for row in rows]


def coloured_curves(prefix: str, title: str, lines: Mapping[str, tuple[list[float], list[float]]], across: str) -> Html:
    """So many curves that the page's own colours do not suffice: each name with its colour stands below them."""
    drawn = [Line(x, y, PALETTE[at % len(PALETTE)]) for at, (x, y) in enumerate(lines.values())]
    words = "; ".join(f"{name} from {number(y[0])} to {number(y[-1])}" for name, (_, y) in lines.items())
    svg = curves(prefix, f"{title} over {across}: {words}.", drawn, across)
    keys = [
        element("li", element("span", "●", style=f"color:{line.colour}"), " ", name)
        for name, line in zip(lines, drawn, strict=True)
    ]
    return join([figure(title, svg), element("ul", *keys, class_="classes")])


def named_curves(
    prefix: str,
    title: str,
    lines: Mapping[str, Line],
    across: str,
    *,
    words: str | None = None,
    best: Best | None = None,
    note: str = "",
) -> Html | None:
    """Nothing where there are no lines, a key where there are several.

    `words` tell those who do not see it what it shows: from where to where each line goes, if not given.
    """
    if not lines:
        return None
    if words is None:
        words = "; ".join(f"{name} from {number(line.y[0])} to {number(line.y[-1])}" for name, line in lines.items())
    svg = curves(prefix, f"{title} over {across}: {words}.", list(lines.values()), across, best)
    keys = [(_CLASSES[line.colour], name) for name, line in lines.items()]
    return figure(title, svg, keys if len(keys) > 1 else (), note)
