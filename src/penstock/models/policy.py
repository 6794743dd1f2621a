"""Policies, and what observations are worth. B batch, F features, A actions, or numbers of an action."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

from penstock.models.discriminator import FeatureTrunk
from penstock.nn.choices import Choice, Normal, OneOf, Squashed, Told
from penstock.nn.initialise import orthogonal_
from penstock.nn.sizes import require_sizes

SMALL = 0.01
"""The gain of a policy's last layer: at first nearly nothing depends on the observation (Andrychowicz et al. 2021)."""


class ChoosingHead(nn.Module, ABC):
    """From features to what to do."""

    @abstractmethod
    def forward(self, features: Tensor) -> Choice:
        """(B, F) to a choice for each of B observations."""


class TellingHead(ChoosingHead):
    """One whose choices tell how likely an action is."""

    @abstractmethod
    def forward(self, features: Tensor) -> Told:
        """(B, F) to a choice for each of B observations."""


@final
class OneOfHead(TellingHead):
    """One of so many actions."""

    def __init__(self, features: int, actions: int) -> None:
        super().__init__()
        require_sizes("OneOfHead", actions=actions)
        self.logits = nn.Linear(features, actions)
        orthogonal_(self.logits, SMALL)

    def forward(self, features: Tensor) -> OneOf:
        return OneOf(self.logits(features))


@final
class NormalHead(TellingHead):
    """Normal numbers whose deviations are the same wherever one is, and learned: Schulman et al. 2017, section 6.1.

    They may lie outside the bounds of what can be done: an environment takes the nearest that it allows.
    """

    def __init__(self, features: int, actions: int, *, deviation: float = 1.0) -> None:
        super().__init__()
        require_sizes("NormalHead", actions=actions)
        self.mean = nn.Linear(features, actions)
        orthogonal_(self.mean, SMALL)
        self.log_deviation = nn.Parameter(torch.full((actions,), deviation).log())

    def forward(self, features: Tensor) -> Normal:
        return Normal(self.mean(features), self.log_deviation)


@final
class SquashedHead(ChoosingHead):
    """Numbers within bounds (A,), with means and deviations that depend on where one is.

    Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", section 5; logs of deviations are clamped.
    """

    LEAST, MOST = -5.0, 2.0

    def __init__(self, features: int, low: Tensor, high: Tensor) -> None:
        super().__init__()
        require_sizes("SquashedHead", actions=len(low))
        self.numbers = nn.Linear(features, 2 * len(low))
        orthogonal_(self.numbers, SMALL)
        self.register_buffer("centre", (high + low) / 2)
        self.register_buffer("reach", (high - low) / 2)

    def forward(self, features: Tensor) -> Squashed:
        mean, log_deviation = self.numbers(features).chunk(2, 1)
        log_deviation = log_deviation.clamp(self.LEAST, self.MOST)
        return Squashed(mean, log_deviation, self.get_buffer("centre"), self.get_buffer("reach"))


@final
class Policy(nn.Module):
    """A trunk and a head: observations (B, ...) to a choice for each."""

    def __init__(self, trunk: FeatureTrunk, head: ChoosingHead) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, observation: Tensor) -> Choice:
        choice: Choice = self.head(self.trunk(observation))
        return choice


@final
class Directed(nn.Module):
    """One action within bounds (A,) for each observation, without chance: (B, ...) to (B, A)."""

    def __init__(self, trunk: FeatureTrunk, low: Tensor, high: Tensor) -> None:
        super().__init__()
        require_sizes("Directed", actions=len(low))
        self.trunk, self.head = trunk, nn.Linear(trunk.outputs, len(low))
        orthogonal_(self.head, SMALL)
        self.register_buffer("centre", (high + low) / 2)
        self.register_buffer("reach", (high - low) / 2)

    def forward(self, observation: Tensor) -> Tensor:
        unit: Tensor = self.head(self.trunk(observation)).tanh()
        return self.get_buffer("centre") + self.get_buffer("reach") * unit


@final
class ActorCritic(nn.Module):
    """A policy, and what to expect from each observation: (B, ...) to a choice and to values (B,).

    `critic` is the trunk of the values; without one they are told from the policy's features.
    """

    def __init__(self, trunk: FeatureTrunk, head: TellingHead, *, critic: FeatureTrunk | None = None) -> None:
        super().__init__()
        self.trunk, self.head, self.critic = trunk, head, critic
        self.worth = nn.Linear((critic or trunk).outputs, 1)
        orthogonal_(self.worth, 1.0)

    def forward(self, observation: Tensor) -> tuple[Told, Tensor]:
        features: Tensor = self.trunk(observation)
        choice: Told = self.head(features)
        worth: Tensor = self.worth(features if self.critic is None else self.critic(observation))
        return choice, worth.squeeze(1)
