"""The best weights so far by the monitored metric, and when to stop looking for better ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from penstock.core.errors import RecipeError, suggest
from penstock.core.tensors import copy_all_checked
from penstock.metrics.names import higher_is_better


class Best:
    """Keeps a copy of the objective's state at its best evaluation; of equal ones, that with the lower loss.

    A metric that is not finite is never the best.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor, self._sign = monitor, 1 if higher_is_better(monitor) else -1
        self.value, self.step, self.epoch, self.waited = math.nan, 0, 0.0, 0
        self._loss = math.inf
        self._tensors: dict[str, Tensor] = {}

    def observe(self, metrics: Mapping[str, float], objective: nn.Module, step: int, epoch: float) -> bool:
        """Take note of an evaluation; True where it is the best so far.

        Raises RecipeError where the metric is not among those evaluated.
        """
        if self.monitor not in metrics:
            raise RecipeError("monitor", f"{self.monitor!r} is not evaluated here", suggest(self.monitor, metrics))
        value, loss = metrics[self.monitor], metrics.get("loss", math.inf)
        ahead = math.inf if not self._tensors else (value - self.value) * self._sign
        if not math.isfinite(value) or ahead < 0 or (ahead == 0 and not loss < self._loss):
            self.waited += 1
            return False
        self.value, self._loss, self.step, self.epoch, self.waited = value, loss, step, epoch, 0
        self._tensors = {name: tensor.clone() for name, tensor in objective.state_dict().items()}
        return True

    def enough(self, patience: int | None, until: float | None) -> str | None:
        """Why to look no longer: nothing better for so many evaluations, or a value as good as was wanted."""
        if patience is not None and self.waited >= patience:
            return f"{self.monitor} had not become better for {patience} evaluations"
        if until is not None and (self.value - until) * self._sign >= 0:  # never, while it is nan
            return f"{self.monitor} had reached {until:g}"
        return None

    def restore(self, objective: nn.Module) -> None:
        """Give the objective its best weights; without any evaluation it keeps those it has."""
        if self._tensors:
            copy_all_checked(objective.state_dict(), self._tensors, "best weights")

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON values."""
        numbers = {"value": self.value, "loss": self._loss, "step": self.step, "epoch": self.epoch}
        finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        return self._tensors, {**finite, "waited": self.waited}

    def load_state(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""
        self._tensors = dict(tensors)
        self.value = math.nan if values["value"] is None else values["value"]
        self._loss = math.inf if values["loss"] is None else values["loss"]
        self.step, self.epoch, self.waited = values["step"], values["epoch"], values["waited"]
