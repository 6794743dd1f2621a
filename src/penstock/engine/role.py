"""A role at work: its flat parameters, its optimizer's state, and one update of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from penstock.core.tensors import copy_all_checked
from penstock.engine.flat import Flat
from penstock.engine.tuning.kernels import update_rule
from penstock.optim.optimizer import Optimizer


class Role:
    """What the engine keeps for one named set of parameters."""

    def __init__(
        self, name: str, members: nn.Module | list[nn.Parameter], optimizer: Optimizer, *, fused: bool, tail: int = 0
    ) -> None:
        self.name, self.optimizer = name, optimizer
        self.module = members if isinstance(members, nn.Module) else None
        named: Mapping[str, nn.Parameter] = (
            dict(members.named_parameters())
            if isinstance(members, nn.Module)
            else {str(i): p for i, p in enumerate(dict.fromkeys(members))}  # a shared parameter counts once
        )
        self.flat = Flat(name, named, tail)
        self.state = {key: torch.zeros_like(self.flat.parameter) for key in optimizer.state_names}
        self.updates: int | Tensor = 0
        """How many were taken; counted on the device where only that knows which were skipped (see `ScaledHealth`)."""
        self.rate = optimizer.lr
        self._segments = [
            (self.flat.parameter[part], self.flat.gradient[part], {k: v[part] for k, v in self.state.items()}, decay)
            for part, decay in self.flat.segments(optimizer.weight_decay)
        ]
        self._update = update_rule(optimizer, fused=fused, device=self.flat.parameter.device)

    def rate_at(self, progress: float) -> float:
        """The learning rate at this progress of the training."""
        return self.optimizer.lr * self.optimizer.schedule(progress)

    def members(self) -> Iterator[tuple[Tensor, dict[str, Tensor], float]]:
        """Each parameter with its part of the optimizer's state and its weight decay."""
        states = [self.flat.views(flat).values() for flat in self.state.values()]
        decays = self.flat.decays(self.optimizer.weight_decay)
        for parameter, decay, *values in zip(self.flat.parameters, decays, *states, strict=True):
            yield parameter, dict(zip(self.state, values, strict=True)), decay

    def update(self) -> None:
        """One optimizer step along the gradient."""
        self.updates = self.updates + 1  # never in place: `update_unless` may need the old one
        for parameter, gradient, state, decay in self._segments:
            self._update(parameter, gradient, state, step=self.updates, lr=self.rate, decay=decay)

    def update_unless(self, skip: Tensor) -> None:
        """As `update`, but nothing moves where `skip`, a boolean scalar on the device, is true.

        A count of updates that is on the device does not move either.
        """
        updates = self.updates
        kept = [self.flat.parameter, *self.state.values()]
        before = [value.clone() for value in kept]
        self.update()
        for value, old in zip(kept, before, strict=True):
            value.copy_(torch.where(skip, old, value))
        if isinstance(self.updates, Tensor):
            self.updates = torch.where(skip, updates, self.updates)

    def first_bad_parameter(self) -> str | None:
        """The name of the first parameter whose gradient is not finite."""
        for name, gradient in self.flat.views(self.flat.gradient).items():
            if not bool(torch.isfinite(gradient).all()):
                return name
        return None

    def tensors(self) -> dict[str, Tensor]:
        """The optimizer's state by parameter name."""
        return {
            f"{key}.{name}": view for key, flat in self.state.items() for name, view in self.flat.views(flat).items()
        }

    def load_tensors(self, saved: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave. Raises CheckpointError where a name or a shape differs."""
        copy_all_checked(self.tensors(), saved, f"optimizer of role {self.name!r}")
