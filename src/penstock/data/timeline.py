"""Measurements in the order of time, from a table. N rows, C columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.core.errors import DataError, suggest
from penstock.data.cells import Dates, dates, numbers, parse_dates, parse_numbers, place
from penstock.data.features import LARGEST

Floats = NDArray[np.float64]
_MOST = 0.9  # the share of readable cells from which a column counts as dates, or numbers, with mistakes in it


@dataclass(frozen=True)
class Timeline:
    """`values` (N, C) without gaps of the columns `names`, and `times` (N,) of the column `time`, where there is one.

    So many values were `missing` and have been filled in; `places` say where the rows stand, `notes` are sentences on
    what was done to the table and what is odd about it.
    """

    names: tuple[str, ...]
    values: Floats
    missing: tuple[int, ...]
    time: str | None
    times: Dates | None
    places: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def moment(self, row: int) -> str:
        """When a row was measured, in words."""
        return self.places[row] if self.times is None else spoken(self.times[row])

    def after(self, steps: int) -> list[str]:
        """When the next so many rows would be: dates in the usual step, or "+1", "+2", ... ."""
        if self.times is None or len(self.times) < 2:
            return [f"+{step + 1}" for step in range(steps)]
        moments = pd.DatetimeIndex(following(self.times, steps))
        form = "%Y-%m-%d" if (moments == moments.normalize()).all() else "%Y-%m-%d %H:%M:%S"
        said = list(moments.strftime(form))
        return [text.removesuffix(":00") for text in said] if all(text.endswith(":00") for text in said) else said


def read_timeline(
    frame: pd.DataFrame,
    origin: str,
    *,
    time: str | None = None,
    columns: Sequence[str] | None = None,
    needed: Sequence[str] = (),
) -> Timeline:
    """Order the rows by time, and fill gaps with the last value before them.

    `time` is the column of dates; not given, the first one that holds dates; where there is none, the rows are taken to
    be in order. `columns` are the numbers to keep; not given, all that are numbers and those `needed`. Raises DataError
    for a column that is missing, a cell that is no date or no number, and two rows of one moment.
    """
    named = [str(name) for name in frame.columns]
    for name in [*([time] if time else []), *(columns or needed)]:
        if name not in named:
            raise DataError(origin, f"there is no column {name!r}", suggest(name, named))
    time = time or next((name for name in named if name not in (columns or needed) and _holds_dates(frame[name])), None)
    notes: list[str] = []
    times = None
    if time is not None:
        times = _moments(frame[time])
        order = times.argsort(kind="stable")
        if (order[1:] < order[:-1]).any():
            notes.append(f"the rows were not in the order of {time!r}: they have been sorted")
        frame, times = frame.iloc[order], times[order]
        _refuse_twice(frame[time], times)
        notes += _uneven(times)
    others = [name for name in named if name != time]
    if columns is None:
        columns = [name for name in others if name in needed or _holds_numbers(frame[name])]
        left = [name for name in others if name not in columns]
        notes += [f"{name!r} was left out: it does not hold numbers" for name in left]
    if not columns:
        raise DataError(origin, "no column holds numbers", "add one to forecast")
    filled, missing = zip(*[_filled(frame[name]) for name in columns], strict=True)
    gaps = ", ".join(f"{count:,} of {name!r}" for name, count in zip(columns, missing, strict=True) if count)
    notes += [f"missing values were taken to be the last ones before them: {gaps}"] if gaps else []
    places = tuple(place(frame[columns[0]], row) for row in range(len(frame)))
    return Timeline(tuple(columns), np.stack(filled, 1), missing, time, times, places, tuple(notes))


def following(times: Dates, steps: int) -> Dates:
    """The next moments (steps,): by the calendar where the times follow it, else in the commonest step."""
    index, gaps = pd.DatetimeIndex(times), np.diff(times)
    usual, day = _commonest(gaps), np.timedelta64(1, "D")
    ahead = range(1, steps + 1)
    if usual == day and len(index) > 7 and not (index.day_of_week >= 5).any():
        found = [index[-1] + pd.offsets.BDay(step) for step in ahead]
    elif usual >= 28 * day and len(months := np.unique(np.diff(index.year * 12 + index.month))) == 1:
        apart, ends = int(months[0]), index.is_month_end.all()
        offsets = (pd.offsets.MonthEnd(apart * n) if ends else pd.DateOffset(months=apart * n) for n in ahead)
        found = [index[-1] + offset for offset in offsets]
    else:
        return np.asarray(times[-1] + usual * np.arange(1, steps + 1))
    return pd.DatetimeIndex(found).to_numpy().astype("datetime64[us]")


def spoken(moment: np.datetime64) -> str:
    """A moment as one writes it: the date, and the time where there is one."""
    text = str(pd.Timestamp(moment))
    return text.removesuffix(" 00:00:00").removesuffix(":00") if text.endswith(":00") else text


def season_of(values: Floats, longest: int = 1000) -> int:
    """After how many rows the values (N, C) come again: 1 where they do not.

    The shortest lag at which the autocorrelation, having fallen by 0.3, is back at a top of 0.3 or more, within 3 % of
    the highest such top: a series that only wanders has small tops on a slope. Where the values show no season, for a
    trend hides it, their differences may, with 0.5 in place of 0.3.
    """
    most = min(longest, len(values) // 3)
    if most < 2:
        return 1
    found = _period(values, most, 0.3)
    return found if found > 1 else _period(np.diff(values, axis=0), most, 0.5)  # of noise they swing by themselves


def _period(values: Floats, most: int, least: float) -> int:
    count = len(values)
    spectrum = np.fft.rfft(values - values.mean(0), 2 * count, axis=0)
    power = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[: most + 2].T  # (C, lags)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.nan_to_num(power / power[:, :1]).mean(0) * count / (count - np.arange(most + 2))
    inner = correlation[1:-1]
    tops = 1 + np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]))
    lowest = np.minimum.accumulate(correlation)[tops]
    tops = tops[(correlation[tops] >= least) & (correlation[tops] - lowest >= least)]
    return int(tops[correlation[tops] >= 0.97 * correlation[tops].max()][0]) if len(tops) else 1


def _holds_dates(series: pd.Series[Any]) -> bool:
    present = int(series.notna().sum())
    if not present or pd.api.types.is_numeric_dtype(series.dtype):
        return False
    values, _ = parse_dates(series)
    return bool((~np.isnat(values)).sum() >= _MOST * present)


def _holds_numbers(series: pd.Series[Any]) -> bool:
    present = int(series.notna().sum())
    values, bad = parse_numbers(series)
    return present > 0 and int((~np.isnan(values) & ~bad).sum()) >= _MOST * present


def _moments(series: pd.Series[Any]) -> Dates:
    values = dates(series)
    missing = np.isnat(values)
    if missing.any():
        row = int(missing.argmax())
        raise DataError(place(series, row), f"column {str(series.name)!r} is missing", "say when the row was measured")
    return values


def _refuse_twice(series: pd.Series[Any], times: Dates) -> None:
    twice = np.flatnonzero(np.diff(times) == np.timedelta64(0))
    if len(twice):
        row = int(twice[0]) + 1
        problem = f"column {str(series.name)!r} says {spoken(times[row])} a second time"
        raise DataError(place(series, row), problem, "give one row a moment: one series a file")


def _commonest(gaps: NDArray[np.timedelta64]) -> np.timedelta64:
    found, counts = np.unique(gaps, return_counts=True)
    return np.timedelta64(found[counts.argmax()])


def _uneven(times: Dates) -> list[str]:
    """A note where some steps are far from the usual one. Weekends and lengths of months are no fault."""
    if len(times) < 3:
        return []
    gaps = np.diff(times)
    usual = _commonest(gaps)
    odd = int(((gaps > 5 * usual) | (gaps < usual / 2)).sum())
    worst = int(gaps.argmax())
    where = f"the longest from {spoken(times[worst])} to {spoken(times[worst + 1])}"
    return [f"{odd:,} steps in time are not of the usual length, {where}"] if odd else []


def _filled(series: pd.Series[Any]) -> tuple[Floats, int]:
    """Numbers without gaps, each the last value before it, or the first value there is; and how many there were."""
    values = pd.Series(numbers(series))
    missing = int(values.isna().sum())
    if missing == len(values):
        raise DataError(f"column {str(series.name)!r}", "it has no value at all", "leave it out")
    filled = np.asarray(values.ffill().bfill(), dtype=np.float64)
    large = np.abs(filled) > LARGEST
    if large.any():
        row = int(large.argmax())
        problem = f"column {str(series.name)!r} holds {filled[row]:g}, beyond float32"
        raise DataError(place(series, row), problem, "scale it, or take its logarithm")
    return filled, missing
