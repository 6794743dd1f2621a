"""The cells of one column of a table, read as numbers, truth values, dates or text.

`parse_...` gives what could be read and a mask of the cells that could not; the plain verbs (`numbers`, `booleans`,
`dates`, `texts`) raise DataError naming the first of those: its place, its column, its value.
"""

from __future__ import annotations

import datetime
import re
import shlex
from collections.abc import Callable
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from penstock.core.errors import DataError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Objects = NDArray[np.object_]
Dates = NDArray[np.datetime64]

TRUTH_PAIRS = (("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("是", "否"))
"""The words, in any case, that a boolean column may consist of."""

_TRUTH = {"1": 1.0, "0": 0.0} | {word: 1.0 - side for pair in TRUTH_PAIRS for side, word in enumerate(pair)}
_DATE = re.compile(
    r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})"
    r"(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(?:(Z)| ?([+-])(\d{2}):?(\d{2}))?)?",
    re.ASCII,
)
_PLAIN_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d)?", re.ASCII)


def numbers(series: pd.Series[Any]) -> Floats:
    """The column as float64, NaN where a cell is missing.

    Thousands separators and units are not guessed, infinity is refused. Raises DataError naming the first bad cell.
    """
    values, bad = parse_numbers(series)
    _refuse(series, bad, "a finite number" if _infinite(series, bad) else "a number")
    return values


def booleans(series: pd.Series[Any]) -> Floats:
    """The column as 1.0 (true, yes, y, t, 1) and 0.0, NaN where missing. Raises DataError naming the first bad cell."""
    values, bad = parse_booleans(series)
    _refuse(series, bad, "true or false")
    return values


def dates(series: pd.Series[Any]) -> Dates:
    """The column as datetime64[us], NaT where missing; a time with an offset becomes UTC.

    Text is YYYY-MM-DD or YYYY/MM/DD with an optional time. Raises DataError naming the first bad cell.
    """
    values, bad = parse_dates(series)
    _refuse(series, bad, "a date like 2024-02-29 or 2024-02-29 18:30")
    return values


def texts(series: pd.Series[Any]) -> Objects:
    """The column as `str`, None where missing: whole numbers print as "3", truth values as "true" and "false".

    Raises DataError naming the first cell that holds a list or another nested value.
    """
    values, bad = parse_texts(series)
    _refuse(series, bad, "a single value", "skip")
    return values


