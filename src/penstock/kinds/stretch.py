"""Stretches of measurements with a label each: what a machine, a body or a market was at.

N stretches, T rows of each, C columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.data.cells import texts
from penstock.data.examples import Examples, InMemory
from penstock.data.features import Scale
from penstock.data.opened import ReadOptions, TableData
from penstock.data.ragged import Stored
from penstock.data.sources import Transform
from penstock.data.timeline import Timeline, read_timeline
from penstock.kinds.kind import Kind, Material, Shown


class StretchKind(Kind):
    """Stretches (B, T, C), standardised."""

    word: ClassVar[str] = "stretch"
    default_model: ClassVar[str] = "lstm"
    inputs = ("series",)

    def __init__(
        self, columns: Sequence[str], scales: Sequence[Scale], rows: int, by: str | None, reading: ReadOptions
    ) -> None:
        self.columns, self.scales, self.rows = tuple(columns), tuple(scales), rows
        self.by, self.reading = by, reading

    def sizes(self) -> dict[str, Any]:
        """Columns."""
        return {"features": len(self.columns)}

    def transform(self, *, training: bool) -> Transform | None:
        """Nothing: rows are scaled once."""
        return None

    def scaled(self, values: np.ndarray) -> torch.Tensor:
        """(N, T, C) float32, each column of mean 0 and deviation 1 in training."""
        parts = [scale.encode(values[..., at]) for at, scale in enumerate(self.scales)]
        return torch.stack(parts, -1)

    def read(self, given: Sequence[object]) -> tuple[list[str], Examples]:
        """Files or DataFrames with a row a moment: every whole stretch of each, called by its last row."""
        names, values = [], []
        for item in given:
            if isinstance(item, pd.DataFrame):
                where, frame = "input", self.reading.clean(item.rename(columns=str))
            elif isinstance(item, str | Path):
                where, frame = Path(item).name, self.reading.read(Path(item))
            else:
                found = type(item).__name__
                raise DataError("input", f"cannot read {found} as a series", "give a table file or a DataFrame")
            for timeline in timelines(frame, where, self.by, self.columns):
                ends = stretch_ends(len(timeline), self.rows)
                names += [timeline.moment(end) for end in ends]
                values += [timeline.values[end + 1 - self.rows : end + 1] for end in ends]
            if not names:
                problem = f"it has {len(frame):,} rows, and a stretch is of {self.rows:,}"
                raise DataError(where, problem, "give more of the series")
        return names, InMemory({"series": self.scaled(np.stack(values))})

    def to_json(self) -> dict[str, Any]:
        """The columns with their scales, and how files are read."""
        return {
            "kind": self.word,
            "columns": list(self.columns),
            "scales": [scale.to_json() for scale in self.scales],
            "rows": self.rows,
            "by": self.by,
            "reading": self.reading.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> StretchKind:
        """The reverse of `to_json`."""
        scales = [Scale.from_json(scale) for scale in value["scales"]]
        if len(scales) != len(value["columns"]):
            raise ValueError("columns and scales do not go together")
        return cls(value["columns"], scales, value["rows"], value["by"], ReadOptions(**value["reading"]))


class StretchMaterial(Material):
    """Stretches of a table that do not overlap, so that no row is in two parts; each has the label of its last row."""

    word: ClassVar[str] = "stretch"
    foreign = ("image", "text", "audio", "columns", "table.scaling")

    def __init__(
        self,
        data: TableData,
        parts: Sequence[Timeline],
        labels: pd.Series[Any],
        given: pd.Series[Any] | None,
        *,
        rows: int,
        by: str | None,
        reading: ReadOptions,
    ) -> None:
        self.name, self.origin = data.name, data.origin
        self._rows, self._by, self._reading = rows, by, reading
        self._parts, self._columns = parts, parts[0].names
        ends = [(timeline, end) for timeline in parts for end in stretch_ends(len(timeline), rows)]
        if not ends:
            longest = max(map(len, parts))
            raise DataError(
                data.origin, f"no series has {rows:,} rows (the longest {longest:,})", "lower --series.rows"
            )
        self.values = np.stack([timeline.values[end + 1 - rows : end + 1] for timeline, end in ends])  # (N, T, C)
        self._moments = [timeline.moment(end) for timeline, end in ends]
        self.labels = labels.loc[[timeline.places[end] for timeline, end in ends]]
        self.given = None if given is None else given.loc[self.labels.index].to_numpy(dtype=str)

    def fit(self, rows: np.ndarray) -> StretchKind:
        """Scales, from these stretches."""
        known = self.values[rows].reshape(-1, len(self._columns))
        still = known.min(0) == known.max(0)
        scales = [
            Scale(float(known[0, at]), 1.0) if still[at] else Scale.fit(known[:, at]) for at in range(known.shape[1])
        ]
        return StretchKind(self._columns, scales, self._rows, self._by, self._reading)

    def examples(self, kind: Kind, columns: Mapping[str, Stored]) -> Examples:
        """All stretches, scaled, in memory."""
        assert isinstance(kind, StretchKind)
        return InMemory({"series": kind.scaled(self.values), **columns})

    def facts(self) -> dict[str, Any]:
        """The columns."""
        missing = np.sum([timeline.missing for timeline in self._parts], 0).tolist()
        columns = [
            {
                "name": name,
                "kind": "seen",
                "missing": missing[at],
                "distinct": len(np.unique(self.values[..., at])),
                "detail": f"{self.values[..., at].min():,.6g} to {self.values[..., at].max():,.6g}",
            }
            for at, name in enumerate(self._columns)
        ]
        return {"columns": columns, "noun": f"stretches of {self._rows} rows"}

    def audit(self, task: str, splits: Mapping[str, np.ndarray]) -> list[str]:
        """What was mended in the table."""
        return list(dict.fromkeys(note for timeline in self._parts for note in timeline.notes))

    def show(self, row: int) -> Shown:
        """The moment of its last row, and the mean of each column."""
        means = self.values[row].mean(0).tolist()
        return {
            "place": self._moments[row],
            "picture": None,
            "row": {f"mean {name}": value for name, value in zip(self._columns, means, strict=True)},
        }

    def fingerprint(self) -> str:
        """Over values, labels, and the split that the data bring along."""
        digest = hashlib.sha256(repr((self._columns, self.labels.tolist())).encode())
        digest.update(self.values.tobytes())
        digest.update(repr(None if self.given is None else self.given.tolist()).encode())
        return digest.hexdigest()[:16]


def stretch_material(
    data: TableData,
    *,
    target: str | None,
    split_column: str | None,
    rows: int,
    by: str | None,
    used: Sequence[str] | None,
    reading: ReadOptions,
) -> StretchMaterial:
    """Cut a table with a row a moment into stretches; `by` names the column that tells one series from another.

    `used` are the columns of a model that there is already. Raises DataError and RecipeError for columns that are not
    there.
    """
    names, target = [str(name) for name in data.frame.columns], target or data.target
    if target is None:
        raise RecipeError(
            "target", f"which column of {data.name} is to be predicted?", f"give --target, {suggest('', names)}"
        )
    if target not in names:
        raise DataError(data.origin, f"there is no column {target!r} to predict", suggest(target, names))
    for setting, name in (("split.column", split_column), ("series.by", by)):
        if name is not None and name not in names:
            raise RecipeError(setting, f"there is no column {name!r}", suggest(name, names))
    aside = [name for name in (target, split_column) if name is not None and name != by]
    parts = timelines(data.frame.drop(columns=aside), data.origin, by, used)
    given = None
    if split_column is not None:
        given = data.frame[split_column].astype(str)
    elif data.splits is not None:
        given = pd.Series(data.splits, index=data.frame.index)
    return StretchMaterial(data, parts, data.frame[target], given, rows=rows, by=by, reading=reading)


def timelines(frame: pd.DataFrame, origin: str, by: str | None, columns: Sequence[str] | None) -> list[Timeline]:
    """One series for each value of the column `by`, in the order in which they come; or one in all."""
    if by is None:
        return [read_timeline(frame, origin, columns=columns)]
    if by not in frame:
        raise DataError(origin, f"there is no column {by!r}", suggest(by, [str(name) for name in frame.columns]))
    words, rest = texts(frame[by]), frame.drop(columns=by)
    columns = columns or read_timeline(rest[words == words[0]], origin).names
    return [read_timeline(rest[words == word], origin, columns=columns) for word in dict.fromkeys(words)]


def stretch_ends(count: int, rows: int) -> range:
    """The last rows of all whole stretches of so many rows."""
    return range(rows - 1, count, rows)
