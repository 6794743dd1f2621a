"""Series: numbers measured one after the other. N rows in time, T steps back, F steps ahead, C columns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.data.examples import Examples, InMemory
from penstock.data.features import Scale
from penstock.data.opened import ReadOptions, TableData
from penstock.data.ragged import Stored
from penstock.data.sources import Transform
from penstock.data.timeline import Timeline, read_timeline, season_of
from penstock.data.windows import Windows
from penstock.kinds.kind import Kind, Material, Shown


@dataclass(frozen=True)
class Stretch:
    """How many rows back a model sees, how many ahead it tells, and after how many the series comes again."""

    context: int
    horizon: int
    season: int


class SeriesKind(Kind):
    """The last rows (B, T, C) of a series, standardised; `targets` are the columns to tell."""

    word: ClassVar[str] = "series"
    default_model: ClassVar[str] = "lstm"
    inputs = ("series",)

    def __init__(
        self,
        columns: Sequence[str],
        scales: Sequence[Scale],
        targets: Sequence[int],
        stretch: Stretch,
        time: str | None,
        reading: ReadOptions,
    ) -> None:
        self.columns, self.scales, self.targets = tuple(columns), tuple(scales), tuple(targets)
        self.stretch, self.time, self.reading = stretch, time, reading

    @property
    def told(self) -> list[str]:
        """The names of the columns to tell."""
        return [self.columns[at] for at in self.targets]

    def sizes(self) -> dict[str, Any]:
        """Steps back and ahead, and columns."""
        return {
            "context": self.stretch.context,
            "ahead": self.stretch.horizon,
            "columns": len(self.columns),
            "targets": self.targets,
        }

    def transform(self, *, training: bool) -> Transform | None:
        """Nothing: rows are scaled once."""
        return None

    def scaled(self, timeline: Timeline) -> torch.Tensor:
        """(N, C) float32, each column of mean 0 and deviation 1 in training."""
        parts = [scale.encode(timeline.values[:, at]) for at, scale in enumerate(self.scales)]
        return torch.stack(parts, 1)

    def timeline(self, item: object) -> tuple[str, Timeline]:
        """A file or a DataFrame as the training read its own, and what to call it. Raises DataError."""
        if isinstance(item, pd.DataFrame):
            name, frame = "input", self.reading.clean(item.rename(columns=str))
        elif isinstance(item, str | Path):
            name, frame = Path(item).name, self.reading.read(Path(item))
        else:
            found = type(item).__name__
            raise DataError("input", f"cannot read {found} as a series", "give a table file or a DataFrame")
        timeline = read_timeline(frame, name, time=self.time, columns=self.columns)
        if len(timeline) < self.stretch.context:
            problem = f"it has {len(timeline):,} rows, and the model looks {self.stretch.context:,} rows back"
            raise DataError(name, problem, "give more of the past")
        return name, timeline

    def read(self, given: Sequence[object]) -> tuple[list[str], Examples]:
        """Of each file or DataFrame the last rows, after which is to be told."""
        found = [self.timeline(item) for item in given]
        ends = [self.scaled(timeline)[-self.stretch.context :] for _, timeline in found]
        return [name for name, _ in found], InMemory({"series": torch.stack(ends)})

    def to_json(self) -> dict[str, Any]:
        """The columns with their scales, and how files are read."""
        return {
            "kind": self.word,
            "columns": list(self.columns),
            "scales": [scale.to_json() for scale in self.scales],
            "targets": list(self.targets),
            "stretch": vars(self.stretch),
            "time": self.time,
            "reading": self.reading.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SeriesKind:
        """The reverse of `to_json`."""
        scales = [Scale.from_json(scale) for scale in value["scales"]]
        stretch, reading = Stretch(**value["stretch"]), ReadOptions(**value["reading"])
        if len(scales) != len(value["columns"]) or not all(0 <= at < len(scales) for at in value["targets"]):
            raise ValueError("columns, scales and targets do not go together")
        return cls(value["columns"], scales, value["targets"], stretch, value["time"], reading)


class SeriesMaterial(Material):
    """A table of measurements in time. Its examples are windows: the label of each row is its own place in time."""

    word: ClassVar[str] = "series"

    def __init__(
        self, data: TableData, timeline: Timeline, targets: Sequence[int], stretch: Stretch, reading: ReadOptions
    ) -> None:
        self.name, self.origin, self.given = data.name, data.origin, None
        self.timeline, self.targets, self.stretch, self._reading = timeline, tuple(targets), stretch, reading
        told = ", ".join(timeline.names[at] for at in targets)
        self.labels = pd.Series(np.arange(len(timeline)), index=list(timeline.places), name=told)
        self.decided = {"window": vars(stretch)}

    def fit(self, rows: np.ndarray) -> SeriesKind:
        """Scales, from all rows up to the last that the windows of these ends reach."""
        known = self.known(rows)
        scales = []
        for at, name in enumerate(self.timeline.names):
            values = known[:, at]
            if values.min() == values.max():
                if at in self.targets:
                    problem = f"column {name!r} is {values[0]:g} in each of the {len(values):,} training rows"
                    raise DataError(self.origin, problem, "leave it out with --ignore, or choose other targets")
                scales.append(Scale(float(values[0]), 1.0))
                continue
            scales.append(Scale.fit(values))
        return SeriesKind(self.timeline.names, scales, self.targets, self.stretch, self.timeline.time, self._reading)

    def known(self, rows: np.ndarray) -> np.ndarray:
        """The values (n, C) that the windows ending at these rows see or tell."""
        seen: np.ndarray = self.timeline.values[: int(rows.max()) + self.stretch.horizon + 1]
        return seen

    def examples(self, kind: Kind, columns: Mapping[str, Stored]) -> Examples:
        """All rows, scaled, in memory; the target is what follows, so that further columns have nothing to add."""
        assert isinstance(kind, SeriesKind)
        stretch = self.stretch
        return Windows(kind.scaled(self.timeline), context=stretch.context, ahead=stretch.horizon, targets=self.targets)

    def facts(self) -> dict[str, Any]:
        """The columns, the time that they span, and the windows."""
        columns = [
            {
                "name": name,
                "kind": "to tell" if at in self.targets else "seen",
                "missing": self.timeline.missing[at],
                "distinct": len(np.unique(values)),
                "detail": f"{values.min():,.6g} to {values.max():,.6g}",
            }
            for at, (name, values) in enumerate(zip(self.timeline.names, self.timeline.values.T, strict=True))
        ]
        return {"columns": columns}

    def audit(self, task: str, splits: Mapping[str, np.ndarray]) -> list[str]:
        """What was mended, and columns that do not vary."""
        found = list(self.timeline.notes)
        known = self.known(splits["train"])
        flat = [name for name, values in zip(self.timeline.names, known.T, strict=True) if np.ptp(values) == 0]
        found += [f"{name!r} is the same in every training row: it tells nothing" for name in flat]
        return found

    def show(self, row: int) -> Shown:
        """The row's moment and values."""
        values = dict(zip(self.timeline.names, self.timeline.values[row].tolist(), strict=True))
        return {"place": self.timeline.moment(row), "picture": None, "row": values}

    def fingerprint(self) -> str:
        """Over times, names and values."""
        digest = hashlib.sha256(repr(self.timeline.names).encode())
        digest.update(self.timeline.values.tobytes())
        if self.timeline.times is not None:
            digest.update(self.timeline.times.tobytes())
        return digest.hexdigest()[:16]


