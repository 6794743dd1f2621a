"""An answer that is the course of a series. N windows, F steps ahead, K columns, Q levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from penstock.core.objective import Evaluation
from penstock.data.features import Scale
from penstock.kinds.answer import Series
from penstock.kinds.graded import GradedAnswer
from penstock.kinds.series import SeriesMaterial, Stretch
from penstock.metrics.forecasting import mase

SHOWN = 6
"""Windows that the report draws, spread over the split."""
SIMPLE = {"last": "stay at the last value", "seasonal": "the same as a season before"}


class FutureAnswer(GradedAnswer):
    """Quantiles of the levels (Q,) for each step ahead and each column told; `naive` (K,) is what MASE is relative to.

    The label of an example is its place in the series, for what follows there is the target.
    """

    word = "future"

    def __init__(
        self,
        names: Sequence[str],
        scales: Sequence[Scale],
        levels: Sequence[float],
        naive: Sequence[float],
        stretch: Stretch,
    ) -> None:
        self.names, self.scales, self.levels = list(names), list(scales), list(levels)
        self.naive, self.stretch = list(naive), stretch
        self.outputs = stretch.horizon * len(names) * len(levels)

    @classmethod
    def of(cls, material: SeriesMaterial, rows: np.ndarray, levels: Sequence[float]) -> FutureAnswer:
        """From the rows that the training windows see or tell."""
        kind, known = material.fit(rows), material.known(rows)[:, list(material.targets)]
        season = material.stretch.season if len(known) > material.stretch.season else 1
        naive = np.abs(known[season:] - known[:-season]).mean(0)
        scales = [kind.scales[at] for at in kind.targets]
        return cls(kind.told, scales, levels, naive.tolist(), material.stretch)

    def encode(self, labels: Series[Any]) -> Tensor:
        """The places themselves."""
        return torch.tensor(labels.to_numpy(dtype=np.int64))

    def facts(self, labels: Series[Any], splits: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """How far it looks."""
        stretch = self.stretch
        again = f"a season is {stretch.season:,} rows" if stretch.season > 1 else "no season was found"
        detail = f"{stretch.horizon:,} rows ahead from the last {stretch.context:,}; {again}"
        return {"target": {"name": ", ".join(self.names), "kind": self.word, "detail": detail}, "classes": None}

    def misfit(self, output: object, examples: int) -> tuple[str, str] | None:
        """A model must give (B, F, K, Q)."""
        wanted = (examples, self.stretch.horizon, len(self.names), len(self.levels))
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        if shape == wanted:
            return None
        return f"it gives {shape}, the data need {wanted}", "give a number for each step, column and quantile"

    def baseline(self, labels: Series[Any]) -> dict[str, Any]:
        """What the simple rules reach is found with the evaluation: see `findings`."""
        return {"name": SIMPLE["seasonal"], "metrics": {}}

    def findings(self, evaluation: Evaluation) -> dict[str, Any]:
        """The better of two simple rules, errors by step, how often the band held, and some windows to draw."""
        truth, told = evaluation.records["target"], evaluation.records["prediction"]
        middle = self.levels.index(0.5)
        errors = {"model": told[..., middle] - truth}
        errors |= {rule: evaluation.records[rule] - truth for rule in SIMPLE}
        scores = {rule: self._scores(errors[rule]) for rule in SIMPLE}
        best = min(scores, key=lambda rule: scores[rule]["mae"])
        inside = (truth >= told[..., 0]) & (truth <= told[..., -1])
        spread = torch.linspace(0, len(truth) - 1, min(SHOWN, len(truth))).round().long().tolist()
        return {
            "baseline": {"name": SIMPLE[best], "metrics": scores[best]},
            "forecast": {
                "columns": self.names,
                "levels": self.levels,
                "coverage": float(inside.double().mean()),
                "steps": {rule: self._by_step(error) for rule, error in errors.items()},
                "windows": [
                    {
                        "known": evaluation.records["known"][at].T.tolist(),
                        "target": truth[at].T.tolist(),
                        "quantiles": told[at].permute(1, 2, 0).tolist(),
                    }
                    for at in spread
                ],
            },
        }

    def mistakes(self, evaluation: Evaluation, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """None: the windows that are drawn show them."""
        return []

    def say(self, outputs: Any) -> list[dict[str, Any]]:
        """The median of each step and column, and all quantiles: F lists of K numbers."""
        middle = self.levels.index(0.5)
        return [
            {
                "prediction": one[..., middle].tolist(),
                "quantiles": {f"{level:g}": one[..., at].tolist() for at, level in enumerate(self.levels)},
            }
            for one in outputs
        ]

    def to_json(self) -> dict[str, Any]:
        """Names, scales, levels and errors of the simple rule."""
        return {
            "kind": self.word,
            "names": self.names,
            "scales": [scale.to_json() for scale in self.scales],
            "levels": self.levels,
            "naive": self.naive,
            "stretch": vars(self.stretch),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FutureAnswer:
        """The reverse of `to_json`."""
        scales = [Scale.from_json(scale) for scale in value["scales"]]
        return cls(value["names"], scales, value["levels"], value["naive"], Stretch(**value["stretch"]))

    def _scores(self, error: Tensor) -> dict[str, float]:
        return {
            "mae": float(error.abs().mean()),
            "rmse": float(error.square().mean().sqrt()),
            "mase": mase(error, torch.tensor(self.naive, dtype=error.dtype)),
        }

    def _by_step(self, error: Tensor) -> list[float]:
        """The mean absolute error of each step ahead: MASE where several columns are told, for they differ in unit."""
        if len(self.names) == 1:
            return error.abs().mean((0, 2)).tolist()
        naive = torch.tensor(self.naive, dtype=error.dtype)
        return [mase(error[:, step : step + 1], naive) for step in range(error.shape[1])]
