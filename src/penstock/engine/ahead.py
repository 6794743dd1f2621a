"""Batches drawn before they are trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.objective import Listening, Source, Stacking


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

    def put_back(self) -> None:
        """Draw again what was looked at: computed with another number of threads, it may differ in its last bits."""
        self.load_state_dict(self.state_dict())

    def together(self, count: int) -> dict[str, Tensor] | None:
        """The next batches, which stay the next ones, stacked: (count, B, ...) a field; None where shapes differ."""
        if isinstance(self.source, Stacking) and not self._drawn:
            stacked = self.source.together(count)
            if stacked is not None:
                return {name: values.to(self._device) for name, values in stacked.items()}
        first, *others = self.peek(count)
        fields = [(name, value.shape, value.dtype) for name, value in first.items()]
        if any([(name, value.shape, value.dtype) for name, value in other.items()] != fields for other in others):
            return None
        return {name: torch.stack([first[name], *(other[name] for other in others)]) for name in first}

    def skip(self, count: int) -> None:
        """Take batches that `together` has given."""
        if self._drawn:
            del self._drawn[:count]
        else:
            assert isinstance(self.source, Stacking)
            self.source.skip(count)

    def __next__(self) -> Batch:
        batch = self._drawn.pop(0)[1] if self._drawn else next(self.source).to(self._device)
        if isinstance(self.source, Listening):
            self.source.hear(batch.said)
        return batch

    @property
    def listens(self) -> bool:
        """Whether the next batch cannot be drawn before the step of this one has been made."""
        return isinstance(self.source, Listening)

    def tensors(self) -> dict[str, Tensor]:
        """What a source that listens keeps."""
        return self.source.tensors() if isinstance(self.source, Listening) else {}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put it back."""
        if isinstance(self.source, Listening):
            self.source.load_tensors(tensors)

    def state_dict(self) -> dict[str, Any]:
        """The position, as JSON values."""
        return self._drawn[0][0] if self._drawn else self.source.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a position."""
        self._drawn = []
        self.source.load_state_dict(state)
