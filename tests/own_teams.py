"""Games of several agents as users write them: sound ones, and those that are not. Also run as a user's own module."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

ENDS = {"ann": (2, "T"), "bob": (4, "C"), "cyd": (5, "T")}
"""When each leaves, terminated or cut off."""


class Relay(ParallelEnv):  # type: ignore[misc]
    """Each sees its number, the steps made, and a number drawn in the beginning; gets its number and its action."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 7}  # noqa: RUF012 - as PettingZoo has it

    def __init__(self, wrong: str = "", render_mode: str | None = None) -> None:
        self.possible_agents = [] if wrong == "nobody" else list(ENDS)
        self.wrong, self.render_mode = wrong, render_mode
        self.random = np.random.default_rng()
        self.steps, self.drawn = 0, 0.0

    def observation_space(self, agent: str) -> Any:
        return spaces.Box(-50.0, 50.0, (4 if self.wrong == "unequal" and agent == "bob" else 3,), np.float32)

    def action_space(self, agent: str) -> Any:
        return spaces.Discrete(3, start=2)

    def seen(self, agent: str) -> Any:
        found = np.array([self.possible_agents.index(agent), self.steps, self.drawn], np.float32)
        if self.wrong == "shape":
            return found[:1]
        return found + 100 if self.wrong == "bounds" else found

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            self.random = np.random.default_rng(seed)
        if self.wrong == "another":
            self.random = np.random.default_rng()
        self.agents, self.steps, self.drawn = self.possible_agents[:], 0, float(self.random.normal())
        if self.wrong == "foreign":
            self.agents = ["dan"]
        if self.wrong == "empty":
            self.agents = []
        return {agent: self.seen(agent) for agent in self.possible_agents}, {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        assert set(actions) == set(self.agents), actions
        assert all(2 <= action <= 4 for action in actions.values())
        self.steps += 1
        acted, self.agents = self.agents, [agent for agent in self.agents if ENDS[agent][0] > self.steps]
        reward: Any = {agent: 10.0 * self.possible_agents.index(agent) + actions[agent] for agent in acted}
        ended = {agent: ENDS[agent] == (self.steps, "T") for agent in acted}
        cut = {agent: ENDS[agent] == (self.steps, "C") for agent in acted}
        if self.wrong == "lost":
            self.agents = self.agents[1:]
        if self.wrong == "silent":
            del reward["cyd"]
        if self.wrong == "list":
            reward = list(reward.values())
        if self.wrong == "nan":
            reward["bob"] = np.nan
        if self.wrong == "flag":
            cut["bob"] = "no"
        return {agent: self.seen(agent) for agent in acted}, reward, ended, cut, {agent: {} for agent in acted}

    def render(self) -> Any:
        return np.full((8, 12, 3), self.steps, np.uint8)


class Kept(Relay):
    """The same, and it says what it is."""

    def state_dict(self) -> dict[str, Any]:
        random = self.random.bit_generator.state
        return {"agents": self.agents, "steps": self.steps, "drawn": self.drawn, "random": random}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.agents, self.steps, self.drawn = list(state["agents"]), state["steps"], state["drawn"]
        self.random.bit_generator.state = state["random"]


class Matrix(ParallelEnv):  # type: ignore[misc]
    """Two act once; `payoff` is what the first gets by its action and the other's, and so the other one."""

    payoff = ((0.0, 0.0), (0.0, 0.0))

    def __init__(self) -> None:
        self.possible_agents = ["ann", "bob"]

    def observation_space(self, agent: str) -> Any:
        return spaces.Discrete(1)

    def action_space(self, agent: str) -> Any:
        return spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = self.possible_agents[:]
        return dict.fromkeys(self.agents, 0), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> Any:
        ann, bob = actions["ann"], actions["bob"]
        reward = {"ann": self.payoff[ann][bob], "bob": self.payoff[bob][ann]}
        acted, self.agents = self.agents, []
        return (
            dict.fromkeys(acted, 0),
            reward,
            dict.fromkeys(acted, True),
            dict.fromkeys(acted, False),
            {agent: {} for agent in acted},
        )


class Meeting(Matrix):
    """It pays that both do the second."""

    payoff = ((0.2, 0.0), (0.0, 1.0))


class Dilemma(Matrix):
    """Both stay silent (0), or betray (1): what one does, it is better to betray."""

    payoff = ((3.0, 0.0), (5.0, 1.0))


class Differ(Matrix):
    """It pays not to do what the other does."""

    payoff = ((0.0, 1.0), (1.0, 0.0))
