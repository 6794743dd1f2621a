"""Preprocessing of tables, fitted on the training rows and saved with the model: features, classes, target scale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.data.cells import Floats, Objects, numbers, place, texts
from penstock.data.fitted import CategoryColumn, NumericColumn, Scaling, damaged, read

_NUMERIC = ("number", "boolean", "date")
_VERSION = 1


@dataclass(frozen=True)
class TableEncoder:
    """Turns the rows of a table into tensors, as fitted on the training rows.

    - number: scaled ("standard": mean 0, standard deviation 1; "quantile": to a standard normal by rank); missing takes
      the training median, and where training rows had gaps the feature "NAME:missing" marks them.
    - boolean: 0 or 1; missing likewise, with the commoner value.
    - date: days since 1970, scaled, missing as above; then sine and cosine of the month ("NAME:month sin", "NAME:month
      cos"), of the weekday, and of the time of day ("NAME:hour sin") where training rows have one; 0 where missing.
    - category: an index, 0 where training did not see the value, 1 where it is missing, then the values in order.
    """

    numeric: tuple[NumericColumn, ...]
    categories: tuple[CategoryColumn, ...]

    @classmethod
    def fit(
        cls,
        frame: pd.DataFrame,
        kinds: Mapping[str, str],
        *,
        scaling: Scaling = "standard",
        max_categories: int = 1000,
    ) -> TableEncoder:
        """From the training rows and the kind of each column; columns of kind "skip" are left out.

        Raises DataError where a column is missing, empty or not of its kind, or none is left; RecipeError for a kind
        that a table cannot encode.
        """
        used = {name: kind for name, kind in kinds.items() if kind != "skip"}
        if not used:
            raise DataError(_source(frame), "no column is left to learn from", "keep one with --columns.NAME KIND")
        for name, kind in used.items():
            if kind not in (*_NUMERIC, "category"):
                raise RecipeError(
                    f"--columns.{name}",
                    f"{kind!r} cannot be a feature of a table",
                    suggest(kind, [*_NUMERIC, "category"]),
                )
        _require(frame, list(used))
        return cls(
            tuple(NumericColumn.fit(frame[name], kind, scaling) for name, kind in used.items() if kind in _NUMERIC),
            tuple(CategoryColumn.fit(frame[name], max_categories) for name, kind in used.items() if kind == "category"),
        )

    @property
    def columns(self) -> list[str]:
        """The names of all columns that are read."""
        return [column.name for column in self.numeric] + self.category_names

    @property
    def number_names(self) -> list[str]:
        """The names of the F numbers."""
        return [name for column in self.numeric for name in column.feature_names]

    @property
    def category_names(self) -> list[str]:
        """The names of the C categories."""
        return [column.name for column in self.categories]

    @property
    def cardinalities(self) -> list[int]:
        """How many indices each of the C categories has."""
        return [column.cardinality for column in self.categories]

    def encode(self, frame: pd.DataFrame) -> dict[str, Tensor]:
        """Rows as "numbers" (N, F) float32 and, where there are categories, "categories" (N, C) int64.

        Columns may stand in any order, others are ignored, and a row's tensors do not depend on the rows around it.
        Raises DataError where a column is missing or a cell cannot be read.
        """
        _require(frame, self.columns)
        table = np.empty((len(frame), len(self.number_names)), dtype=np.float32)
        filled = 0
        for column in self.numeric:
            for values in column.encode(frame[column.name]):
                table[:, filled] = _single(values, frame[column.name])
                filled += 1
        encoded = {"numbers": torch.from_numpy(table)}
        if self.categories:
            indices = [column.encode(frame[column.name]) for column in self.categories]
            encoded["categories"] = torch.from_numpy(np.stack(indices, axis=1).astype(np.int64))
        return encoded

    def to_json(self) -> dict[str, Any]:
        """JSON values; floats keep every bit."""
        return {
            "version": _VERSION,
            "numeric": [column.to_json() for column in self.numeric],
            "categories": [column.to_json() for column in self.categories],
        }

    @classmethod
    def from_json(cls, value: object) -> TableEncoder:
        """The reverse of `to_json`. Raises CheckpointError where `value` is nothing of the sort."""
        given = read(value, version=int, numeric=list, categories=list)
        if given["version"] != _VERSION:
            raise damaged(f"is of version {given['version']}, and this release reads version {_VERSION}")
        return cls(
            tuple(map(NumericColumn.from_json, given["numeric"])),
            tuple(map(CategoryColumn.from_json, given["categories"])),
        )


@dataclass(frozen=True)
class Classes:
    """The names of the K classes, in order; a class is its index."""

    names: list[str]

    @classmethod
    def fit(cls, labels: pd.Series[Any]) -> Classes:
        """From the training rows' labels, sorted as people sort: numbers by value, "2" before "10".

        Raises DataError where a label is missing, or there are fewer than two classes.
        """
        words = _labels(labels)
        names = sorted(set(words), key=_natural)
        if all(re.fullmatch(r"[+-]?\d+(\.\d+)?", name) for name in names):
            names.sort(key=float)
        if len(names) < 2:
            seen = f"only {names[0]!r} occurs" if names else "there is no row"
            raise DataError(
                _source(labels),
                f"column {str(labels.name)!r} has fewer than two classes to tell apart: {seen}",
                "choose another target, or check the rows",
            )
        return cls(names)

    def encode(self, labels: pd.Series[Any]) -> Tensor:
        """(N,) int64 indices. Raises DataError where a label is missing or no class of training."""
        words = _labels(labels)
        found = pd.Index(self.names, dtype=object).get_indexer(pd.Index(words, dtype=object))
        if len(found) and found.min() < 0:
            row = int((found < 0).argmax())
            raise DataError(
                place(labels, row),
                f"column {str(labels.name)!r} holds {words[row]!r}, none of the {len(self.names)} classes of training",
                suggest(words[row], self.names),
            )
        return torch.from_numpy(found.astype(np.int64))

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {"names": list(self.names)}

    @classmethod
    def from_json(cls, value: object) -> Classes:
        """The reverse of `to_json`. Raises CheckpointError where `value` is nothing of the sort."""
        names = read(value, names=list)["names"]
        if len(names) < 2 or not all(type(name) is str for name in names) or len(set(names)) != len(names):
            raise damaged("the class names are not two or more distinct texts")
        return cls(names)


LARGEST = 1e30
"""The largest target: its square must not leave float32 by far when it is standardised."""


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of a number to predict."""

    mean: float
    std: float

    @classmethod
    def fit(cls, values: Floats) -> Scale:
        """From the training rows' finite values. Raises DataError where all are the same."""
        if len(values) == 0 or values.min() == values.max():
            seen = f"is {values[0]:g} in each of the {len(values)} training rows" if len(values) else "has no row"
            raise DataError("target", f"{seen}, so there is nothing to predict", "choose another target")
        if np.abs(values).max() > LARGEST:
            raise DataError(
                "target", f"it reaches {np.abs(values).max():g}, beyond float32", "scale it, or take its logarithm"
            )
        return cls(float(values.mean()), float(values.std()))

    def encode(self, values: Floats) -> Tensor:
        """(N,) values to (N,) float32, mean 0 and standard deviation 1 over the training rows."""
        return torch.from_numpy(((values - self.mean) / self.std).astype(np.float32))

    def decode(self, scaled: Tensor) -> Tensor:
        """Scaled values to the target's own units, as float64."""
        return scaled.to(torch.float64) * self.std + self.mean

    def to_json(self) -> dict[str, Any]:
        """JSON values; floats keep every bit."""
        return {"mean": self.mean, "std": self.std}

    @classmethod
    def from_json(cls, value: object) -> Scale:
        """The reverse of `to_json`. Raises CheckpointError where `value` is nothing of the sort."""
        given = read(value, mean=float, std=float)
        if given["std"] <= 0:
            raise damaged(f"the target's standard deviation is {given['std']}")
        return cls(**given)


def target_numbers(series: pd.Series[Any]) -> Floats:
    """A column of numbers to predict, (N,) float64. Raises DataError where one is missing or no number."""
    values = numbers(series)
    _refuse_missing(series, np.isnan(values))
    return values


def _labels(labels: pd.Series[Any]) -> Objects:
    words = texts(labels)
    _refuse_missing(labels, pd.isna(words))
    return words


def _refuse_missing(series: pd.Series[Any], missing: np.ndarray) -> None:
    if missing.any():
        raise DataError(
            place(series, int(missing.argmax())),
            f"the target column {str(series.name)!r} is missing in {int(missing.sum())} of {len(series)} rows",
            "fill these cells in, or take the rows out",
        )


def _natural(name: str) -> tuple[list[str | int], str]:
    return [int(part) if turn % 2 else part.casefold() for turn, part in enumerate(re.split(r"(\d+)", name))], name


def _require(frame: pd.DataFrame, names: list[str]) -> None:
    absent = [name for name in names if name not in frame.columns]
    if absent:
        listed = ", ".join(map(repr, absent))
        near = suggest(absent[0], [str(name) for name in frame.columns])
        raise DataError(
            _source(frame),
            f"{'columns' if len(absent) > 1 else 'column'} {listed} missing, which the model takes",
            near if near.startswith("did") else "add what is missing, or rename a column",
        )


def _source(rows: pd.DataFrame | pd.Series[Any]) -> str:
    """The file that the rows come from, by the place of the first."""
    first = rows.index[0] if len(rows) else None
    return first.rpartition(":")[0] or first if isinstance(first, str) else "table"


def _single(values: Floats, series: pd.Series[Any]) -> np.ndarray:
    """Float64 to float32. Raises DataError where a value is so far from the training rows that it does not fit."""
    far = np.abs(values) > np.finfo(np.float32).max
    if far.any():
        row = int(far.argmax())
        raise DataError(
            place(series, row),
            f"column {str(series.name)!r} holds {series.iloc[row]}, too far from every training row",
            "correct it, or leave the cell empty",
        )
    return values.astype(np.float32)
