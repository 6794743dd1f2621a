"""Prices from a table, as brokers and exchanges give them out: a row a day, with the closing price and the volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from penstock.core.errors import DataError, suggest
from penstock.data.tables import read_table
from penstock.data.timeline import Timeline, read_timeline
from penstock.rl.markets import Prices

_CLOSES = ("adjclose", "adjustedclose", "close", "closingprice", "price", "last", "收盘", "收盘价")
"""What the column of prices is called, the first that there is; adjusted ones know of dividends and splits."""
_VOLUMES = ("volume", "vol", "成交量")


@dataclass(frozen=True)
class Market:
    """Prices, the names of the columns that they are from, and when they were."""

    prices: Prices
    timeline: Timeline
    close: str
    volume: str | None

    def day(self, row: int) -> str:
        """When a row was, in words."""
        return self.timeline.moment(row)


def read_prices(path: Path, *, close: str | None = None, volume: str | None = None) -> Market:
    """The prices of a table, in the order of its dates.

    Columns that are not named are known by what they are usually called; a table may do without volumes. Raises
    DataError where there are no prices, or one is not above 0, naming its row.
    """
    frame = read_table(path)
    names = [str(name) for name in frame.columns]
    close = close or _known(names, _CLOSES)
    if close is None:
        numeric = [name for name in names if pd.to_numeric(frame[name], errors="coerce").notna().mean() > 0.9]
        listed = ", ".join(numeric) or "none of them holds numbers"
        problem = f"no column is called close or price (there are: {listed})"
        raise DataError(path, problem, "name it: --trading.close COLUMN")
    for name in (close, *([volume] if volume else [])):
        if name not in names:
            raise DataError(path, f"there is no column {name!r}", suggest(name, names))
    volume = volume or _known(names, _VOLUMES)
    chosen = [close, *([volume] if volume else [])]
    try:
        timeline = read_timeline(frame, str(path), columns=chosen)
    except DataError as error:
        raise DataError(error.where, error.problem, "mend it, or leave the row out") from None
    for column, (name, least) in enumerate(zip(chosen, ("above 0", "0 or more"), strict=False)):
        values = timeline.values[:, column]
        bad = np.flatnonzero(~(values > 0) if column == 0 else ~(values >= 0))
        if len(bad):
            where = timeline.places[bad[0]]
            raise DataError(
                where, f"{name!r} is {values[bad[0]]:g}, where it should be {least}", "mend or leave it out"
            )
    columns = [torch.from_numpy(np.ascontiguousarray(column)) for column in timeline.values.T]
    return Market(Prices(*columns), timeline, close, volume)


def _known(names: Sequence[str], usual: Sequence[str]) -> str | None:
    """The column that is called by the first of the usual names; capitals, spaces and the like do not matter."""
    plain = {"".join(c for c in name.casefold() if c.isalnum()): name for name in reversed(names)}
    return next((plain[name] for name in usual if name in plain), None)
