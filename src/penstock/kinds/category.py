"""An answer that is one of K classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from penstock.core.objective import Evaluation
from penstock.data.features import Classes
from penstock.kinds.answer import Series
from penstock.kinds.graded import GradedAnswer, misfit_of_rows
from penstock.metrics.classification import confusion, precision_recall, reliability


class CategoryAnswer(GradedAnswer):
    """Probabilities of the classes that training saw; `counts` (K,) are their training examples."""

    word = "category"

    def __init__(self, classes: Classes, counts: list[int]) -> None:
        self.classes, self.counts = classes, counts
        self.outputs = len(classes.names)

    @classmethod
    def fit(cls, labels: Series[Any], rows: np.ndarray) -> Self:
        """The classes of the training rows."""
        classes = Classes.fit(labels.iloc[rows])
        counts = torch.bincount(classes.encode(labels.iloc[rows]), minlength=len(classes.names))
        return cls(classes, counts.tolist())

    def encode(self, labels: Series[Any]) -> Tensor:
        """Class indices."""
        return self.classes.encode(labels)

    def facts(self, labels: Series[Any], splits: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """How many examples of each class stand in each split."""
        counts = {
            part: torch.bincount(self.encode(labels.iloc[rows]), minlength=self.outputs).tolist()
            for part, rows in splits.items()
        }
        rows = [
            {"name": name} | {part: counts[part][k] for part in splits} for k, name in enumerate(self.classes.names)
        ]
        target = {"name": str(labels.name), "kind": self.word, "detail": f"{self.outputs} classes"}
        return {"target": target, "classes": rows}

    def class_weights(self) -> Tensor:
        """Weights that make every class count alike: N / (K n_k), (K,)."""
        counts = torch.tensor(self.counts, dtype=torch.float32)
        return counts.sum() / (self.outputs * counts.clamp(min=1))

    def misfit(self, output: object, examples: int) -> tuple[str, str] | None:
        """See `misfit_of_rows`."""
        return misfit_of_rows(output, examples, self.outputs)

    def baseline(self, labels: Series[Any]) -> dict[str, Any]:
        """Always the commonest class of the training split."""
        commonest = int(np.argmax(self.counts))
        accuracy = float((self.encode(labels) == commonest).double().mean())
        name = f"always {self.classes.names[commonest]!r}, the commonest class"
        return {"name": name, "metrics": {"accuracy": accuracy, "error": 1 - accuracy}}

    def findings(self, evaluation: Evaluation) -> dict[str, Any]:
        """Confusion matrix, precision and recall of each class, reliability."""
        probability, target = evaluation.records["probability"], evaluation.records["target"]
        table = confusion(probability.argmax(1), target, self.outputs)
        scores = precision_recall(table)
        calibration = reliability(probability, target)
        rows = zip(self.classes.names, *(getattr(scores, key).tolist() for key in _SCORES), strict=True)
        bins = zip(*(getattr(calibration, key).tolist() for key in _BINS), strict=True)
        return {
            "classification": {
                "classes": self.classes.names,
                "confusion": table.tolist(),
                "per_class": [dict(zip(("name", *_SCORES), row, strict=True)) for row in rows],
                "reliability": {
                    "bins": [dict(zip(_BINS, row, strict=True)) for row in bins],
                    "error": calibration.error,
                },
            }
        }

    def mistakes(self, evaluation: Evaluation, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """The wrong answers of which the model was surest."""
        probability, target = evaluation.records["probability"], evaluation.records["target"]
        confidence, predicted = probability.max(1)
        wrong = torch.nonzero(predicted != target).flatten()
        worst = wrong[confidence[wrong].argsort(descending=True, stable=True)][:limit]
        names = self.classes.names
        return [
            (
                row,
                {
                    "truth": names[int(target[row])],
                    "predicted": names[int(predicted[row])],
                    "confidence": float(confidence[row]),
                },
            )
            for row in worst.tolist()
        ]

    def say(self, outputs: Any) -> list[dict[str, Any]]:
        """The likeliest class, its probability, and those of all classes."""
        names = self.classes.names
        return [
            {
                "prediction": names[int(np.argmax(row))],
                "probability": max(row),
                "probabilities": dict(zip(names, row, strict=True)),
            }
            for row in outputs.double().tolist()
        ]

    def to_json(self) -> dict[str, Any]:
        """Class names and counts."""
        return {"kind": self.word, "classes": self.classes.to_json(), "counts": self.counts}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CategoryAnswer:
        """The reverse of `to_json`."""
        return cls(Classes.from_json(value["classes"]), list(value["counts"]))


_SCORES = ("precision", "recall", "f1", "support")
_BINS = ("confidence", "accuracy", "count")
