"""Answers that are right or wrong, or off by so much: what models are measured by and what the report draws."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from penstock.core.objective import Evaluation
from penstock.kinds.answer import Answer, Series


class GradedAnswer(Answer):
    """An answer that was given beforehand, and that a model's outputs are compared with."""

    @abstractmethod
    def misfit(self, output: object, examples: int) -> tuple[str, str] | None:
        """What is wrong with a model that gives `output` for a batch of examples, and what to do; or None."""

    @abstractmethod
    def baseline(self, labels: Series[Any]) -> dict[str, Any]:
        """How well the best answer that ignores the input does: its name and its metrics."""

    @abstractmethod
    def findings(self, evaluation: Evaluation) -> dict[str, Any]:
        """What the report draws."""

    @abstractmethod
    def mistakes(self, evaluation: Evaluation, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """The worst mistakes first: the position of the example, and what was answered."""


def misfit_of_rows(output: object, examples: int, wanted: int) -> tuple[str, str] | None:
    """As `GradedAnswer.misfit`, for answers of `wanted` numbers an example: (B, wanted), or (B,) of one."""
    count = examples
    if isinstance(output, Tensor) and output.numel() == count * wanted and (wanted == 1 or output.ndim == 2):
        return None
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    return (
        f"it gives {shape} for {count} examples, the data need ({count}, {wanted})",
        f"make its last layer {wanted} wide",
    )
