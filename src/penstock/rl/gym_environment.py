"""Any environment of Gymnasium's, or game of PettingZoo's, many of them as one of ours. N agents in all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TypeVar, final

import torch
from torch import Tensor

from penstock.core.errors import CheckpointError, RecipeError, WorkerError
from penstock.core.random import derive
from penstock.rl.environment import Environment, Pixels, Step
from penstock.rl.groups import Group, Here, Processes
from penstock.rl.maker import Maker, metadata_of
from penstock.rl.spaces import Box, Discrete, Space
from penstock.rl.unit import Form, Unit

T = TypeVar("T")

SECONDS = 60.0
"""How long an environment may take for one answer."""
_BEGUN, _SEED, _SEEN, _WORLDS = "begun", "seed", "seen", "worlds"


@final
class GymEnvironment(Environment):
    """`count` environments in `workers` processes, or in this one where that is 0; of games as many as have so many
    agents, or just more.

    A process that does not answer for `seconds` is given up; in this process nobody watches the time. Where the
    environments can be restored they are saved as they are; else episodes begin anew, with other seeds. Raises
    RecipeError where there is no such environment, WorkerError where it is none.
    """

    def __init__(self, maker: Maker, *, count: int, workers: int = 0, seconds: float = SECONDS) -> None:
        if count < 1 or workers < 0:
            raise RecipeError("environments", f"{count} of them in {workers} processes", "give 1 or more, in 0 or more")
        first = maker.unit(0)
        self.agents, self.exact = first.agents, first.exact
        self._units = -(-count // first.size)
        self.count = self._units * first.size
        self.observation, self.action = space_of(first.observation), space_of(first.action)
        self.limit = first.limit
        self.speed = float(metadata_of(first.env).get("render_fps") or self.speed)
        self.group: Group
        if workers:
            self.group = Processes(maker, first, self._units, workers=workers, seconds=seconds)
            first.env.close()
        else:
            self.group = Here(maker, first, self._units)
        self._shown: Unit | None = first if maker.shown else None
        self._seed, self._begun = 0, 0
        self._lost = False

    def check(self) -> list[str]:
        """Try one out; returns what a user should know. Raises WorkerError with what was expected and what came."""
        return self._watched(self.group.check)

    def reset(self, seed: int) -> Tensor:
        self._seed, self._begun = seed, 0
        return self._begin()

    def step(self, action: Tensor) -> Step:
        arrays = self.group.arrays
        arrays.action[...] = action.numpy()
        self._watched(self.group.step)
        met = (arrays.observation, arrays.final, arrays.reward, arrays.terminated, arrays.truncated)
        return Step(*(torch.from_numpy(array.copy()) for array in met))

    def state_dict(self) -> dict[str, Tensor]:
        found = {_BEGUN: torch.tensor(self._begun), _SEED: torch.tensor(self._seed)}
        if not self.exact or self._lost:
            return found
        worlds = json.dumps(self.group.state()).encode()
        seen = torch.from_numpy(self.group.arrays.observation.copy())
        return {**found, _SEEN: seen, _WORLDS: torch.frombuffer(bytearray(worlds), dtype=torch.uint8)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Tensor:
        self._begun, self._seed = int(state[_BEGUN]), int(state[_SEED])
        if _WORLDS not in state:
            self.exact = False  # of what comes now, nothing continues what was
            return self._begin()
        worlds = json.loads(state[_WORLDS].numpy().tobytes())
        if len(worlds) != self._units or state[_SEEN].shape != self.group.arrays.observation.shape:
            problem = f"it holds {len(worlds)} environments that show {tuple(state[_SEEN].shape[1:])}"
            raise CheckpointError("environments", problem, "resume with the recipe that wrote it")
        self.group.load_state(worlds)
        self.group.arrays.observation[...] = state[_SEEN].numpy()
        return state[_SEEN].clone()

    def watch(self, which: int) -> None:
        if self._shown is None or not isinstance(self.group, Here):
            raise self._unseen()
        self._shown = self.group.all[which // self.size]
        self._shown.watch()

    def picture(self) -> Pixels:
        if isinstance(sight := self._sight(), str):
            raise self._unseen()
        return sight

    def text(self) -> str | None:
        return sight if isinstance(sight := self._sight(), str) else None

    def _sight(self) -> str | Pixels:
        if self._shown is None or self._shown.sight is None:
            raise self._unseen()
        return self._shown.sight

    def close(self) -> None:
        self.group.close()

    def _begin(self) -> Tensor:
        """Begin all episodes, with seeds that were not used before."""
        keys = [derive(self._seed, "environment", self._begun, at) % (1 << 31) for at in range(self._units)]
        self._begun += 1
        self._watched(lambda: self.group.reset(keys))
        return torch.from_numpy(self.group.arrays.observation.copy())

    def _watched(self, work: Callable[[], T]) -> T:
        """What the work gives. After a failure the worlds cannot be asked any more for what they are."""
        try:
            return work()
        except WorkerError:
            self._lost = True
            raise


def space_of(form: Form) -> Space:
    """A space of ours."""
    if form.choices is not None:
        return Discrete(form.choices)
    low, high = (tuple(bound) if isinstance(bound, list) else bound for bound in (form.low, form.high))
    return Box(form.shape, low, high, torch.uint8 if form.dtype == "uint8" else torch.float32)
