"""An answer that is a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from penstock.core.objective import Evaluation
from penstock.data.features import Scale, target_numbers
from penstock.kinds.answer import Series
from penstock.kinds.graded import GradedAnswer, misfit_of_rows
from penstock.metrics.regression import mae, r2, rmse

MOST_POINTS = 2000


class NumberAnswer(GradedAnswer):
    """A number in the target's own unit; the model works on it standardised."""

    word = "number"
    outputs = 1

    def __init__(self, scale: Scale) -> None:
        self.scale = scale

    @classmethod
    def fit(cls, labels: Series[Any], rows: np.ndarray) -> Self:
        """Mean and deviation of the training rows."""
        return cls(Scale.fit(target_numbers(labels.iloc[rows])))

    def encode(self, labels: Series[Any]) -> Tensor:
        """Standardised numbers."""
        return self.scale.encode(target_numbers(labels))

    def facts(self, labels: Series[Any], splits: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The target's range."""
        values = target_numbers(labels)
        detail = f"{values.min():,.6g} to {values.max():,.6g}, mean {self.scale.mean:,.6g} in training"
        return {"target": {"name": str(labels.name), "kind": self.word, "detail": detail}, "classes": None}

    def misfit(self, output: object, examples: int) -> tuple[str, str] | None:
        """See `misfit_of_rows`."""
        return misfit_of_rows(output, examples, self.outputs)

    def baseline(self, labels: Series[Any]) -> dict[str, Any]:
        """Always the mean of the training split."""
        truth = self.scale.decode(self.encode(labels))
        mean = torch.full_like(truth, self.scale.mean)
        metrics = {"rmse": rmse(mean, truth), "mae": mae(mean, truth), "r2": r2(mean, truth)}
        return {"name": "always the mean of the training targets", "metrics": metrics}

    def findings(self, evaluation: Evaluation) -> dict[str, Any]:
        """Predictions against targets, and the residuals' histogram."""
        prediction, target = evaluation.records["prediction"], evaluation.records["target"]
        every = -(-len(target) // MOST_POINTS)
        points = torch.stack([target, prediction], 1)[::every]
        residual = (prediction - target).numpy()
        residual = residual[np.isfinite(residual)]
        low, high = np.quantile(residual, [0.005, 0.995]) if len(residual) else (0.0, 1.0)
        counts, edges = np.histogram(residual.clip(low, high), bins=40, range=(low, high))  # the tails in the end bins
        return {
            "regression": {
                "points": points.tolist(),
                "residuals": {"edges": edges.tolist(), "counts": counts.tolist()},
            }
        }

    def mistakes(self, evaluation: Evaluation, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """The largest residuals."""
        prediction, target = evaluation.records["prediction"], evaluation.records["target"]
        residual = prediction - target
        worst = residual.abs().argsort(descending=True, stable=True)[:limit]
        return [
            (row, {"truth": float(target[row]), "predicted": float(prediction[row]), "residual": float(residual[row])})
            for row in worst.tolist()
        ]

    def say(self, outputs: Any) -> list[dict[str, Any]]:
        """The number."""
        return [{"prediction": value} for value in outputs.double().tolist()]

    def to_json(self) -> dict[str, Any]:
        """Mean and deviation."""
        return {"kind": self.word, "scale": self.scale.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> NumberAnswer:
        """The reverse of `to_json`."""
        return cls(Scale.from_json(value["scale"]))
