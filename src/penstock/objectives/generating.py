"""Objectives that learn to make examples, and what their evaluations have in common. B batch, Z numbers of a code."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Objective
from penstock.metrics.generation import fidelity, frechet

NEIGHBOURS = 5


class Generating(Objective):
    """Makes examples like the `field` of a batch.

    A batch has a "key" (B,) for each example, of which everything random is a function: see `penstock.data.keyed`.
    `examiner` maps examples to the features (B, F) in which generated ones are compared with real ones; it is not
    trained. Without one, they are compared as they are.
    """

    def __init__(self, *, field: str, examiner: nn.Module | None) -> None:
        super().__init__()
        self.field = field
        self.examiner = (nn.Flatten() if examiner is None else examiner).requires_grad_(False)

    @abstractmethod
    def sample(self, keys: Tensor, label: Tensor | None = None) -> Tensor:
        """One example for each key (B,), the same for the same key and weights; of classes (B,), where it has them."""

    def real(self, batch: Batch) -> Tensor:
        """The real examples of a batch."""
        return batch[self.field]

    def features(self, x: Tensor) -> Tensor:
        """What the examiner sees in examples: (B, ...) to (B, F) float32."""
        found: Tensor = self.examiner(x)
        return found.float()

    def compared(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        """Measures of features (N, F) and (M, F): how near, how real, how varied."""
        found = {"frechet": frechet(real, generated)}
        if min(len(real), len(generated)) > NEIGHBOURS:
            measured = fidelity(real, generated, neighbours=NEIGHBOURS)
            names = ("precision", "recall", "density", "coverage")
            found |= {name: getattr(measured, name) for name in names}
        return found


def joined(rows: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """What was kept of each batch, for all: tensors (N, ...) on the processor. Raises DataError where there is none."""
    if not rows:
        raise DataError("evaluation", "there are no examples", "give at least two examples to evaluate on")
    return tuple(torch.cat(column).cpu() for column in zip(*rows, strict=True))
