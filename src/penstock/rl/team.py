"""A game of several agents by PettingZoo's parallel API, in which all act at once. K agents.

Nothing heavy is imported: worker processes run this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from gymnasium import spaces

from penstock.core.errors import RecipeError
from penstock.rl.unit import Answer, Restorable, Unit

_WORDS = ("observation", "reward", "terminated", "truncated")
_ALIKE = "give all agents the same spaces, for example by filling up the smaller ones"


@final
class Team(Unit):
    """The agents in the order of `possible_agents`. The game is over when none is left.

    Who leaves before has the end of its own: terminated or truncated, with what it saw last. Until the game is over it
    then sees zeros, gets nothing, and each such step is an end to which nothing is owed; what it does is not passed on.
    So it is with an agent that has not come yet.

    Raises RecipeError where the agents see or do different things: one network is to fit them all.
    """

    def __init__(self, env: Any, limit: int | None, *, name: str, number: int) -> None:
        try:
            self._names = list(env.possible_agents)
        except AttributeError:
            raise RecipeError(name, "it does not tell its possible_agents", "let it name them in a list") from None
        if not self._names:
            raise RecipeError(name, "it has no agents", "let it name some in possible_agents")
        seen, done = (
            _alike(name, word, {agent: space(agent) for agent in self._names})
            for word, space in (("sees", env.observation_space), ("does", env.action_space))
        )
        super().__init__(env, limit, seen, done, name=name, number=number)
        self.agents = tuple(map(str, self._names))
        self._here: list[Any] = []
        nothing = np.zeros(self.observation.shape, seen.dtype)
        self._nothing = np.clip(nothing, seen.low, seen.high) if isinstance(seen, spaces.Box) else nothing

    def reset(self, seed: int | None = None) -> list[np.ndarray]:
        first = self._by_agent("observation", self.begun(seed))
        self._here = self._present()
        if not self._here:
            raise self.fault("after reset it has no agents")
        return [self._shown(first, agent, resets=True) for agent in self._names]

    def step(self, actions: np.ndarray) -> list[Answer]:
        given = {agent: self.given(actions[self._names.index(agent)]) for agent in self._here}
        told = [self._by_agent(word, each) for word, each in zip(_WORDS, self.stepped(given))]
        ends = {agent: self._answer(told, agent) for agent in self._here}
        going = [agent for agent in self._present() if agent not in ends or not _done(ends[agent])]
        if lost := [agent for agent, end in ends.items() if agent not in going and not _done(end)]:
            raise self.fault(f"{lost[0]} has left at step {self.steps}, neither terminated nor truncated")
        self._here = [] if self.late else going
        follows = [self._shown(told[0], agent) for agent in self._names] if self._here else self.again()
        absent = Answer(self._nothing, 0.0, True, False, None)
        found = [ends.get(agent, absent) for agent in self._names]
        return [end._replace(begins=first) if _done(end) else end for end, first in zip(found, follows, strict=True)]

    def state(self) -> dict[str, Any]:
        """The world's own has to hold its random numbers, too: PettingZoo has no one place for them."""
        here = [self._names.index(agent) for agent in self._here]
        return {"own": self.env.unwrapped.state_dict(), "here": here, "age": self.age, "steps": self.steps}

    def load_state(self, state: dict[str, Any]) -> None:
        self.reset()
        world = self.env.unwrapped
        assert isinstance(world, Restorable)
        world.load_state_dict(state["own"])
        self._here = [self._names[at] for at in state["here"]]
        self.age, self.steps = state["age"], state["steps"]

    def _answer(self, told: Sequence[Mapping[Any, Any]], agent: Any) -> Answer:
        """What a step has led to for one that acted."""
        seen, *rest = (self._of(word, each, agent) for word, each in zip(_WORDS, told, strict=True))
        final = self.sound(seen, f" of {agent}")
        reward, terminated, truncated = self.told(rest, f" of {agent}")
        return Answer(final, reward, terminated, truncated or self.late, None)

    def _present(self) -> list[Any]:
        """Who acts next, in the order of all."""
        if foreign := [agent for agent in self.env.agents if agent not in self._names]:
            raise self.fault(f"its agents have {foreign[0]}, and its possible_agents do not")
        return [agent for agent in self._names if agent in self.env.agents]

    def _shown(self, seen: Mapping[Any, Any], agent: Any, *, resets: bool = False) -> np.ndarray:
        if agent not in self._here:
            return self._nothing
        return self.sound(self._of(_WORDS[0], seen, agent), f" of {agent}", resets=resets)

    def _by_agent(self, word: str, given: Any) -> Mapping[Any, Any]:
        if not isinstance(given, Mapping):
            raise self.fault(f"its {word} is {type(given).__name__}, expected a dict by agent")
        return given

    def _of(self, word: str, given: Mapping[Any, Any], agent: Any) -> Any:
        if agent not in given:
            when = f"step {self.steps}" if self.age else "reset"
            raise self.fault(f"its {word} at {when} has nothing for {agent}")
        return given[agent]


def _done(end: Answer) -> bool:
    return end.terminated or end.truncated


def _alike(name: str, word: str, spaces: Mapping[Any, Any]) -> Any:
    """The space that all have."""
    first, *others = spaces
    for other in others:
        if spaces[other] != spaces[first]:
            problem = f"{first} {word} {spaces[first]}, and {other} {word} {spaces[other]}"
            raise RecipeError(name, problem, _ALIKE)
    return spaces[first]
