"""A network that follows another one slowly, so that what is learned from does not run away."""

from __future__ import annotations

import copy
from typing import final

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError


@final
class Target(nn.Module):
    """A copy of `network`; `follow` goes the share `pace` of the way to it, at every `every`-th call.

    A pace of 1 every so many steps is the periodic copy of Mnih et al. 2015, "Human-level control", methods; a small
    one at each step that of Lillicrap et al. 2016, "Continuous control with deep reinforcement learning", section 3.
    """

    def __init__(self, network: nn.Module, *, pace: float = 0.005, every: int = 1) -> None:
        super().__init__()
        if not (0 < pace <= 1 and every >= 1):
            raise RecipeError("target", f"pace {pace} every {every} steps", "give a pace in (0, 1] and 1 step or more")
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.pace, self.every = pace, every
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, *inputs: Tensor) -> Tensor:
        found: Tensor = self.network(*inputs)
        return found

    @torch.no_grad()
    def follow(self, network: nn.Module) -> None:
        """Come nearer. Buffers, of which a step has no share, are copied."""
        if self.every > 1:
            calls = self.get_buffer("calls").add_(1)
            if int(calls) % self.every:
                return
        for parameter, other in zip(self.network.parameters(), network.parameters(), strict=True):
            parameter.lerp_(other, self.pace)
        for buffer, model in zip(self.network.buffers(), network.buffers(), strict=True):
            buffer.copy_(model)
