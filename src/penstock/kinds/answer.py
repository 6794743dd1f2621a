"""What a model answers with: the kind of the target picks the loss and what is said."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from penstock.data.ragged import Stored
from penstock.kinds.kind import Material

Series = pd.Series


class Answer(ABC):
    """The fitted way out of a model: labels to targets, and outputs back to labels. It travels with the model."""

    word: ClassVar[str]
    outputs: int
    """How many numbers the model gives for an example, where that does not depend on the input."""

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
    def say(self, outputs: Any) -> list[dict[str, Any]]:
        """What the objective predicts for a batch as JSON values, one an example."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything needed to do the same again."""
