"""What a network tells of a return, and how wrong it was. B batch, N numbers about each return, ... any dimensions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from penstock.core.errors import RecipeError


class ReturnForm(ABC):
    """The meaning of the N `numbers` about a return."""

    numbers: int

    @abstractmethod
    def mean(self, told: Tensor) -> Tensor:
        """What return to expect: (..., N) to (...)."""

    @abstractmethod
    def errors(self, told: Tensor, onward: Tensor, reward: Tensor, discount: Tensor) -> tuple[Tensor, Tensor]:
        """What is told (B, N) against reward + discount x the return told of what follows, `onward` (B, N).

        The loss (B,), and the surprise (B,) by which prioritised replay draws.
        """


@final
@dataclass(frozen=True)
class Mean(ReturnForm):
    """The expected return alone. Huber's loss, linear beyond an error of `bend`; half the square without a bend.

    Mnih et al. 2015, "Human-level control", methods, clip the error at 1: that is the slope of Huber's loss.
    """

    bend: float | None = 1.0
    numbers: int = 1

    def mean(self, told: Tensor) -> Tensor:
        """The number itself."""
        return told.squeeze(-1)

    def errors(self, told: Tensor, onward: Tensor, reward: Tensor, discount: Tensor) -> tuple[Tensor, Tensor]:
        """Of the difference."""
        told, wanted = told.squeeze(1), reward + discount * onward.squeeze(1)
        surprise = (told.detach() - wanted).abs()
        if self.bend is None:
            return functional.mse_loss(told, wanted, reduction="none") / 2, surprise
        return functional.huber_loss(told, wanted, reduction="none", delta=self.bend), surprise


@final
@dataclass(frozen=True, kw_only=True)
class Histogram(ReturnForm):
    """The probabilities, as logits, of `numbers` returns evenly spread from `low` to `high`.

    Bellemare et al. 2017, "A distributional perspective on reinforcement learning" (C51), algorithm 1. The loss is the
    divergence from the projected distribution, which is the surprise, too (Hessel et al. 2018, section 3). Returns
    beyond the range count as its ends. Raises RecipeError where there is no range.
    """

    low: float
    high: float
    numbers: int = 51

    def __post_init__(self) -> None:
        if not (self.low < self.high and self.numbers >= 2):
            problem = f"{self.numbers} returns from {self.low} to {self.high}"
            raise RecipeError("Histogram", problem, "give at least 2, and a low below the high")

    def mean(self, told: Tensor) -> Tensor:
        """Of the distribution."""
        return told.softmax(-1) @ self._returns(told)

    def errors(self, told: Tensor, onward: Tensor, reward: Tensor, discount: Tensor) -> tuple[Tensor, Tensor]:
        """Of the distributions."""
        wanted = self.projected(onward.softmax(1), reward, discount)
        divergence = (torch.xlogy(wanted, wanted) - wanted * told.log_softmax(1)).sum(1)
        return divergence, divergence.detach().clamp(min=0)  # rounding may leave less than nothing

    def projected(self, probability: Tensor, reward: Tensor, discount: Tensor) -> Tensor:
        """The distribution of reward + discount x return, each part of it shared by the two nearest returns: (B, N)."""
        step = (self.high - self.low) / (self.numbers - 1)
        moved = reward.unsqueeze(1) + discount.unsqueeze(1) * self._returns(probability)  # (B, N)
        place = ((moved.clamp(self.low, self.high) - self.low) / step).clamp(0, self.numbers - 1)
        below = place.floor()
        share = place - below
        at = below.long()
        found = torch.zeros_like(probability).scatter_add_(1, at, probability * (1 - share))
        return found.scatter_add_(1, (at + 1).clamp(max=self.numbers - 1), probability * share)

    def _returns(self, like: Tensor) -> Tensor:
        return torch.linspace(self.low, self.high, self.numbers, dtype=like.dtype, device=like.device)


@final
@dataclass(frozen=True, kw_only=True)
class Spread(ReturnForm):
    """`numbers` quantiles of the return, at the middles of as many equal shares of probability.

    Dabney et al. 2018, "Distributional reinforcement learning with quantile regression" (QR-DQN), equation (10), with
    Huber's loss that is linear beyond `bend`. The surprise is the loss.
    """

    numbers: int = 51
    bend: float = 1.0

    def mean(self, told: Tensor) -> Tensor:
        """Of the quantiles."""
        return told.mean(-1)

    def errors(self, told: Tensor, onward: Tensor, reward: Tensor, discount: Tensor) -> tuple[Tensor, Tensor]:
        """Each quantile told against each that is wanted: the sum over the former, the mean over the latter."""
        wanted = reward.unsqueeze(1) + discount.unsqueeze(1) * onward
        above = wanted.unsqueeze(1) - told.unsqueeze(2)  # (B, N told, N wanted)
        level = (torch.arange(self.numbers, dtype=told.dtype, device=told.device) + 0.5) / self.numbers
        weight = (level.unsqueeze(1) - (above < 0).to(told.dtype)).abs()
        loss = (weight * _huber(above.abs(), self.bend) / self.bend).mean(2).sum(1)
        return loss, loss.detach()


def _huber(size: Tensor, bend: float) -> Tensor:
    """Half the square of an error of this size, and a straight line beyond `bend`."""
    near = size.clamp(max=bend)
    return near * (size - near / 2)
