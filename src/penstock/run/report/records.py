"""What a run folder tells: its JSON files as typed records, checked while they are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from penstock.core.errors import CheckpointError
from penstock.core.files import finite, read_json
from penstock.recipes.recipe import TASKS
from penstock.recipes.samples import SAMPLES
from penstock.run.report.record import Record
from penstock.run.report.rows import Row, read_rows
from penstock.run.report.series_records import Forecast, Memory

Metrics = dict[str, float | None]


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


class Baseline(Record):
    """What the trivial answer reaches."""

    name: str
    metrics: Metrics = Field(default_factory=dict)


class PerClass(Record):
    """Precision, recall and F1 of one class."""

    name: str
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    support: int | None = None


class ReliabilityBin(Record):
    """Predictions of similar confidence: their mean confidence and the share of them that is right."""

    confidence: float | None
    accuracy: float | None
    count: int


class Reliability(Record):
    """How far confidence can be believed; `error` is the expected calibration error."""

    bins: list[ReliabilityBin] = Field(default_factory=list)
    error: float | None = None


class Classification(Record):
    """Records of a classifier's test; rows of the confusion matrix are the truth."""

    classes: list[str] = Field(default_factory=list)
    confusion: list[list[int]] = Field(default_factory=list)
    per_class: list[PerClass] = Field(default_factory=list)
    reliability: Reliability | None = None

    @model_validator(mode="after")
    def _square(self) -> Classification:
        size = len(self.classes)
        if self.confusion and (len(self.confusion) != size or any(len(row) != size for row in self.confusion)):
            raise ValueError(f"the confusion matrix is not {size} x {size}, as many as the classes")
        return self


class Histogram(Record):
    """Counts between edges, one edge more than counts."""

    edges: list[float] = Field(default_factory=list)
    counts: list[int] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits(self) -> Histogram:
        if self.counts and len(self.edges) != len(self.counts) + 1:
            raise ValueError(f"{len(self.counts)} counts need {len(self.counts) + 1} edges, not {len(self.edges)}")
        return self


class Regression(Record):
    """Records of a regressor's test; a point is (target, prediction)."""

    points: list[tuple[float | None, float | None]] = Field(default_factory=list)
    residuals: Histogram | None = None


class Piece(Record):
    """A part of a transcript, and from when to when it was heard, as shares of the sound."""

    text: str
    begin: float = Field(ge=0, le=1)
    end: float = Field(ge=0, le=1)
    probability: float = Field(ge=0, le=1)


class Mistake(Record):
    """One example that the model got wrong."""

    truth: Any = None
    predicted: Any = None
    confidence: float | None = None
    residual: float | None = None
    place: str | None = None
    picture: str | None = None
    row: dict[str, Any] | None = None
    alignment: list[Piece] | None = None


class WrittenRecord(Record):
    """A text that the model wrote after a prompt."""

    prompt: str = ""
    text: str = ""
    temperature: float | None = None
    step: int | None = None
    epoch: float | None = None


class SurpriseRecord(Record):
    """A token of a test text, and the bits that it came as a surprise with."""

    text: str
    bits: float


class Looks(Record):
    """Where a model looked in what it read, for each token that it wrote: weights (written, read)."""

    read: list[str] = Field(default_factory=list)
    written: list[str] = Field(default_factory=list)
    looks: list[list[float]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits(self) -> Looks:
        if len(self.looks) != len(self.written) or any(len(row) != len(self.read) for row in self.looks):
            raise ValueError(f"the weights are not {len(self.written)} x {len(self.read)}, as many as the tokens")
        return self


class EvaluationRecord(Record):
    """evaluation.json."""

    split: str = "test"
    examples: int | None = None
    metrics: Metrics = Field(default_factory=dict)
    baseline: Baseline | None = None
    classification: Classification | None = None
    regression: Regression | None = None
    forecast: Forecast | None = None
    memory: Memory | None = None
    looks: list[Looks] = Field(default_factory=list)
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
        samples=_samples(folder / SAMPLES),
    )


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
