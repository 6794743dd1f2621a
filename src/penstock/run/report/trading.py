"""What a trader has earned, beside those who need no skill: equity, losses from a peak, positions."""

from __future__ import annotations

import numpy as np

from penstock.run.report.markup import Column, Html, Section, element, join, number, percent, table
from penstock.run.report.named_curves import named_curves
from penstock.run.report.played import Trader, Traders
from penstock.run.report.plots import Line
from penstock.run.report.records import RunRecord
from penstock.run.report.svg import FIRST, MUTED, SECOND, THIRD

_COLOURS = (FIRST, SECOND, MUTED, THIRD)
_DAYS = "day of the test"
_SHARES = ("profit", "yearly", "drawdown")
_NAMES = {"profit": "profit", "yearly": "growth a year", "drawdown": "drawdown", "sharpe": "Sharpe ratio"}
_NAMES["turnover"] = "turnover a year"


def trading(run: RunRecord) -> Section | None:
    """A table of all of them, and their curves."""
    found = run.evaluation.trading if run.evaluation is not None else None
    if found is None or not found.traders or any(not _fits(found, trader) for trader in found.traders):
        return None
    note = (
        "The days are later than all those learned from, and were traded once. One series of prices is one sample: "
        "what was earned on it may be chance, and another seed may not find it again."
    )
    plots = [plot for plot in (_equity(found), _drawdown(found), _held(found)) if plot is not None]
    body = join([element("p", note, class_="note"), _table(found), element("div", *plots, class_="figures")])
    return Section("trading", "Trading", body)


def _table(found: Traders) -> Html:
    columns = [Column("trader"), *(Column(name, numeric=True) for name in _NAMES.values())]
    rows = [[trader.name, *(_value(name, trader.metrics.get(name)) for name in _NAMES)] for trader in found.traders]
    return table("What each trader has made of the test", columns, rows)


def _value(name: str, value: float | None) -> str:
    return percent(value) if name in _SHARES and value is not None else number(value)


def _equity(found: Traders) -> Html | None:
    drawn = zip(found.traders, _COLOURS, strict=False)
    lines = {trader.name: Line(found.day, trader.equity, colour) for trader, colour in drawn}
    words = "; ".join(f"{trader.name} ends at {number(trader.equity[-1])}" for trader in found.traders)
    return named_curves("equity", "Equity", lines, _DAYS, words=words, note="what became of 1, after costs")


def _drawdown(found: Traders) -> Html | None:
    own = np.asarray(found.traders[0].equity)
    lost = 1 - own / np.maximum.accumulate(own)
    words = f"{number(float(lost.max()))} at worst"
    note = f"of the {found.traders[0].name}: the loss since the best day before"
    return named_curves(
        "drawdown", "Drawdown", {"loss": Line(found.day, lost.tolist(), FIRST)}, _DAYS, words=words, note=note
    )


def _held(found: Traders) -> Html | None:
    own = found.traders[0]
    words = f"{number(float(np.mean(own.held)))} on average"
    line = Line(found.day[: len(own.held)], own.held, FIRST)
    note = f"of the {own.name}, as a share of its wealth"
    return named_curves("held", "Position", {"held": line}, _DAYS, words=words, note=note)


def _fits(found: Traders, trader: Trader) -> bool:
    """Whether there is a finite number above 0 for each day."""
    numbers = np.asarray(trader.equity)
    if len(numbers) != len(found.day) or len(numbers) < 2 or len(trader.held) != len(found.day):
        return False
    return bool(np.isfinite(numbers).all() and (numbers > 0).all() and np.isfinite(trader.held).all())
