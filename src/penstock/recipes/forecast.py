"""Forecasting: how does a series go on?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from penstock.core.errors import RecipeError
from penstock.core.settings import Settings
from penstock.recipes.architectures import SEQUENCES, build_model, one_of
from penstock.recipes.graded import Graded
from penstock.recipes.recipe import Where
from penstock.recipes.settings import NetSettings, ReadSettings

if TYPE_CHECKING:
    from torch import nn

    from penstock.data.splits import Splits
    from penstock.kinds.answer import Answer
    from penstock.kinds.kind import Kind, Material
    from penstock.objectives.predicting import Predicting
    from penstock.recipes.answering import Answering

LINEAR = "linear"
FORECASTERS: Mapping[str, str] = {LINEAR: "", **SEQUENCES}
"""Models by name; the linear one needs no network beside it."""


def _levels(levels: list[float]) -> list[float]:
    """The levels themselves. Raises ValueError unless they rise and hold the median."""
    if 0.5 not in levels or levels != sorted(set(levels)):
        raise ValueError("quantiles rise and hold 0.5, e.g. 0.1 0.5 0.9")
    return levels


class WindowSettings(Settings):
    """How far to look back and ahead, in rows."""

    horizon: Annotated[int, Field(ge=1, le=10_000, description="rows to forecast")] = 24
    context: Annotated[
        int | None,
        Field(ge=1, le=100_000, description="rows to look back; three seasons or two horizons if not given"),
    ] = None
    season: Annotated[
        int | None,
        Field(ge=1, le=100_000, description="after so many rows the series comes again; found out if not given"),
    ] = None


class Forecast(Graded):
    """Tell how a series goes on, with a band in which it stays."""

    task: ClassVar[str] = "forecast"
    summary: ClassVar[str] = "tell how a series of measurements goes on"
    example: ClassVar[str] = "penstock train forecast --data prices.csv --target close --horizon 5"
    activity: ClassVar[str] = "forecasting"
    headline: ClassVar[Sequence[str]] = ("mase", "mae", "rmse", "loss")
    examples_seen: ClassVar[int] = 60_000
    least_steps: ClassVar[int] = 300

    data: Where = "tides"
    time: Annotated[str | None, Field(description="the column of dates; found out if not given")] = None
    target: Annotated[list[str], Field(description="the columns to forecast; all numbers if not given")] = Field(
        default_factory=list
    )
    ignore: Annotated[list[str], Field(description="columns to leave out")] = Field(default_factory=list)
    quantiles: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]],
        Field(description="levels to forecast: of ten truths nine lie below the 0.9", min_length=1),
        AfterValidator(_levels),
    ] = Field(default_factory=lambda: [0.1, 0.5, 0.9])
    model: Annotated[
        str,
        Field(description=f"auto (lstm), {', '.join(FORECASTERS)}"),
        AfterValidator(one_of(FORECASTERS)),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "float32", "bf16", "fp16"],
        Field(description="of the layers; an answer in bfloat16 has three digits, so that auto is for rough ones"),
    ] = "float32"
    clip_norm: Annotated[
        float | None, Field(gt=0, description="scale gradients down to this norm: those of recurrent networks explode")
    ] = 1.0
    net: NetSettings = NetSettings()
    window: WindowSettings = WindowSettings()
    table: ReadSettings = ReadSettings()

    @property
    def trained_type(self) -> type[Answering]:
        """One that says each step by itself."""
        from penstock.recipes.forecasting import Forecasting

        return Forecasting

    def read_material(self, supplied: object = None, kind: Kind | None = None) -> Material:
        """The table that `data` names, in the order of time."""
        from penstock.core.errors import DataError
        from penstock.data.opened import TableData
        from penstock.data.opening import open_data
        from penstock.kinds.series import SeriesKind, series_material, series_of

        if self.split.column is not None:
            raise RecipeError("split.column", "a series is divided by time", "leave it out")
        table, window = self.table, self.window
        reading = table.options()
        found = open_data(self.data, reading, supplied)
        if not isinstance(found, TableData):
            raise DataError(found.origin, "these are pictures, not a series", "give a table with a row a moment")
        if isinstance(kind, SeriesKind):
            return series_of(found, kind)
        return series_material(
            found,
            time=self.time,
            targets=self.target or ([found.target] if found.target else []),
            ignore=self.ignore,
            context=window.context,
            horizon=window.horizon,
            season=window.season,
            training=1 - self.split.validation - self.split.test,
            reading=reading,
        )

    def divide(self, material: Material) -> Splits:
        """By time: the last share is the test, the one before it for validation."""
        from penstock.data.windows import split_by_time
        from penstock.kinds.series import SeriesMaterial

        assert isinstance(material, SeriesMaterial)
        return split_by_time(
            len(material.timeline),
            context=material.stretch.context,
            ahead=material.stretch.horizon,
            validation=self.split.validation,
            test=self.split.test,
        )

    def usable(self, material: Material) -> Any:
        """The rows that have enough before them and after them."""
        import numpy as np

        from penstock.core.errors import DataError
        from penstock.kinds.series import SeriesMaterial

        assert isinstance(material, SeriesMaterial)
        stretch, count = material.stretch, len(material.timeline)
        if count < stretch.context + stretch.horizon:
            problem = f"{count:,} rows hold no window of {stretch.context:,} back and {stretch.horizon:,} ahead"
            raise DataError(material.origin, problem, "give more rows")
        return np.arange(stretch.context - 1, count - stretch.horizon)

    def fit_answer(self, material: Material, rows: Any) -> Answer:
        """Scales and the errors of a simple rule, in the training rows."""
        from penstock.kinds.future import FutureAnswer
        from penstock.kinds.series import SeriesMaterial

        assert isinstance(material, SeriesMaterial)
        return FutureAnswer.of(material, rows, self.quantiles)

    def network(self, name: str, kind: Kind, answer: Answer, net: NetSettings) -> nn.Module:
        """A sum over the past, and the network of that name beside it."""
        from penstock.kinds.future import FutureAnswer
        from penstock.models.forecaster import Forecaster

        assert isinstance(answer, FutureAnswer)
        sizes = kind.sizes()
        beside = None
        if name != LINEAR:
            beside = build_model(name, {"features": 2 * sizes["columns"]}, answer.outputs, net, SEQUENCES)
        return Forecaster(beside, quantiles=len(answer.levels), **sizes)

    def objective(self, kind: Kind, answer: Answer, network: nn.Module) -> Predicting:
        """Quantiles."""
        import torch

        from penstock.kinds.future import FutureAnswer
        from penstock.kinds.series import SeriesKind
        from penstock.objectives.quantiles import Quantiles

        assert isinstance(answer, FutureAnswer)
        assert isinstance(kind, SeriesKind)
        return Quantiles(
            network,
            kind.inputs,
            levels=answer.levels,
            centre=torch.tensor([scale.mean for scale in answer.scales], dtype=torch.float64),
            scale=torch.tensor([scale.std for scale in answer.scales], dtype=torch.float64),
            naive=torch.tensor(answer.naive, dtype=torch.float64),
            targets=kind.targets,
            season=answer.stretch.season,
        )
