"""What an evaluation has found, as typed records: of every task what its report draws."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from penstock.run.report.record import Metrics, Record


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


class Window(Record):
    """A stretch of a series: what was known, what came, and what was told, (K, T), (K, F) and (K, Q, F)."""

    known: list[list[float | None]] = Field(default_factory=list)
    target: list[list[float | None]] = Field(default_factory=list)
    quantiles: list[list[list[float | None]]] = Field(default_factory=list)


class Forecast(Record):
    """Records of a forecaster's test: `steps` are mean errors by step ahead, of the model and of simple rules."""

    columns: list[str] = Field(default_factory=list)
    levels: list[float] = Field(default_factory=list)
    coverage: float | None = None
    steps: dict[str, list[float | None]] = Field(default_factory=dict)
    windows: list[Window] = Field(default_factory=list)


class Memory(Record):
    """Sizes of gradients by the steps between an input and the last output, and how far they reach."""

    norms: list[float | None] = Field(default_factory=list)
    horizon: int = 0
    steps: int = 0


class Mistake(Record):
    """One example that the model got wrong."""

    truth: Any = None
    predicted: Any = None
    confidence: float | None = None
    residual: float | None = None
    place: str | None = None
    picture: str | None = None
    row: dict[str, Any] | None = None
    words: list[str] | None = None
    tags: list[str] | None = None
    true_tags: list[str] | None = None
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


class Likeness(Record):
    """An example and what it looks like after it was coded: pictures, or rows."""

    place: str | None = None
    label: str | None = None
    error: float | None = None
    before: str | None = None
    after: str | None = None
    row: dict[str, str | None] | None = None
    again: dict[str, str | None] | None = None


class CodeMap(Record):
    """Codes in a plane; `classes` are numbers into `names`, -1 where an example has none."""

    points: list[tuple[float | None, float | None]] = Field(default_factory=list)
    classes: list[int] = Field(default_factory=list)
    names: list[str] = Field(default_factory=list)
    how: str = ""

    @model_validator(mode="after")
    def _fits(self) -> CodeMap:
        if len(self.classes) != len(self.points) or any(not -1 <= k < len(self.names) for k in self.classes):
            raise ValueError(f"the classes are not {len(self.points)} numbers of {len(self.names)} names")
        return self


class ErrorCounts(Histogram):
    """Errors of reconstruction, `apart` those of examples that were left out; the last bin holds all above."""

    threshold: float | None = None
    apart: list[int] = Field(default_factory=list)
    counts_above: float | None = None
    apart_above: float | None = None

    @model_validator(mode="after")
    def _alike(self) -> ErrorCounts:
        if self.apart and len(self.apart) != len(self.counts):
            raise ValueError(f"{len(self.apart)} counts stand beside {len(self.counts)}")
        return self


class Reconstruction(Record):
    """Records of an autoencoder's test."""

    pairs: list[Likeness] = Field(default_factory=list)
    worst: list[Likeness] = Field(default_factory=list)
    map: CodeMap | None = None
    errors: ErrorCounts | None = None
    samples: str | None = None
    sampled: list[dict[str, str | None]] = Field(default_factory=list)


class ClassShare(Record):
    """How many samples, and how many real examples, a classifier takes for one class."""

    name: str
    share: float = Field(ge=0, le=1)
    real: float = Field(ge=0, le=1)


class Neighbour(Record):
    """A sample beside the training example that is nearest to it."""

    made: str
    nearest: str
    distance: float | None = None


class ExaminerRecord(Record):
    """Whose features samples were measured in."""

    name: str = ""
    accuracy: float | None = None


class Making(Record):
    """What became of a generative model: samples, their classes, and whom they were learned from."""

    examiner: ExaminerRecord = ExaminerRecord()
    reference: Baseline | None = None
    samples: int = 0
    sheet: str | None = None
    classes: list[ClassShare] = Field(default_factory=list)
    entropy: float | None = None
    real_entropy: float | None = None
    sure: float | None = None
    real_sure: float | None = None
    agreement: float | None = None
    neighbours: list[Neighbour] = Field(default_factory=list)
    distance: float | None = None
    real_distance: float | None = None


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
