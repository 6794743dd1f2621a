"""What a model answers with: the kind of the target picks the loss, the metrics and what is drawn for the report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from torch import Tensor

from penstock.core.objective import Evaluation
from penstock.data.ragged import Stored
from penstock.kinds.kind import Material

Series = pd.Series


def misfit_of_rows(output: object, examples: int, wanted: int) -> tuple[str, str] | None:
    """As `Answer.misfit`, for answers of `wanted` numbers an example: (B, wanted), or (B,) of one."""
    count = examples
    if isinstance(output, Tensor) and output.numel() == count * wanted and (wanted == 1 or output.ndim == 2):
        return None
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    return (
        f"it gives {shape} for {count} examples, the data need ({count}, {wanted})",
        f"make its last layer {wanted} wide",
    )


class Answer(ABC):
    """The fitted way out of a model: labels to targets, and outputs back to labels. It travels with the model."""

    word: ClassVar[str]
    outputs: int
    """How many numbers the model gives for an example."""

    @abstractmethod
    def encode(self, labels: Series[Any]) -> Stored:
        """Labels to targets, N of them. Raises DataError for a label that is missing or cannot be one."""

    def fields(self, material: Material) -> dict[str, Stored]:
        """What an example has besides its input, by field, N of each. Raises as `encode`."""
        return {"target": self.encode(material.labels)}

    @abstractmethod
    def facts(self, labels: Series[Any], splits: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What was understood, for the table that is shown before training."""

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

    @abstractmethod
    def say(self, outputs: Any) -> list[dict[str, Any]]:
        """What the objective predicts for a batch as JSON values, one an example."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything needed to do the same again."""
