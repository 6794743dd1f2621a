"""Environments around others: the same world, seen or rewarded otherwise. N environments."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from penstock.core.errors import RecipeError, WorkerError
from penstock.core.tensors import check_all_fit, under
from penstock.rl.environment import Environment, Pixels, Step
from penstock.rl.spaces import Box, Space

_INNER = "inner."


class Wrapper(Environment, ABC):
    """Passes everything on to `inner`; a subclass changes what it has to. What it keeps itself is `own`."""

    def __init__(self, inner: Environment) -> None:
        self.inner = inner
        self.observation, self.action = inner.observation, inner.action
        self.count, self.device, self.exact = inner.count, inner.device, inner.exact
        self.agents, self.speed = inner.agents, inner.speed

    def begun(self, observation: Tensor) -> Tensor:
        """What is seen where all episodes begin, for what the inner one shows."""
        return observation

    def seen(self, step: Step) -> Step:
        """What a step of the inner one becomes."""
        return step

    def again(self, observation: Tensor) -> Tensor:
        """What is seen after the state was put back, for what the inner one shows."""
        return observation

    def own(self) -> dict[str, Tensor]:
        """What it keeps."""
        return {}

    def load_own(self, state: Mapping[str, Tensor]) -> None:
        """Put back what fits `own`."""

    def reset(self, seed: int) -> Tensor:
        return self.begun(self.inner.reset(seed))

    def step(self, action: Tensor) -> Step:
        return self.seen(self.inner.step(action))

    def state_dict(self) -> dict[str, Tensor]:
        return {**self.own(), **{_INNER + name: value for name, value in self.inner.state_dict().items()}}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Tensor:
        mine = {name: value for name, value in state.items() if not name.startswith(_INNER)}
        shown = self.inner.load_state_dict(under(_INNER, state))
        self.exact = self.inner.exact
        check_all_fit(self.own(), mine, "environment")
        self.load_own({name: value.to(self.device) for name, value in mine.items()})
        return self.again(shown)

    def watch(self, which: int) -> None:
        self.inner.watch(which)

    def picture(self) -> Pixels:
        return self.inner.picture()

    def text(self) -> str | None:
        return self.inner.text()

    def close(self) -> None:
        self.inner.close()


def bare(world: Environment) -> Environment:
    """An environment without what is around it."""
    while isinstance(world, Wrapper):
        world = world.inner
    return world


@final
class Checked(Wrapper):
    """Refuses what no network can learn from. Raises WorkerError with environment and step of the first such value."""

    def __init__(self, inner: Environment) -> None:
        super().__init__(inner)
        self._steps = 0

    def own(self) -> dict[str, Tensor]:
        return {"steps": torch.tensor(self._steps, device=self.device)}

    def load_own(self, state: Mapping[str, Tensor]) -> None:
        self._steps = int(state["steps"])

    def seen(self, step: Step) -> Step:
        self._steps += 1
        for name, value in (("observation", step.final), ("observation", step.observation), ("reward", step.reward)):
            sound = value.isfinite().flatten(1).all(1) if value.dim() > 1 else value.isfinite()
            if not sound.all():
                which = int((~sound).nonzero()[0, 0])
                problem = f"its {name} is not finite at step {self._steps}"
                raise WorkerError(f"environment {which}", problem, "mend the environment, or replace such values in it")
        return step


@final
class ClippedRewards(Wrapper):
    """Rewards between two bounds: games whose points differ by orders of magnitude become alike (Mnih et al. 2015)."""

    def __init__(self, inner: Environment, low: float = -1.0, high: float = 1.0) -> None:
        super().__init__(inner)
        if not low < high:
            raise RecipeError("ClippedRewards", f"{low} is not below {high}", "exchange the bounds")
        self._low, self._high = low, high

    def seen(self, step: Step) -> Step:
        return replace(step, reward=step.reward.clamp(self._low, self._high))


@final
class ChannelsFirst(Wrapper):
    """Pictures (H, W, C) as networks take them, (C, H, W). Raises RecipeError for what is no picture."""

    def __init__(self, inner: Environment) -> None:
        super().__init__(inner)
        if not channels_last(inner.observation):
            raise RecipeError("ChannelsFirst", f"{inner.observation} is no picture (H, W, C)", "leave it out")
        *size, channels = inner.observation.shape
        self.observation = Box((channels, *size), 0, 255, inner.observation.dtype)

    def begun(self, observation: Tensor) -> Tensor:
        return observation.movedim(-1, 1).contiguous()

    def seen(self, step: Step) -> Step:
        return replace(step, observation=self.begun(step.observation), final=self.begun(step.final))

    def again(self, observation: Tensor) -> Tensor:
        return self.begun(observation)


def channels_last(shown: Space) -> bool:
    """Whether it is pictures of bytes, their colours behind."""
    return len(shown.shape) == 3 and shown.dtype == torch.uint8 and shown.shape[2] in (1, 3, 4) and shown.shape[0] > 4


@final
class Stacked(Wrapper):
    """Shows the last `frames` observations as one, the oldest first, along their first axis: motion becomes visible.

    An episode begins with as many of its first. Raises RecipeError for observations without an axis.
    """

    def __init__(self, inner: Environment, frames: int) -> None:
        super().__init__(inner)
        shown = inner.observation
        if not isinstance(shown, Box) or not shown.shape:
            raise RecipeError("Stacked", f"{shown} has no axis to stack along", "use it for vectors and images")
        if frames < 1:
            raise RecipeError("Stacked", f"{frames} frames", "give at least 1")
        bounds = [bound * frames if isinstance(bound, tuple) else bound for bound in (shown.low, shown.high)]
        self.observation = Box((frames * shown.shape[0], *shown.shape[1:]), bounds[0], bounds[1], shown.dtype)
        self._frames, self._each = frames, shown.shape[0]
        self._stack = torch.zeros(self.count, *self.observation.shape, dtype=shown.dtype, device=self.device)

    def begun(self, observation: Tensor) -> Tensor:
        self._stack = self._filled(observation)
        return self._stack

    def seen(self, step: Step) -> Step:
        final = torch.cat([self._stack[:, self._each :], step.final], 1)
        done = step.done
        self._stack = final
        if done.any():
            at = done.nonzero()[:, 0]
            self._stack = final.index_copy(0, at, self._filled(step.observation[at]))
        return replace(step, observation=self._stack, final=final)

    def again(self, observation: Tensor) -> Tensor:
        return self._stack if self.exact else self.begun(observation)

    def own(self) -> dict[str, Tensor]:
        return {"stack": self._stack}

    def load_own(self, state: Mapping[str, Tensor]) -> None:
        self._stack = state["stack"]

    def _filled(self, observation: Tensor) -> Tensor:
        return torch.cat([observation] * self._frames, 1)
