"""Objectives that learn to make examples, and what their evaluations have in common. B batch, Z numbers of a code."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation, Objective
from penstock.core.shared import rows
from penstock.metrics.generation import fidelity, frechet

NEIGHBOURS = 5
MOST_NEIGHBOURS = 2000
"""Examples, spread over the set, among which neighbours are looked for: the time grows with the square."""


class Generating(Objective):
    """Makes examples like the `field` of a batch.

    A batch has a "key" (B,) for each example, of which everything random is a function: see `penstock.data.keyed`.
    `examiner` maps examples to the features (B, F) in which generated ones are compared with real ones; it is neither
    trained nor saved with the rest. Without one, they are compared as they are.
    """

    normal: ClassVar[bool] = False
    """Whether codes are of the unit normal, each number apart, so that they can be drawn from its middle alone."""

    def __init__(self, *, field: str, examiner: nn.Module | None) -> None:
        super().__init__()
        self.field = field
        self.examine_with(nn.Flatten() if examiner is None else examiner)

    def examine_with(self, examiner: nn.Module) -> None:
        """Compare in the features of another examiner from now on."""
        self._examiner = (examiner.requires_grad_(False).eval(),)  # in a tuple, for it is no part of what is learned

    @property
    def examiner(self) -> nn.Module:
        """What maps examples to features."""
        return self._examiner[0]

    @abstractmethod
    def draw(self, keys: Tensor) -> Tensor:
        """A code for each key (B,): (B, ...)."""

    @abstractmethod
    def make(self, code: Tensor, label: Tensor | None = None) -> Tensor:
        """Examples from codes (B, ...), of classes (B,) int64, where it has them."""

    def sample(self, keys: Tensor, label: Tensor | None = None) -> Tensor:
        """One example for each key (B,), the same for the same key and weights."""
        return self.make(self.draw(keys), label)

    def real(self, batch: Batch) -> Tensor:
        """The real examples of a batch."""
        return batch[self.field]

    def features(self, x: Tensor) -> Tensor:
        """What the examiner sees in examples: (B, ...) to (B, F) float32."""
        with torch.autocast(x.device.type, enabled=False):
            found: Tensor = self.examiner.to(x.device)(x.float())
        return found.float()

    def compared(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        """Measures of features (N, F) and (M, F): how near, how real, how varied."""
        found = {"frechet": frechet(real, generated)}
        if min(len(real), len(generated)) > NEIGHBOURS:
            measured = fidelity(_spread(real), _spread(generated), neighbours=NEIGHBOURS)
            names = ("precision", "recall", "density", "coverage")
            found |= {name: getattr(measured, name) for name in names}
        return found


class Inverting(Generating):
    """One that also finds codes for examples, and is judged by what these make, too."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Codes of examples: (B, ...) to (B, Z)."""

    def unlike(self, made: Tensor, real: Tensor) -> Tensor:
        """How far off what was made is: the mean squared difference of each example, (B, ...) twice to (B,)."""
        return (made - real).square().flatten(1).mean(1)

    def reconstruct(self, x: Tensor) -> Tensor:
        """What the codes of examples make."""
        return self.make(self.encode(x))

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """How far off held-out examples are made again, as `loss`, and measures of nearness of samples.

        Records: the error of each example (N,).
        """
        real, generated, error = joined(rows(source, self._examined))
        return Evaluation({"loss": float(error.double().mean()), **self.compared(real, generated)}, {"error": error})

    def _examined(self, batch: Batch) -> tuple[Tensor, ...]:
        real = self.real(batch)
        error = self.unlike(self.reconstruct(real), real).float()
        return self.features(real), self.features(self.sample(batch["key"])), error


def joined(rows: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """What was kept of each batch, for all: tensors (N, ...) on the processor. Raises DataError where there is none."""
    if not rows:
        raise DataError("evaluation", "there are no examples", "give at least two examples to evaluate on")
    return tuple(torch.cat(column).cpu() for column in zip(*rows, strict=True))


def _spread(features: Tensor) -> Tensor:
    """At most `MOST_NEIGHBOURS` rows, evenly spread."""
    return features[:: -(-len(features) // MOST_NEIGHBOURS)]
