"""A world of a few states that is known entirely, and what dynamic programming makes of it. S states, A actions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from penstock.core.batch import Batch


@dataclass(frozen=True)
class World:
    """`chance` (S, A, S) of what follows, `reward` (S, A); every action ends the episode with the chance `end` (S, A).

    What follows is worth the share `discount`.
    """

    chance: Tensor
    reward: Tensor
    end: Tensor
    discount: float

    @property
    def size(self) -> tuple[int, int]:
        """S and A."""
        return tuple(self.reward.shape)

    def backup(self, worth: Tensor) -> Tensor:
        """What actions are worth where places are worth (S,): (S, A)."""
        return self.reward + self.discount * (1 - self.end) * (self.chance @ worth)

    def best(self) -> Tensor:
        """What actions are worth at best, by value iteration: (S, A)."""
        worth = torch.zeros(len(self.reward))
        for _ in range(500):
            worth = self.backup(worth).amax(1)
        return self.backup(worth)

    def of(self, policy: Tensor) -> Tensor:
        """What actions are worth under a policy (S, A), solved for: (S, A)."""
        stays = self.discount * torch.einsum("sa,sa,sat->st", policy, 1 - self.end, self.chance)
        return self.backup(torch.linalg.solve(torch.eye(len(stays)) - stays, (policy * self.reward).sum(1)))

    def soft(self, temperature: float) -> Tensor:
        """What actions are worth where entropy has this price: (S, A)."""
        worth = torch.zeros(len(self.reward))
        for _ in range(500):
            worth = temperature * (self.backup(worth) / temperature).logsumexp(1)
        return self.backup(worth)

    def sample(self, state: Tensor, action: Tensor) -> Batch:
        """What comes of actions (B,) in states (B,)."""
        onward = torch.multinomial(self.chance[state, action], 1).squeeze(1)
        ended = torch.rand(len(state)) < self.end[state, action]
        return Batch(
            observation=state,
            action=action,
            reward=self.reward[state, action],
            next_observation=onward,
            terminated=ended.float(),
            discount=torch.full((len(state),), self.discount),
        )

    def everywhere(self, times: int = 1) -> Batch:
        """What comes of each action in each state, so many times."""
        states, actions = self.size
        state, action = torch.cartesian_prod(torch.arange(states), torch.arange(actions)).repeat(times, 1).unbind(1)
        return self.sample(state, action)


def certain(seed: int = 0, states: int = 6, actions: int = 3, discount: float = 0.8) -> World:
    """One thing follows from each action, and some actions end all."""
    generator = torch.Generator().manual_seed(seed)
    onward = torch.randint(states, (states, actions), generator=generator)
    reward = torch.randn(states, actions, generator=generator)
    end = (torch.rand(states, actions, generator=generator) < 0.2).float()
    return World(torch.nn.functional.one_hot(onward, states).float(), reward, end, discount)


def uncertain(seed: int = 0, states: int = 5, actions: int = 3, discount: float = 0.8) -> World:
    """Anything may follow, and any action may end all."""
    generator = torch.Generator().manual_seed(seed)
    chance = torch.rand(states, actions, states, generator=generator).pow(3)
    reward = torch.randn(states, actions, generator=generator)
    end = 0.3 * torch.rand(states, actions, generator=generator)
    return World(chance / chance.sum(2, keepdim=True), reward, end, discount)
