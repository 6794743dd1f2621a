"""What each column of a table holds: inferred by rule, shown before training, and set by hand where the rule errs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import pandas as pd
from pandas.api import types

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.data.audio import SOUNDS
from penstock.data.cells import TRUTH_PAIRS, parse_booleans, parse_dates, parse_numbers, parse_texts, place, shown
from penstock.data.images import SUFFIXES as IMAGE_SUFFIXES

ColumnKind = Literal["number", "category", "boolean", "date", "image", "audio", "text", "skip"]
COLUMN_KINDS: tuple[ColumnKind, ...] = get_args(ColumnKind)

_MOST = 0.9  # the share of readable cells from which a column counts as numbers or dates with mistakes in it
_SENTENCE = 5  # words, from which a cell is running text and not a name; a Chinese character is half a word
_COUNTING_FROM = 10  # rows; in a shorter table 1, 2, 3 may be measurements


_CHINESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True)
class Column:
    """One column: its kind, its missing cells and distinct values, and a short text on what it holds."""

    name: str
    kind: ColumnKind
    missing: int
    distinct: int
    detail: str
    by_hand: bool


def infer_columns(frame: pd.DataFrame, given: Mapping[str, str] = {}) -> list[Column]:
    """The kind of every column, by the first rule that fits, unless `given` names it.

    1. no value at all, one and the same value in every row, nested values: skip;
    2. truth values (0 and 1, or one pair of true/false, yes/no, y/n, t/f): boolean;
    3. typed dates: date; typed categories: category; names of picture or sound files: image, audio;
    4. whole numbers that count the rows from 0 or 1 in order, at least ten of them: skip;
    5. at least 90 % finite numbers: number, and at least 90 % dates: date; reading one that holds anything else raises
       DataError with its place, because a mistake in the file is likelier than a category of numbers;
    6. words that differ on more than half of the rows, five and more on average: text;
    7. otherwise, where there are more than 50 values on more than half of the rows: skip, it looks like an identifier;
    8. all else: category.

    Raises RecipeError where `given` names a column or a kind that does not exist, DataError where two columns share a
    name.
    """
    names = [str(name) for name in frame.columns]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(
            "columns", f"{twice.count(twice[0])} columns are called {twice[0]!r}", "give each a name of its own"
        )
    for name, kind in given.items():
        if name not in names:
            raise RecipeError(f"--columns.{name}", f"there is no column {name!r}", suggest(name, names))
        if kind not in COLUMN_KINDS:
            raise RecipeError(f"--columns.{name}", f"{kind!r} is no kind of column", suggest(kind, COLUMN_KINDS))
    return [_column(name, frame[name], cast("ColumnKind | None", given.get(name))) for name in names]


def _column(name: str, series: pd.Series[Any], by_hand: ColumnKind | None) -> Column:
    words = None if _is_typed(series) else _words(series)
    missing, distinct = int(series.isna().sum()), series.nunique() if words is None else words.nunique()
    kind, reason = _rule(series, words, distinct) if by_hand is None else (by_hand, "skipped by hand")
    detail = reason if kind == "skip" else _DETAILS[kind](series)
    return Column(name, kind, missing, int(distinct), detail, by_hand is not None)


def _is_typed(series: pd.Series[Any]) -> bool:
    return bool(types.is_numeric_dtype(series.dtype) or types.is_datetime64_any_dtype(series.dtype))


def _words(series: pd.Series[Any]) -> pd.Series[Any]:
    return pd.Series(parse_texts(series)[0], index=series.index, dtype=object)


def _rule(series: pd.Series[Any], words: pd.Series[Any] | None, distinct: int) -> tuple[ColumnKind, str]:
    """The kind, and for a column to skip the reason."""
    present = int(series.notna().sum())
    if present == 0:
        return "skip", "every value is missing"
    if words is not None and parse_texts(series)[1].any():
        return "skip", "holds nested values, not single ones"
    if distinct == 1 and present == len(series):
        return "skip", f"constant: {shown(series.iloc[0])} in every row"
    if types.is_bool_dtype(series.dtype):
        return "boolean", ""
    if types.is_datetime64_any_dtype(series.dtype):
        return "date", ""
    if words is not None:
        return _rule_for_text(series, words.dropna(), distinct)
    return _rule_for_numbers(parse_numbers(series)[0])


def _rule_for_numbers(values: np.ndarray) -> tuple[ColumnKind, str]:
    present = values[~np.isnan(values)]
    if np.isin(present, (0, 1)).all() and 0 in present and 1 in present:
        return "boolean", ""
    if len(present) == len(values) >= _COUNTING_FROM and present[0] in (0, 1):
        counting = np.arange(len(values)) + present[0]
        if np.array_equal(present, counting):
            return "skip", f"counts the rows from {present[0]:.0f}"
    return "number", ""


def _rule_for_text(series: pd.Series[Any], words: pd.Series[Any], distinct: int) -> tuple[ColumnKind, str]:
    if isinstance(series.dtype, pd.CategoricalDtype):
        return "category", ""
    folded = {word.strip().casefold() for word in words.unique()} if distinct <= 8 else set()
    if any(folded <= set(pair) for pair in TRUTH_PAIRS if folded):
        return "boolean", ""
    if all(word.casefold().endswith(IMAGE_SUFFIXES) for word in words):
        return "image", ""
    if all(word.casefold().endswith(SOUNDS.suffixes) for word in words):
        return "audio", ""
    values, bad = parse_numbers(series)
    if not bad.any():
        return _rule_for_numbers(values)
    share = 1 - bad.sum() / len(words)
    if share >= _MOST:
        return "number", ""
    if 1 - parse_dates(series)[1].sum() / len(words) >= _MOST:
        return "date", ""
    if distinct > 10 and distinct > 0.5 * len(words) and sum(map(_length, words)) >= _SENTENCE * len(words):
        return "text", ""
    if distinct > 50 and distinct > 0.5 * len(words):
        some = f"; {100 * share:.0f} % of the values are numbers" if share >= 0.5 else ""
        return "skip", f"almost every value is different: an identifier?{some}"
    return "category", ""


def _length(cell: str) -> float:
    """In words, where there are spaces."""
    return len(cell.split()) + len(_CHINESE.findall(cell)) / 2


def _number_detail(series: pd.Series[Any]) -> str:
    values, bad = parse_numbers(series)
    sound = values[np.isfinite(values)]
    if not len(sound):
        return "no value is a number"
    text = f"{_short(sound.min())} to {_short(sound.max())}, mean {_short(sound.mean())}"
    return text + _exceptions(series, bad, "a number")


def _boolean_detail(series: pd.Series[Any]) -> str:
    values, bad = parse_booleans(series)
    sound = values[~np.isnan(values)]
    return (f"{100 * sound.mean():.0f} % true" if len(sound) else "no value is true or false") + _exceptions(
        series, bad, "true or false"
    )


def _date_detail(series: pd.Series[Any]) -> str:
    values, bad = parse_dates(series)
    sound = values[~np.isnat(values)].astype("datetime64[D]")
    return (f"{sound.min()} to {sound.max()}" if len(sound) else "no value is a date") + _exceptions(
        series, bad, "a date"
    )


def _category_detail(series: pd.Series[Any]) -> str:
    counts = _words(series).value_counts()
    if not len(counts):
        return "no value at all"
    most = sorted(counts.index[counts == counts.max()])[0]
    share = 100 * counts.max() / counts.sum()
    return f"{len(counts)} value{'s' * (len(counts) > 1)}, most common {shown(most)} {share:.0f} %"


def _files_detail(series: pd.Series[Any]) -> str:
    words = _words(series).dropna()
    return f"{words.nunique()} files, such as {shown(words.iloc[0])}" if len(words) else "no value at all"


def _text_detail(series: pd.Series[Any]) -> str:
    words = _words(series).dropna()
    if not len(words):
        return "no value at all"
    lengths = words.str.len()
    return f"{len(words):,} texts of {lengths.min():,} to {lengths.max():,} characters"


_DETAILS = {
    "number": _number_detail,
    "boolean": _boolean_detail,
    "date": _date_detail,
    "category": _category_detail,
    "image": _files_detail,
    "audio": _files_detail,
    "text": _text_detail,
}


def _exceptions(series: pd.Series[Any], bad: np.ndarray, wanted: str) -> str:
    """What to add where some cells are not what the column is."""
    if not bad.any():
        return ""
    row = int(bad.argmax())
    return f"; {shown(series.iloc[row])} ({place(series, row)}) is not {wanted}"


def _short(value: float) -> str:
    whole = value == int(value) or abs(value) >= 1e4
    return f"{value:.0f}" if whole and abs(value) < 1e12 else f"{value:.4g}"
