"""What was met, kept in a ring: each of N environments has as many places in it. S places, B examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.core.tensors import check_all_fit
from penstock.rl.environment import Environment, Step

_HELD = "held"


@final
class Memory:
    """The last `capacity` transitions of an environment, those of all its N at a time taking one of S places.

    A transition is known by its number, place * N + environment. Raises RecipeError where it does not hold `reach`
    places, as many as are looked at together.
    """

    def __init__(self, environment: Environment, *, capacity: int, reach: int = 1) -> None:
        self.count, self.places, self.reach = environment.count, capacity // environment.count, reach
        if reach < 1 or self.places < reach:
            problem = f"{capacity} transitions of {environment.count} environments are {self.places} steps, not {reach}"
            raise RecipeError("replay", problem, "give a larger capacity, fewer environments or fewer steps at once")
        size, device = (self.places, self.count), environment.device
        seen, done = environment.observation, environment.action
        self._fields = {
            "observation": torch.zeros(*size, *seen.shape, dtype=seen.dtype, device=device),
            "action": torch.zeros(*size, *done.shape, dtype=done.dtype, device=device),
            "reward": torch.zeros(size, device=device),
            "final": torch.zeros(*size, *seen.shape, dtype=seen.dtype, device=device),
            "terminated": torch.zeros(size, dtype=torch.bool, device=device),
            "done": torch.zeros(size, dtype=torch.bool, device=device),
        }
        self.held = 0
        """How often something was put in; the next one goes to this place, counted around."""

    @property
    def whole(self) -> int:
        """Transitions whose `reach` steps are all there."""
        return max(min(self.held, self.places) - self.reach + 1, 0) * self.count

    def put(self, observation: Tensor, action: Tensor, step: Step) -> int:
        """Keep a step in place of the oldest; returns its place."""
        place, self.held = self.held % self.places, self.held + 1
        met = (observation, action, step.reward, step.final, step.terminated, step.done)
        for field, value in zip(self._fields.values(), met, strict=True):
            field[place] = value
        return place

    def numbers(self, offset: Tensor) -> Tensor:
        """The transitions that are the `offset`-th (B,) of the whole ones, the oldest first: (B,)."""
        oldest = max(self.held - self.places, 0)
        return (oldest + offset // self.count) % self.places * self.count + offset % self.count

    def get(self, number: Tensor, discount: float) -> dict[str, Tensor]:
        """The transitions of these numbers (B,), each over `reach` steps, or fewer where its episode ends before.

        "reward" is the discounted sum; "discount" is what the worth of "next_observation" is to be multiplied with,
        unless "terminated". (B, ...) each.
        """
        place, which = number // self.count, number % self.count
        ahead = torch.arange(self.reach, device=number.device)
        places = (place.unsqueeze(1) + ahead) % self.places  # (B, reach)
        flat = places * self.count + which.unsqueeze(1)
        done = self._fields["done"].view(-1)[flat]
        goes_on = (done.cumsum(1) - done.long()) == 0  # of each step, whether the episode lasted until it
        weight = discount ** ahead.to(torch.float64)
        reward = (self._fields["reward"].view(-1)[flat] * (weight * goes_on)).sum(1).float()
        steps = goes_on.sum(1)
        last = flat.gather(1, (steps - 1).unsqueeze(1))[:, 0]
        return {
            "observation": self._fields["observation"].flatten(0, 1)[number],
            "action": self._fields["action"].flatten(0, 1)[number],
            "reward": reward,
            "next_observation": self._fields["final"].flatten(0, 1)[last],
            "terminated": self._fields["terminated"].view(-1)[last].float(),
            "discount": (discount ** steps.to(torch.float64)).float(),
        }

    def cut(self) -> None:
        """What comes next does not go on from what was put in last."""
        if self.held:
            self._fields["done"][(self.held - 1) % self.places] = True

    def tensors(self) -> dict[str, Tensor]:
        """All that it holds; of places that were never used, nothing."""
        used = min(self.held, self.places)
        return {_HELD: torch.tensor(self.held), **{name: field[:used] for name, field in self._fields.items()}}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put it back. Raises CheckpointError where it is of another environment or capacity."""
        held = int(tensors[_HELD])
        own = {name: field[: min(held, self.places)] for name, field in self._fields.items()}
        check_all_fit({_HELD: torch.tensor(0), **own}, tensors, "replay")
        for name, field in own.items():
            field.copy_(tensors[name])
        self.held = held
