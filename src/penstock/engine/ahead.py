"""Batches drawn before they are trained on."""

from __future__ import annotations

from typing import Any

import torch

from penstock.core.batch import Batch
from penstock.core.objective import Source


class Ahead:
    """A source whose next batches can be looked at, on `device`; its position is that of the batch to be taken next."""

    def __init__(self, source: Source, device: torch.device) -> None:
        self.source, self._device = source, device
        self._drawn: list[tuple[dict[str, Any], Batch]] = []

    @property
    def epoch_steps(self) -> int:
        """Batches in an epoch."""
        return self.source.epoch_steps

    def peek(self, count: int) -> list[Batch]:
        """The next batches, which stay the next ones. Raises what the source raises; those before are kept."""
        while len(self._drawn) < count:
            position = self.source.state_dict()
            self._drawn.append((position, next(self.source).to(self._device)))
        return [batch for _, batch in self._drawn[:count]]

    def __next__(self) -> Batch:
        return self._drawn.pop(0)[1] if self._drawn else next(self.source).to(self._device)

    def state_dict(self) -> dict[str, Any]:
        """The position, as JSON values."""
        return self._drawn[0][0] if self._drawn else self.source.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a position."""
        self._drawn = []
        self.source.load_state_dict(state)
