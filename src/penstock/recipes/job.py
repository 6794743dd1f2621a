"""What a recipe builds: everything that the engine and the report need, and nothing that has happened yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from penstock.core.objective import Evaluation
from penstock.data.examples import Examples
from penstock.data.sources import InOrder, Shuffled
from penstock.kinds.kind import Material
from penstock.optim.optimizer import Optimizer
from penstock.recipes.recipe import Recipe
from penstock.recipes.trained import Trained

MOST_MISTAKES = 24


@dataclass(frozen=True)
class Supplied:
    """Objects from Python that take the place of what a recipe can only name."""

    data: object = None
    model: nn.Module | None = None

    def names(self) -> list[str]:
        """What was supplied, for the record: it must be supplied again to go on."""
        return [name for name in ("data", "model") if getattr(self, name) is not None]


@dataclass(frozen=True)
class Job:
    """A recipe with every choice made, and what was built from it."""

    recipe: Recipe
    trained: Trained
    material: Material
    splits: Mapping[str, np.ndarray]
    source: Shuffled
    held_out: Mapping[str, InOrder]
    optimizers: Mapping[str, Optimizer]
    facts: Mapping[str, Any]

    def close(self) -> None:
        """End what reads the data ahead."""
        self.material.close()

    def judge(self, evaluation: Evaluation, split: str) -> dict[str, Any]:
        """An evaluation as the report shows it: metrics, a trivial baseline, drawings, the worst mistakes."""
        return judged(self.trained, evaluation, self.material, self.splits[split], split)


def judged(
    trained: Trained, evaluation: Evaluation, material: Material, rows: np.ndarray, split: str
) -> dict[str, Any]:
    """See `Job.judge`; `rows` are the rows of the material, in the order of the evaluation's records."""
    answer = trained.answer
    target = answer.encode(material.labels.iloc[rows])
    mistakes = answer.mistakes(evaluation, MOST_MISTAKES)
    return {
        "split": split,
        "examples": len(rows),
        "metrics": evaluation.metrics,
        "baseline": answer.baseline(target),
        **answer.findings(evaluation),
        "mistakes": [said | material.show(int(rows[at])) for at, said in mistakes],
    }


def labelled(trained: Trained, material: Material) -> Examples:
    """All rows of some material as the model takes them, with their targets, on the model's device."""
    target = trained.answer.encode(material.labels)
    return material.examples(trained.kind, {"target": target}).to(trained.device)


def held_out(trained: Trained, examples: Examples, rows: np.ndarray, *, batch_size: int = 512) -> InOrder:
    """Some of the examples, in order."""
    transform = trained.kind.transform(training=False)
    return InOrder(examples, torch.from_numpy(rows), batch_size=batch_size, transform=transform)
