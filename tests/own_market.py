"""A tensor program as a user writes one, and those that do not keep to their form. Run as a user's own module."""

from __future__ import annotations

import torch
from torch import Tensor

from penstock.rl.spaces import Box, Discrete
from penstock.rl.tensor_environment import Outcome, State, TensorEnvironment


class Hidden(TensorEnvironment):
    """Guess the sign of a number that is seen; N at once."""

    def __init__(self, *, count: int, limit: int = 5, device: torch.device | str = "cpu") -> None:
        super().__init__(observation=Box((1,)), action=Discrete(2), count=count, limit=limit, device=device)

    def begin(self, count: int) -> State:
        return {"number": torch.randn(count, generator=self.generator, device=self.device)}

    def advance(self, state: State, action: Tensor) -> Outcome:
        right = (state["number"] > 0) == (action == 1)
        return Outcome(self.begin(self.count), right.float(), torch.zeros(self.count, dtype=torch.bool))

    def observe(self, state: State) -> Tensor:
        return state["number"].unsqueeze(1)


class Double(Hidden):
    def observe(self, state: State) -> Tensor:
        return super().observe(state).double()


class Endless(Hidden):
    def advance(self, state: State, action: Tensor) -> Outcome:
        met = super().advance(state, action)
        return Outcome(met.state, met.reward * torch.inf, met.terminated)


class Moody(Hidden):
    def begin(self, count: int) -> State:
        return {"number": torch.randn(count, device=self.device)}
