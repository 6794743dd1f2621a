"""What is learned from one column of the training rows, and how it turns that column into numbers or indices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from penstock.core.errors import CheckpointError, DataError
from penstock.data.cells import Dates, Floats, booleans, dates, numbers, shell, texts

Scaling = Literal["standard", "quantile"]

_LEVELS = 256
_EDGE = 5.199337582605575  # the standard normal's quantile at 1 - 1e-7, where scikit-learn's QuantileTransformer ends
_DAY = 86_400_000_000  # microseconds
_MINUTES = 1440


@dataclass(frozen=True)
class NumberColumn:
    """A number, a truth value or the days of a date: imputed, scaled, with an indicator where training had gaps.

    `quantiles` are the training values at equally spaced levels; with them a value becomes the standard normal quantile
    of its level (ties take the middle of their levels), without them (value - mean) / std.
    """

    fill: float
    mean: float
    std: float
    indicator: bool
    quantiles: tuple[float, ...] = ()

    @classmethod
    def fit(cls, values: Floats, scaling: Scaling = "standard") -> NumberColumn:
        """From the training rows' values, NaN where missing; at least one is there."""
        missing = np.isnan(values)
        present = values[~missing]
        fill = float(np.median(present))
        if present.min() == present.max():
            return cls(fill, float(present[0]), 1.0, bool(missing.any()))
        levels = np.linspace(0, 1, min(_LEVELS, len(present)))
        quantiles = tuple(np.quantile(present, levels).tolist()) if scaling == "quantile" else ()
        # in units of the largest, so that the squares of huge or tiny values stay within range
        unit = float(np.abs(present).max())
        mean, std = float((present / unit).mean()) * unit, float((present / unit).std()) * unit
        return cls(fill, mean, std or 1.0, bool(missing.any()), quantiles)

    def encode(self, values: Floats) -> list[Floats]:
        """(N,) values, NaN where missing, to the scaled values, and the indicator if there is one."""
        missing = np.isnan(values)
        whole = np.where(missing, self.fill, values)
        with np.errstate(over="ignore"):  # whoever narrows the values to float32 refuses what is infinite there
            scaled = self._normal(whole) if self.quantiles else (whole - self.mean) / self.std
        return [scaled, missing.astype(np.float64)] if self.indicator else [scaled]

    def _normal(self, values: Floats) -> Floats:
        known = np.array(self.quantiles)
        levels = np.linspace(0, 1, len(known))
        level = 0.5 * (np.interp(values, known, levels) - np.interp(-values, -known[::-1], -levels[::-1]))
        level = np.where(values <= known[0], 0.0, np.where(values >= known[-1], 1.0, level))
        return np.asarray(torch.special.ndtri(torch.from_numpy(level)).clamp(-_EDGE, _EDGE).numpy())


@dataclass(frozen=True)
class NumericColumn:
    """A column that becomes one or more numbers: of kind number, boolean or date."""

    name: str
    kind: str
    scale: NumberColumn
    clock: bool = False
    """Whether a date's time of day is used: some training row has one."""

    @classmethod
    def fit(cls, series: pd.Series[Any], kind: str, scaling: Scaling) -> NumericColumn:
        """From the training rows. Raises DataError where no row has a value, or one cannot be read."""
        name = str(series.name)
        moments = dates(series) if kind == "date" else None
        values = _days(moments) if moments is not None else booleans(series) if kind == "boolean" else numbers(series)
        if np.isnan(values).all():
            raise DataError(
                "training rows",
                f"column {name!r} has no value in any of the {len(series)} rows",
                f"leave it out with {shell(f'--columns.{name}')} skip, or choose another split",
            )
        if kind == "boolean":
            missing = np.isnan(values)
            most = float(values[~missing].mean() > 0.5)
            return cls(name, kind, NumberColumn(most, 0.0, 1.0, bool(missing.any())))
        if moments is not None:
            return cls(name, kind, NumberColumn.fit(values), bool((values[~np.isnan(values)] % 1 != 0).any()))
        return cls(name, kind, NumberColumn.fit(values, scaling))

    @property
    def feature_names(self) -> list[str]:
        """A name for each number."""
        turns = ["month", "weekday"] + ["hour"] * self.clock if self.kind == "date" else []
        waves = [f"{self.name}:{turn} {wave}" for turn in turns for wave in ("sin", "cos")]
        return [self.name] + [f"{self.name}:missing"] * self.scale.indicator + waves

    def encode(self, series: pd.Series[Any]) -> list[Floats]:
        """The (N,) numbers, as many as there are names. Raises DataError at a cell that cannot be read."""
        if self.kind == "date":
            moments = dates(series)
            return self.scale.encode(_days(moments)) + _waves(moments, self.clock)
        return self.scale.encode(booleans(series) if self.kind == "boolean" else numbers(series))

    def to_json(self) -> dict[str, Any]:
        """JSON values; floats keep every bit."""
        return vars(self) | {"scale": vars(self.scale) | {"quantiles": list(self.scale.quantiles)}}

    @classmethod
    def from_json(cls, value: object) -> NumericColumn:
        """The reverse of `to_json`. Raises CheckpointError where `value` is nothing of the sort."""
        outer = read(value, name=str, kind=str, scale=dict, clock=bool)
        inner = read(outer["scale"], fill=float, mean=float, std=float, indicator=bool, quantiles=list)
        quantiles = inner["quantiles"]
        if outer["kind"] not in ("number", "boolean", "date") or inner["std"] <= 0:
            raise damaged(f"column {outer['name']!r} is of kind {outer['kind']!r} with a scale of {inner['std']}")
        if not all(type(item) is float for item in quantiles) or quantiles != sorted(quantiles):
            raise damaged(f"the quantiles of column {outer['name']!r} do not rise")
        return cls(**outer | {"scale": NumberColumn(**inner | {"quantiles": tuple(quantiles)})})


