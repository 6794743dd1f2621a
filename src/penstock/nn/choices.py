"""Distributions over what to do, one for each of B observations. A actions, or numbers of an action."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self, final

import torch
from torch import Tensor
from torch.nn.functional import softplus

HALF_LOG_TAU = math.log(2 * math.pi) / 2


class Choice(ABC):
    """What a policy would do."""

    @abstractmethod
    def best(self) -> Tensor:
        """The action that is done when nothing is left to chance: (B,) int64 or (B, A)."""

    @abstractmethod
    def draw(self) -> tuple[Tensor, Tensor]:
        """An action by chance, and the log of its probability or density (B,)."""

    @classmethod
    @abstractmethod
    def joined(cls, parts: Sequence[Self], order: Tensor) -> Self:
        """The choices of several parts as one, of which the b-th is the `order[b]`-th of them all; order is (B,)."""


class Told(Choice):
    """A choice that also tells how likely any action is."""

    @abstractmethod
    def logprob(self, action: Tensor) -> Tensor:
        """The log of the probability, or of the density, of actions: (B,) or (B, A) to (B,)."""

    @abstractmethod
    def entropy(self) -> Tensor:
        """(B,), in nats."""


@final
class OneOf(Told):
    """One of A actions, by logits (B, A); an action is its number."""

    def __init__(self, logits: Tensor) -> None:
        self.logprobs = logits.log_softmax(1)

    @classmethod
    def joined(cls, parts: Sequence[OneOf], order: Tensor) -> OneOf:
        """The logs of probabilities are logits, too."""
        return cls(torch.cat([part.logprobs for part in parts])[order])

    def best(self) -> Tensor:
        """The most likely one."""
        return self.logprobs.argmax(1)

    def draw(self) -> tuple[Tensor, Tensor]:
        """By the largest of the logits with noise (Gumbel 1954): nothing has to be summed up."""
        action = (self.logprobs - torch.empty_like(self.logprobs).exponential_().log()).argmax(1)
        return action, self.logprob(action)

    def logprob(self, action: Tensor) -> Tensor:
        """(B,) int64 to (B,)."""
        return self.logprobs.gather(1, action.unsqueeze(1)).squeeze(1)

    def entropy(self) -> Tensor:
        """-sum p log p; an action of probability 0 adds nothing."""
        return -(self.logprobs.exp() * self.logprobs.clamp(min=torch.finfo(self.logprobs.dtype).min)).sum(1)


@final
class Normal(Told):
    """Numbers that are independently normal, by means and logs of deviations (B, A) each."""

    def __init__(self, mean: Tensor, log_deviation: Tensor) -> None:
        self.mean, self.log_deviation = mean, log_deviation.expand_as(mean)

    @classmethod
    def joined(cls, parts: Sequence[Normal], order: Tensor) -> Normal:
        """Means and deviations."""
        means, deviations = (torch.cat(each)[order] for each in zip(*[(p.mean, p.log_deviation) for p in parts]))
        return cls(means, deviations)

    def best(self) -> Tensor:
        """The mean."""
        return self.mean

    def draw(self) -> tuple[Tensor, Tensor]:
        """The gradient flows through the action (Kingma and Welling 2014, "Auto-encoding variational Bayes")."""
        noise = torch.randn_like(self.mean)
        return self.mean + self.log_deviation.exp() * noise, self._density(noise)

    def logprob(self, action: Tensor) -> Tensor:
        """(B, A) to (B,)."""
        return self._density((action - self.mean) * (-self.log_deviation).exp())

    def entropy(self) -> Tensor:
        """Half the log of (2 pi e deviation^2), summed."""
        return (self.log_deviation + HALF_LOG_TAU + 0.5).sum(1)

    def _density(self, noise: Tensor) -> Tensor:
        return -(noise.square() / 2 + self.log_deviation + HALF_LOG_TAU).sum(1)


@final
class Squashed(Choice):
    """`centre` + `reach` tanh(u) with normal u, so that the action is bounded; centre and reach are (A,).

    Haarnoja et al. 2018, "Soft actor-critic", appendix C.
    """

    def __init__(self, mean: Tensor, log_deviation: Tensor, centre: Tensor, reach: Tensor) -> None:
        self._normal, self._centre, self._reach = Normal(mean, log_deviation), centre, reach

    @classmethod
    def joined(cls, parts: Sequence[Squashed], order: Tensor) -> Squashed:
        """All have the bounds of the first."""
        normal = Normal.joined([part._normal for part in parts], order)
        return cls(normal.mean, normal.log_deviation, parts[0]._centre, parts[0]._reach)

    def best(self) -> Tensor:
        """That of the mean of u."""
        return self._bounded(self._normal.mean)

    def draw(self) -> tuple[Tensor, Tensor]:
        """The gradient flows through the action."""
        u, logprob = self._normal.draw()
        slope = 2 * (math.log(2) - u - softplus(-2 * u)) + self._reach.log()  # log d action / du, finite for any u
        return self._bounded(u), logprob - slope.sum(1)

    def _bounded(self, u: Tensor) -> Tensor:
        return self._centre + self._reach * u.tanh()
