"""An environment whose every step is known beforehand, and actors that say what they are told."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from penstock.rl.acting import Actor
from penstock.rl.environment import Environment, Step
from penstock.rl.spaces import Box, Discrete


class Scripted(Environment):
    """What is seen is (environment, episode, step in it); episodes end as the script says: T, C (cut off) or a dot.

    The reward is 100 * environment + the number of the step since the beginning, from 1.
    """

    def __init__(self, scripts: list[str], *, exact: bool = True) -> None:
        self.observation, self.action = Box((3,)), Discrete(4)
        self.count, self.scripts, self.exact = len(scripts), scripts, exact
        self.at = torch.zeros(len(scripts), 3)
        self.made = 0

    def reset(self, seed: int) -> Tensor:
        self.made = 0
        self.at = torch.stack([torch.arange(self.count).float(), *torch.zeros(2, self.count)], 1)
        return self.at

    def step(self, action: Tensor) -> Step:
        marks = [script[self.made % len(script)] for script in self.scripts]
        self.made += 1
        terminated, truncated = (torch.tensor([mark == sign for mark in marks]) for sign in "TC")
        final = self.at + torch.tensor([0.0, 0.0, 1.0])
        fresh = self.at * torch.tensor([1.0, 1.0, 0.0]) + torch.tensor([0.0, 1.0, 0.0])
        self.at = torch.where((terminated | truncated).unsqueeze(1), fresh, final)
        reward = 100.0 * torch.arange(self.count) + self.made
        return Step(self.at, final, reward, terminated, truncated)

    def state_dict(self) -> dict[str, Tensor]:
        return {"at": self.at, "made": torch.tensor(self.made)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Tensor:
        if not self.exact:
            return self.reset(0)
        self.at, self.made = state["at"], int(state["made"])
        return self.at


class Random(nn.Module):
    """Acts at random, and says what a state is worth: a number of its own for each."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.actions = actions
        self.modes: list[tuple[bool, bool]] = []

    def act(self, observation: Tensor) -> dict[str, Tensor]:
        self.modes.append((self.training, torch.is_grad_enabled()))
        action = torch.randint(self.actions, (len(observation),))
        return {"action": action, "value": worth(observation) * self.scale, "logprob": -action.float()}


def worth(observation: Tensor) -> Tensor:
    return (observation * torch.arange(1, observation.shape[1] + 1)).sum(1)


def actor_of(environment: Environment) -> Actor:
    assert isinstance(environment.action, Discrete)
    module = Random(environment.action.count)
    return Actor(module, module.act)
