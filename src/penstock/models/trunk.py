"""What every network over sequences has: a trunk from (B, T, C) to (B, T, H), whatever it is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from penstock.nn.steps import within

Carry = tuple[Tensor, ...]
"""What a causal trunk remembers of the past, each tensor (B, ...): hidden states, or keys and values."""


class Trunk(nn.Module, ABC):
    """Reads sequences of `inputs` numbers a step, gives `outputs` numbers a step."""

    inputs: int
    outputs: int

    @abstractmethod
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(B, T, inputs) to (B, T, outputs); steps from `lengths` (B,) on come out as 0 and change nothing before."""


class Causal(Trunk):
    """A trunk of which each step depends on the steps before it alone, so that it can go on from where it was."""

    @abstractmethod
    def begin(self, examples: int) -> Carry:
        """What it remembers before the first step, for B examples."""

    @abstractmethod
    def advance(self, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The next steps (B, T, inputs), after those that `carry` remembers: (B, T, outputs), and what to remember.

        The carry is not detached: gradients reach as far back as it was computed.
        """

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(B, T, inputs) to (B, T, outputs); steps from `lengths` (B,) on come out as 0 and change nothing before."""
        found, _ = self.advance(x, self.begin(len(x)))
        return found if lengths is None else found * within(lengths, found.shape[1]).unsqueeze(2)
