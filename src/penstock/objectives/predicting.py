"""Objectives whose model answers a question about each example."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import nn

from penstock.core.batch import Batch
from penstock.core.objective import Objective


class Predicting(Objective):
    """A model that takes the fields `inputs` of a batch, and can say what it makes of them without knowing "target"."""

    def __init__(self, model: nn.Module, inputs: Sequence[str]) -> None:
        super().__init__()
        self.model, self.inputs = model, tuple(inputs)

    @abstractmethod
    def predict(self, batch: Batch) -> Any:
        """What the model finds for the B examples, in the form in which the kind of the answer puts it into words."""