LONGEST_SEASON = 1000
FEWEST_BACK = 16


def series_material(
    data: TableData,
    *,
    time: str | None,
    targets: Sequence[str],
    ignore: Sequence[str],
    context: int | None,
    horizon: int,
    season: int | None,
    training: float,
    reading: ReadOptions,
) -> SeriesMaterial:
    """Order the table in time, find the columns, and settle how far to look.

    The first share `training` of the rows tells the season, where it is not given; the context is three seasons and two
    horizons, whichever is longer, but no more than a quarter of these rows. Raises DataError and RecipeError.
    """
    names = [str(name) for name in data.frame.columns]
    for name in ignore:
        if name not in names:
            raise RecipeError("ignore", f"there is no column {name!r}", suggest(name, names))
    for name in targets:
        if name not in names:
            raise DataError(data.origin, f"there is no column {name!r} to forecast", suggest(name, names))
        if name in ignore:
            raise RecipeError("ignore", f"{name!r} is to be forecast", "leave it out of one of them")
    frame = data.frame.drop(columns=list(ignore))
    timeline = read_timeline(frame, data.origin, time=time, needed=targets)
    told = [timeline.names.index(name) for name in targets or timeline.names]
    known = timeline.values[: round(len(timeline) * training)]
    season = season or season_of(known[:, told], LONGEST_SEASON)
    context = context or max(min(max(3 * season, 2 * horizon, FEWEST_BACK), len(known) // 4), 1)
    return SeriesMaterial(data, timeline, told, Stretch(context, horizon, season), reading)


def series_of(data: TableData, kind: SeriesKind) -> SeriesMaterial:
    """Other data for a model that there is already, which says what it takes."""
    timeline = read_timeline(data.frame, data.origin, time=kind.time, columns=kind.columns)
    return SeriesMaterial(data, timeline, kind.targets, kind.stretch, kind.reading)
