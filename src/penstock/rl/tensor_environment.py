"""Environments that are tensor programs: thousands of them cost hardly more than one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.core.random import derive
from penstock.core.tensors import check_all_fit
from penstock.rl.environment import Environment, Pixels, Step
from penstock.rl.spaces import Space

State = dict[str, Tensor]
"""What decides how an environment goes on, (N, ...) each."""
_AGE, _RANDOM = "age", "random"


class Outcome(NamedTuple):
    """What an action leads to: the state after it; reward (N,); terminated (N,) bool."""

    state: State
    reward: Tensor
    terminated: Tensor


class TensorEnvironment(Environment):
    """A subclass says how episodes begin, what an action leads to and what is seen, and changes no tensor in place.

    Random numbers come from `self.generator`. After `limit` steps an episode is truncated. Raises RecipeError where
    there is no environment, or no step.
    """

    def __init__(
        self,
        *,
        observation: Space,
        action: Space,
        count: int,
        limit: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        for name, number in (("count", count), ("limit", limit)):
            if number is not None and number < 1:
                raise RecipeError(type(self).__name__, f"{name} is {number}", "give a whole number of at least 1")
        self.observation, self.action, self.count, self.limit = observation, action, count, limit
        self.device = torch.device(device)
        self.generator = torch.Generator(self.device)
        self._state: State = {}
        self._met: State = {}
        self._watched = 0
        self._age = torch.zeros(count, dtype=torch.int64, device=self.device)

    @abstractmethod
    def begin(self, count: int) -> State:
        """The states in which `count` new episodes begin."""

    @abstractmethod
    def advance(self, state: State, action: Tensor) -> Outcome:
        """What the actions lead to in these states."""

    @abstractmethod
    def observe(self, state: State) -> Tensor:
        """What is seen of the states: (N, *shape) of the observation's type."""

    def draw(self, state: State) -> Pixels:
        """A picture of one environment, of which the state is (...) each."""
        raise self._unseen()

    def write(self, state: State) -> str | None:
        """The same in letters."""
        return None

    def watch(self, which: int) -> None:
        self._watched = which

    def picture(self) -> Pixels:
        return self.draw({name: value[self._watched] for name, value in self._met.items()})

    def text(self) -> str | None:
        return self.write({name: value[self._watched] for name, value in self._met.items()})

    def reset(self, seed: int) -> Tensor:
        self.generator.manual_seed(derive(seed, "environment"))
        self._state = self.begin(self.count)
        self._age, self._met = torch.zeros_like(self._age), self._state
        return self.observe(self._state)

    def step(self, action: Tensor) -> Step:
        state, reward, terminated = self.advance(self._state, action)
        met = state
        age = self._age + 1
        truncated = torch.zeros_like(terminated) if self.limit is None else age >= self.limit
        observation = final = self.observe(state)
        ended = (terminated | truncated).nonzero()[:, 0]
        if len(ended):
            fresh = self.begin(len(ended))
            state = {name: value.index_copy(0, ended, fresh[name]) for name, value in state.items()}
            age = age.index_fill(0, ended, 0)
            observation = final.index_copy(0, ended, self.observe(fresh))
        self._state, self._age, self._met = state, age, met
        return Step(observation, final, reward, terminated, truncated)

    def state_dict(self) -> dict[str, Tensor]:
        return {**self._state, _AGE: self._age, _RANDOM: self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Tensor:
        if not self._state:
            self.reset(0)
        check_all_fit(self.state_dict(), state, "environment")
        self.generator.set_state(state[_RANDOM].cpu())
        self._age = state[_AGE].to(self.device)
        # In the layout that it had: from another, a network's sums may differ in their last bits.
        self._state = {name: torch.empty_like(value).copy_(state[name]) for name, value in self._state.items()}
        self._met = self._state
        return self.observe(self._state)
