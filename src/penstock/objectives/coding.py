"""What objectives of autoencoders have in common. B batch, N examples, Z code."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.core.objective import Evaluation
from penstock.core.shared import rows
from penstock.models.autoencoder import Autoencoder
from penstock.objectives.likelihood import Likelihood
from penstock.objectives.predicting import Predicting

EVALUATION_SEED = 20_131_220
"""Whatever an evaluation draws follows from it, so that evaluations can be compared."""


class Coding(Predicting):
    """An autoencoder whose encoder takes the fields `inputs`, which are also what its output is compared with.

    The fields `told` are given to the decoder besides the code: who speaks, how long it is.
    """

    model: Autoencoder
    measured: Sequence[str] = ("loss",)
    """The names of what `measure` gives: a rank that has no batch of an evaluation is to know them too."""

    def __init__(
        self, model: Autoencoder, inputs: Sequence[str], *, likelihood: Likelihood, told: Sequence[str] = ()
    ) -> None:
        super().__init__(model, inputs)
        self.likelihood, self.told = likelihood, tuple(told)

    @abstractmethod
    def encode(self, batch: Batch) -> Tensor:
        """The code of each example: (B, Z), or (B, places, Z), or numbers of entries of a codebook."""

    def decode(self, code: Tensor, batch: Batch) -> Tensor:
        """The decoder's output for such codes as it takes; `batch` has the fields that it is told."""
        return self.model.decode(code, *[batch[name] for name in self.told])

    @abstractmethod
    def output(self, batch: Batch) -> Tensor:
        """The decoder's output for each example, without chance."""

    @abstractmethod
    def measure(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Numbers of each example (B,) by the names in `measured`, whose means are the metrics."""

    def reconstruct(self, batch: Batch) -> Tensor:
        """What each example looks like after it was coded, in the form that the likelihood gives it."""
        return self.likelihood.mean(self.output(batch))

    def predict(self, batch: Batch) -> Tensor:
        """The reconstruction error of each example (B,): high where it is unlike what was trained on."""
        return self.likelihood.error(self.output(batch), *self.truth(batch))

    def evaluate(self, source: Iterable[Batch]) -> Evaluation:
        """The means of `measure`, and RMSE by value; records: error (N,) of reconstruction, code (N, Z)."""

        def look(batch: Batch) -> tuple[Tensor, ...]:
            generator = torch.Generator(batch[self.inputs[0]].device).manual_seed(EVALUATION_SEED)
            output, truth = self.output(batch), self.truth(batch)
            found = self.measure(batch, generator)
            return (
                self.likelihood.error(output, *truth),
                self.likelihood.squares(output, *truth),
                self.summary(batch).float(),
                *[found[name] for name in self.measured],
            )

        found = rows(source, look)
        if not found:
            raise DataError("evaluation", "there are no examples", "give at least one example to evaluate on")
        error, squares, code, *values = (torch.cat(part).cpu() for part in zip(*found, strict=True))
        metrics = {name: float(value.double().mean()) for name, value in zip(self.measured, values, strict=True)}
        return Evaluation(metrics | {"rmse": float(squares.double().mean().sqrt())}, {"error": error, "code": code})

    def summary(self, batch: Batch) -> Tensor:
        """One vector an example (B, Z): its code, or its mean over places, but for those that are all 0: padding."""
        code = self.encode(batch)
        if code.ndim == 2:
            return code
        code = code.flatten(1, -2)  # (B, places, Z)
        return code.sum(1) / code.any(2).sum(1).clamp(min=1).unsqueeze(1)

    def truth(self, batch: Batch) -> list[Tensor]:
        """The fields that are coded, and compared with the output."""
        return [batch[name] for name in self.inputs]
