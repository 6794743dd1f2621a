"""Games in which each agent sees who of them it is, so that one policy can play all their parts. N environments."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.nn.marks import BRIGHT, marked
from penstock.rl.environment import Environment, Step
from penstock.rl.spaces import Box, Discrete, Space
from penstock.rl.wrapper import Wrapper


@final
class Marked(Wrapper):
    """Appends to what each agent sees which of the game's it is, see `marked`. Raises RecipeError where none are named.

    Pictures must have their channels first.
    """

    def __init__(self, inner: Environment) -> None:
        super().__init__(inner)
        if not inner.agents:
            raise RecipeError("Marked", "in this environment everybody is alone", "leave it out")
        self._states = inner.observation.count if isinstance(inner.observation, Discrete) else None
        self.observation = marked_space(inner.observation, inner.size)
        self._which = torch.arange(inner.count, device=inner.device) % inner.size  # (N,)

    def begun(self, observation: Tensor) -> Tensor:
        return marked(observation, self._which, self.size, self._states)

    def seen(self, step: Step) -> Step:
        return replace(step, observation=self.begun(step.observation), final=self.begun(step.final))

    def again(self, observation: Tensor) -> Tensor:
        return self.begun(observation)


def marked_space(space: Space, agents: int) -> Space:
    """What is seen, and by which of so many agents."""
    if isinstance(space, Discrete):
        return Discrete(space.count * agents)
    assert isinstance(space, Box)
    picture = len(space.shape) == 3
    channels, *size = space.shape if picture else (math.prod(space.shape),)
    most = BRIGHT if space.dtype == torch.uint8 and picture else 1
    more = agents * math.prod(size)
    low, high = (
        (*bound, *[mark] * more) if isinstance(bound, tuple) else beyond(bound, mark)
        for bound, mark, beyond in ((space.low, 0.0, min), (space.high, float(most), max))
    )
    return Box((channels + agents, *size), low, high, space.dtype)


def plain_space(space: Space, agents: int) -> Space:
    """What is seen without the mark, the reverse of `marked_space` for all that is flat or a picture."""
    if isinstance(space, Discrete):
        return Discrete(space.count // agents)
    assert isinstance(space, Box)
    channels, *size = space.shape
    shape = (channels - agents, *size)
    low, high = (bound[: math.prod(shape)] if isinstance(bound, tuple) else bound for bound in (space.low, space.high))
    return Box(shape, low, high, space.dtype)