@dataclass(frozen=True)
class CategoryColumn:
    """A column that becomes an index: 0 not seen in training, 1 missing, 2 and on the training values in order."""

    name: str
    values: tuple[str, ...]

    @classmethod
    def fit(cls, series: pd.Series[Any], most: int) -> CategoryColumn:
        """From the training rows; of more than `most` values the commonest are kept."""
        counts = pd.Series(texts(series), dtype=object).value_counts()
        commonest = (
            sorted(counts.index, key=lambda word: (-int(counts[word]), word)) if len(counts) > most else counts.index
        )
        return cls(str(series.name), tuple(sorted(commonest[:most])))

    @property
    def cardinality(self) -> int:
        """How many indices there are."""
        return len(self.values) + 2

    def encode(self, series: pd.Series[Any]) -> np.ndarray:
        """The (N,) indices. Raises DataError at a nested value."""
        words = texts(series)
        found = pd.Index(self.values, dtype=object).get_indexer(pd.Index(words, dtype=object))
        return np.where(found >= 0, found + 2, pd.isna(words).astype(np.int64))

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {"name": self.name, "values": list(self.values)}

    @classmethod
    def from_json(cls, value: object) -> CategoryColumn:
        """The reverse of `to_json`. Raises CheckpointError where `value` is nothing of the sort."""
        given = read(value, name=str, values=list)
        words = given["values"]
        if not all(type(word) is str for word in words) or len(set(words)) != len(words):
            raise damaged(f"the values of column {given['name']!r} are not distinct texts")
        return cls(given["name"], tuple(words))


def read(value: object, **expected: type[Any]) -> dict[str, Any]:
    """The fields of a JSON object, each of exactly the expected type (a whole number will do for a float).

    Raises CheckpointError naming the first that is missing or of another type, and any number that is not finite.
    """
    if not isinstance(value, Mapping):
        raise damaged(f"a {type(value).__name__} stands where an object should")
    fields: dict[str, Any] = {}
    for name, kind in expected.items():
        item: Any = value.get(name)
        item = float(item) if kind is float and type(item) is int else item
        if type(item) is not kind or (isinstance(item, float) and not math.isfinite(item)):
            raise damaged(f"{name!r} should be {kind.__name__}, not {item!r:.60}")
        fields[name] = item
    return fields


def damaged(problem: str) -> CheckpointError:
    """Saved preprocessing that makes no sense."""
    return CheckpointError("preprocessing", problem, "restore the saved model, or train again")


def _days(moments: Dates) -> Floats:
    """Days since 1970 with their fraction, NaN where missing."""
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / _DAY)


def _waves(moments: Dates, clock: bool) -> list[Floats]:
    """Sine and cosine of month, weekday (and time of day), 0 where missing.

    They are looked up, so that a row's numbers do not depend on how many rows are worked out together.
    """
    missing = np.isnat(moments)
    days, months = moments.astype("datetime64[D]"), moments.astype("datetime64[M]").astype(np.int64)
    turns = [(months, 12), (days.astype(np.int64) + 3, 7)]  # 1970 began on a Thursday; Monday is 0
    if clock:
        turns.append((moments.astype("datetime64[m]").astype(np.int64), _MINUTES))
    waves = []
    for count, period in turns:
        angles = 2 * np.pi * np.arange(period) / period
        waves += [np.where(missing, 0.0, table[count % period]) for table in (np.sin(angles), np.cos(angles))]
    return waves