def parse_numbers(series: pd.Series[Any]) -> tuple[Floats, Mask]:
    """As `numbers`, with a mask of the cells that are not finite numbers (NaN, or infinite, in the values)."""
    values: Floats
    if types.is_numeric_dtype(series.dtype) and not types.is_complex_dtype(series.dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return values, np.isinf(values)
    cells, present = _cells(series)
    values = np.full(len(series), np.nan)
    values[present] = _floats(cells[present])
    return values, present & ~np.isfinite(values)


def parse_booleans(series: pd.Series[Any]) -> tuple[Floats, Mask]:
    """As `booleans`, with a mask of the cells that are neither (NaN in the values)."""
    values = np.full(len(series), np.nan)
    if types.is_numeric_dtype(series.dtype):
        given, _ = parse_numbers(series)
        sound = (given == 0) | (given == 1)
        values[sound] = given[sound]
        return values, ~sound & ~np.isnan(given)
    cells, present = _cells(series)
    values[present] = _each(cells[present], _truth, np.float64)
    return values, present & np.isnan(values)


def parse_dates(series: pd.Series[Any]) -> tuple[Dates, Mask]:
    """As `dates`, with a mask of the cells that are not dates (NaT in the values)."""
    if types.is_datetime64_any_dtype(series.dtype):
        plain = pd.DatetimeIndex(series)
        plain = plain if plain.tz is None else plain.tz_convert("UTC").tz_localize(None)
        return plain.to_numpy().astype("datetime64[us]"), np.zeros(len(series), dtype=bool)
    cells, present = _cells(series)
    values = np.full(len(series), np.datetime64("NaT"), dtype="datetime64[us]")
    values[present] = _each(cells[present], _date, "datetime64[us]", _plain_dates)
    return values, present & np.isnat(values)


def parse_texts(series: pd.Series[Any]) -> tuple[Objects, Mask]:
    """As `texts`, with a mask of the cells that hold nested values (None in the texts)."""
    values = np.full(len(series), None, dtype=object)
    if types.is_numeric_dtype(series.dtype):
        codes, distinct = pd.factorize(series)
        words = np.array([*map(_text, distinct), None], dtype=object)
        return words[codes], np.zeros(len(series), dtype=bool)
    cells, present = _cells(series)
    values[present] = cells[present] if _is_text(cells[present]) else _each(cells[present], _text, object)
    return values, present & np.array([value is None for value in values], dtype=bool)


def place(series: pd.Series[Any], row: int) -> str:
    """Where a cell stands, as its reader named it ("housing.csv:17"); "row 17" under a plain numeric index."""
    label = series.index[row]
    return label if isinstance(label, str) else f"row {label}"


def shell(word: str) -> str:
    """A word as one would type it in a shell: quoted only where it must be; letters of any alphabet stay bare."""
    return word if word and all(sign.isalnum() or sign in "-_./@%+=:," for sign in word) else shlex.quote(word)


def shown(value: object) -> str:
    """A cell as an error quotes it: text in quotes, shortened where it is long."""
    text = str(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    return repr(text) if isinstance(value, str) else text


_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def _refuse(series: pd.Series[Any], bad: Mask, wanted: str, instead: str = "category") -> None:
    if not bad.any():
        return
    row = int(bad.argmax())
    value = series.iloc[row]
    what = f"column {str(series.name)!r} holds {shown(value)}, which is not {wanted}"
    if _DECIMAL_COMMA.fullmatch(str(value)):
        raise DataError(place(series, row), what, f"write decimals with a point, {str(value).replace(',', '.')}")
    raise DataError(
        place(series, row),
        what,
        f"correct it, declare it missing with --missing {shell(str(value)[:60])}, "
        f"or say what the column is with {shell(f'--columns.{series.name}')} {instead}",
    )


def _infinite(series: pd.Series[Any], bad: Mask) -> bool:
    """Whether the first bad cell is a number of its kind, only not a finite one."""
    if not bad.any():
        return False
    cell = series.iloc[int(bad.argmax())]
    return isinstance(cell, Real) or str(cell).strip().casefold().lstrip("+-") in ("inf", "infinity", "nan")


def _cells(series: pd.Series[Any]) -> tuple[Objects, Mask]:
    """The cells as Python objects, and which of them are there."""
    return series.to_numpy(dtype=object), ~series.isna().to_numpy(dtype=bool)


def _is_text(cells: Objects) -> bool:
    return types.infer_dtype(cells, skipna=False) in ("string", "empty")


def _each(
    cells: Objects, parse: Callable[[Any], Any], dtype: Any, fast: Callable[[list[str]], Any] | None = None
) -> Any:
    """`parse` over cells, once for each distinct text; `fast` may do all texts in one go, or give None."""
    if not _is_text(cells):
        return np.array([parse(cell) for cell in cells], dtype=dtype)
    codes, distinct = pd.factorize(cells)
    done = fast(list(distinct)) if fast else None
    return (np.array([parse(cell) for cell in distinct], dtype=dtype) if done is None else done)[codes]


def _floats(cells: Objects) -> Floats:
    # float() reads "1_000"; a table that says so more probably means something else
    if _is_text(cells) and "_" not in "".join(cells):
        try:
            return cells.astype(np.float64)
        except ValueError:
            pass
    return np.asarray(_each(cells, _float, np.float64))


def _float(cell: Any) -> float:
    if (isinstance(cell, str) and "_" in cell) or not isinstance(cell, str | Real | Decimal | np.bool_):
        return np.nan
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return np.nan


def _truth(cell: Any) -> float:
    if isinstance(cell, str):
        return _TRUTH.get(cell.strip().casefold(), np.nan)
    value = _float(cell)
    return value if value in (0.0, 1.0) else np.nan


def _date(cell: Any) -> datetime.datetime | None:
    if isinstance(cell, datetime.datetime):
        return cell.astimezone(datetime.UTC).replace(tzinfo=None) if cell.tzinfo else cell
    if isinstance(cell, datetime.date):
        return datetime.datetime(cell.year, cell.month, cell.day)
    found = _DATE.fullmatch(cell) if isinstance(cell, str) else None
    if found is None:
        return None
    year, _, month, day, hour, minute, second, fraction, _, sign, offset_hours, offset_minutes = found.groups()
    try:
        clock = datetime.time(
            int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "").ljust(6, "0")[:6])
        )
        moment = datetime.datetime.combine(datetime.date(int(year), int(month), int(day)), clock)
        offset = datetime.timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
        return moment + offset if sign == "-" else moment - offset
    except (ValueError, OverflowError):
        return None


def _plain_dates(distinct: list[str]) -> Dates | None:
    """Texts that are all zero-padded and without an offset, by NumPy at once; None where one is not."""
    if not all(map(_PLAIN_DATE.fullmatch, distinct)):
        return None
    try:
        return np.array(distinct, dtype="datetime64[us]")
    except ValueError:
        return None


def _text(cell: Any) -> str | None:
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, Integral):
        return str(int(cell))
    if isinstance(cell, Real | Decimal):
        value = float(cell)
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(cell)
    return str(cell) if isinstance(cell, str | datetime.date) else None
