"""What a run folder tells: its JSON files as typed records, checked while they are read."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError, field_validator

from penstock.core.errors import CheckpointError
from penstock.core.files import finite, read_json
from penstock.recipes.grown import EPISODE, FILM, TEXTS, sheets_in
from penstock.recipes.recipe import TASKS
from penstock.recipes.times import TIMES, read_times
from penstock.run.report.findings import (
    Baseline,
    Classification,
    Forecast,
    Looks,
    Making,
    Memory,
    Mistake,
    Reconstruction,
    Regression,
    SurpriseRecord,
    WrittenRecord,
)
from penstock.run.report.played import BoardGames, Traders
from penstock.run.report.record import Metrics, Record
from penstock.run.report.rows import Row, read_rows

DRAWN = 6
"""Sheets of samples that show how drawing grew, at most."""


class ColumnRecord(Record):
    """One column of a table."""

    name: str
    kind: str = ""
    missing: int | None = None
    distinct: int | None = None
    detail: Any = None


class ImageRecord(Record):
    """The size that pictures are brought to."""

    height: int
    width: int
    channels: int
    detail: Any = None


class ClassCount(Record):
    """How many examples of a class each split has."""

    name: str
    train: int = 0
    validation: int = 0
    test: int = 0


class TextRecord(Record):
    """What text was cut into."""

    detail: str = ""
    tokens: str = ""
    vocabulary: int | None = None


class DataRecord(Record):
    """data.json."""

    name: str = ""
    origin: str = ""
    kind: str = ""
    noun: str = ""
    examples: int | None = None
    columns: list[ColumnRecord] = Field(default_factory=list)
    image: ImageRecord | None = None
    text: TextRecord | None = None
    notes: dict[str, str] = Field(default_factory=dict)
    target: ColumnRecord | None = None
    classes: list[ClassCount] | None = None
    splits: dict[str, int] = Field(default_factory=dict)
    suspicions: list[str] = Field(default_factory=list)


class EvaluationRecord(Record):
    """evaluation.json."""

    split: str = "test"
    examples: int | None = None
    metrics: Metrics = Field(default_factory=dict)
    baseline: Baseline | None = None
    classification: Classification | None = None
    regression: Regression | None = None
    looks: list[Looks] = Field(default_factory=list)
    forecast: Forecast | None = None
    board: BoardGames | None = None
    trading: Traders | None = None
    memory: Memory | None = None
    reconstruction: Reconstruction | None = None
    making: Making | None = None
    mistakes: list[Mistake] = Field(default_factory=list)
    samples: list[WrittenRecord] = Field(default_factory=list)
    surprise: list[SurpriseRecord] = Field(default_factory=list)


class Best(Record):
    """The evaluation whose weights were kept."""

    metric: str
    value: float | None = None
    step: float | None = None
    epoch: float | None = None


class Summary(Record):
    """summary.json."""

    name: str | None = None
    status: str | None = None
    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None
    examples_per_second: float | None = None
    stopped: str | None = None
    best: Best | None = None
    model: str | None = None
    parameters: int | None = None
    precision: str | None = None
    device: str | None = None
    threads: int | None = None
    seed: int | None = None
    command: str | None = None
    versions: dict[str, Any] = Field(default_factory=dict)
    machine: Any = None
    date: str | None = None


@dataclass(frozen=True)
class RunRecord:
    """All that the page is made of. `rows` are the finite numbers of metrics.jsonl, by split."""

    name: str
    task: str
    recipe: dict[str, Any]
    rows: dict[str, list[Row]]
    data: DataRecord | None
    evaluation: EvaluationRecord | None
    summary: Summary | None
    samples: list[WrittenRecord]
    """What the model wrote while it learned."""
    sheets: list[tuple[int, str]] = field(default_factory=list)
    """What it drew: steps, and pictures as text."""
    film: str | None = None
    """All of that as an animation."""
    episode: str | None = None
    """The best episode of the test, as an animation."""
    times: dict[float, float] = field(default_factory=dict)
    """Steps at which it was judged, and seconds of training until then."""

    @property
    def noun(self) -> str:
        """What one example is called."""
        nouns = {"image": "images", "text": "texts", "words": "sentences", "audio": "sounds"}
        if self.data is None:
            return "examples"
        return self.data.noun or nouns.get(self.data.kind, "examples")


class _Recipe(Record):
    task: str

    @field_validator("task")
    @classmethod
    def _known(cls, task: str) -> str:
        if task not in TASKS:
            raise ValueError(f"there is no task {task!r}")
        return task


R = TypeVar("R", bound=Record)


def read_run(folder: Path) -> RunRecord:
    """Read a run folder. Only recipe.json must be there. Raises CheckpointError where a file is damaged."""
    flags = read_json(folder / "recipe.json")
    task = _checked(_Recipe, folder / "recipe.json", flags).task
    summary = _optional(Summary, folder / "summary.json")
    return RunRecord(
        name=(summary.name if summary else None) or folder.resolve().name,
        task=task,
        recipe={key: value for key, value in flags.items() if key != "task"},
        rows=read_rows(folder / "metrics.jsonl"),
        data=_optional(DataRecord, folder / "data.json"),
        evaluation=_optional(EvaluationRecord, folder / "evaluation.json"),
        summary=summary,
        samples=_samples(folder / TEXTS),
        sheets=[(step, _as_text(path, "png")) for step, path in _few(sheets_in(folder))],
        film=_as_text(folder / FILM, "gif") if (folder / FILM).exists() else None,
        times=dict(read_times(folder / TIMES)),
        episode=_as_text(folder / EPISODE, "gif") if (folder / EPISODE).exists() else None,
    )


def _few(items: list[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """Evenly spread, the first and the last among them."""
    if len(items) <= DRAWN:
        return items
    return [items[round(at * (len(items) - 1) / (DRAWN - 1))] for at in range(DRAWN)]


def _as_text(path: Path, kind: str) -> str:
    return f"data:image/{kind};base64,{b64encode(path.read_bytes()).decode()}"


def _optional(kind: type[R], path: Path) -> R | None:
    return _checked(kind, path, read_json(path)) if path.exists() else None


def _samples(path: Path) -> list[WrittenRecord]:
    """Raises CheckpointError for a line that is damaged."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    try:
        return [_checked(WrittenRecord, path, json.loads(line)) for line in lines]
    except ValueError as error:
        raise CheckpointError(path, f"cannot be read as lines of JSON ({error})", "remove it") from error


def _checked(kind: type[R], path: Path, content: Any) -> R:
    try:
        return kind.model_validate(finite(content))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        problem = f"does not have the expected form ({field + ': ' if field else ''}{first['msg']})"
        raise CheckpointError(path, problem, "restore it, or train again") from error
