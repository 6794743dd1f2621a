"""Trying what does not look best. N environments, A actions, or numbers of an action."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from penstock.core.errors import RecipeError


@final
@dataclass(frozen=True, kw_only=True)
class Annealed:
    """A number that goes in a straight line from `start` to `end` in the first `within` of the training.

    Raises RecipeError where `within` is not a share of it.
    """

    start: float
    end: float
    within: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.within <= 1:
            raise RecipeError("exploration", f"it anneals within {self.within}", "give a share in (0, 1]")

    def __call__(self, progress: float) -> float:
        """The number at a progress from 0 to 1."""
        return self.start + (self.end - self.start) * min(progress / self.within, 1.0)


class Exploration(ABC):
    """Which of A actions is done, by what they are held to be worth."""

    @abstractmethod
    def __call__(self, worth: Tensor, progress: float) -> Tensor:
        """(N, A) to (N,) int64."""


@final
@dataclass(frozen=True)
class Greedy(Exploration):
    """Always the one that looks best; noisy networks explore by themselves."""

    def __call__(self, worth: Tensor, progress: float) -> Tensor:
        """The first of the best."""
        return worth.argmax(1)


@final
@dataclass(frozen=True)
class EpsilonGreedy(Exploration):
    """With the probability `epsilon` any action, all alike (Sutton and Barto 2018, section 2.2)."""

    epsilon: Annealed = Annealed(start=1.0, end=0.05, within=0.2)

    def __call__(self, worth: Tensor, progress: float) -> Tensor:
        """The best action, or any."""
        count, actions = worth.shape
        any_of_them = torch.randint(actions, (count,), device=worth.device)
        tries = torch.rand(count, device=worth.device) < self.epsilon(progress)
        return torch.where(tries, any_of_them, worth.argmax(1))


@final
@dataclass(frozen=True)
class Jitter:
    """Normal noise on numbers, with a deviation of a share of their reach, kept within their bounds.

    Fujimoto et al. 2018, "Addressing function approximation error", section 6.1.
    """

    share: Annealed = Annealed(start=0.1, end=0.1)

    def __call__(self, action: Tensor, low: Tensor, high: Tensor, progress: float) -> Tensor:
        """Actions (N, A) and bounds (A,) to (N, A)."""
        noise = torch.randn_like(action) * (self.share(progress) * (high - low) / 2)
        return (action + noise).clamp(low, high)
