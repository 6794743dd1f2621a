"""What a run folder tells of series: forecasts, and how far back a network looks."""

from __future__ import annotations

from pydantic import Field

from penstock.run.report.record import Record


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
