"""An exponential moving average of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from penstock.core.tensors import copy_all_checked
from penstock.engine.role import Role


class Average:
    """Follows the roles' parameters and their modules' floating buffers (batch statistics) at rate 1 - decay.

    The decay starts small, min(decay, (1 + t) / (10 + t)) after t steps, so that the first weights are soon forgotten
    (as in TensorFlow's ExponentialMovingAverage with num_updates; the average is that of Polyak and Juditsky 1992).
    """

    def __init__(self, roles: Sequence[Role], decay: float) -> None:
        self.decay = decay
        self._live = [role.flat.parameter for role in roles]
        modules = [role.module for role in roles if role.module is not None]
        self._live += [buffer for module in modules for buffer in module.buffers() if buffer.is_floating_point()]
        self._mean = [value.clone() for value in self._live]
        self._roles = roles

    def weight(self, step: int) -> float:
        """How far the average moves towards the weights after `step` steps."""
        return 1 - min(self.decay, (1 + step) / (10 + step))

    def pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each parameter's and buffer's mean, and the parameter or buffer itself."""
        for role, mean in zip(self._roles, self._mean, strict=False):
            yield from zip(role.flat.views(mean).values(), role.flat.parameters, strict=True)
        yield from zip(self._mean[len(self._roles) :], self._live[len(self._roles) :], strict=True)

    def update(self, step: int) -> None:
        """Move towards the weights after `step` steps."""
        weight = self.weight(step)
        with torch.no_grad():
            for mean, live in zip(self._mean, self._live, strict=True):
                mean.lerp_(live, weight)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the objective has the averaged weights."""
        kept = [live.clone() for live in self._live]
        self.take()
        try:
            yield
        finally:
            _copy(self._live, kept)

    def take(self) -> None:
        """Give the objective the averaged weights for good."""
        _copy(self._live, self._mean)

    def tensors(self) -> dict[str, Tensor]:
        """The average, by position."""
        return {str(i): mean for i, mean in enumerate(self._mean)}

    def load_tensors(self, saved: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave. Raises CheckpointError where it does not fit."""
        copy_all_checked(self.tensors(), saved, "moving average")


def _copy(targets: list[Tensor], values: list[Tensor]) -> None:
    with torch.no_grad():
        for target, value in zip(targets, values, strict=True):
            target.copy_(value)
