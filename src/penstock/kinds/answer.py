"""What a model answers with: the kind of the target picks the loss, the metrics and what is drawn for the report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from torch import Tensor

from penstock.core.objective import Evaluation

Series = pd.Series


class Answer(ABC):
    """The fitted way out of a model: labels to targets, and outputs back to labels. It travels with the model."""

    word: ClassVar[str]
    outputs: int
    """How many numbers the model gives for an example."""

    @classmethod
    @abstractmethod
    def fit(cls, labels: Series[Any], rows: np.ndarray) -> Self:
        """From the labels of the training rows. Raises DataError where there is nothing to learn."""

    @abstractmethod
    def encode(self, labels: Series[Any]) -> Tensor:
        """Labels to targets (N,). Raises DataError for a label that is missing or cannot be one."""

    @abstractmethod
    def facts(self, labels: Series[Any], splits: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What was understood, for the table that is shown before training."""

    @abstractmethod
    def baseline(self, target: Tensor) -> dict[str, Any]:
        """How well the best answer that ignores the input does: its name and its metrics."""

    @abstractmethod
    def findings(self, evaluation: Evaluation) -> dict[str, Any]:
        """What the report draws."""

    @abstractmethod
    def mistakes(self, evaluation: Evaluation, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """The worst mistakes first: the position of the example, and what was answered."""

    @abstractmethod
    def say(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Predictions of the objective as JSON values, one an example."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything needed to do the same again."""
