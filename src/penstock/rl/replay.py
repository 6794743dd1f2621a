"""Experience that is used over and over: a source for value functions. N environments, B examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.core.objective import Listening
from penstock.core.random import derive
from penstock.core.tensors import check_all_fit, under
from penstock.rl.acting import ACTION, Actor
from penstock.rl.environment import Environment
from penstock.rl.memory import Memory
from penstock.rl.sum_tree import SumTree

INDEX, WEIGHT, PRIORITY = "index", "weight", "priority"
_WORLD, _MEMORY, _LEAVES, _LARGEST, _RANDOM = "environment.", "memory.", "leaves", "largest", "random"
_TOGETHER = 32
"""Batches that are looked up at once, at most: one look-up costs hardly more than a small batch of it."""


@final
@dataclass(frozen=True, kw_only=True)
class Priorities:
    """Transitions are drawn in proportion to their priority ** `exponent`.

    What they are drawn too often is made up for by weights of the power `correction`, which becomes 1 over `batches`.
    A new one has the largest priority there ever was; `least` is added to each, lest one be drawn never again. Schaul,
    Quan, Antonoglou and Silver 2016, "Prioritized experience replay", section 3.
    """

    exponent: float = 0.6
    correction: float = 0.4
    batches: int = 100_000
    least: float = 1e-6


@final
class Replay(Listening):
    """Batches at random of the last `capacity` transitions; between them, the actor acts.

    For every `batches` batches `steps` steps are made, all N environments together, after `warmup` with actions at
    random. A batch has "observation", "action", "reward", "next_observation", "terminated" (B,) float and "discount"
    (B,): over `reach` steps each, or fewer where an episode ends. With `priorities` it also has "index" and "weight"
    (B,), and the objective is to tell it the new "priority" (B,) of its transitions: `batch.feedback(priority=...)`.
    Batches between which nothing is done are looked up together, unless priorities change from one to the next.
    Raises RecipeError for a warm-up that makes no transition or more than there is room for.
    """

    def __init__(
        self,
        environment: Environment,
        actor: Actor,
        *,
        capacity: int,
        batch_size: int,
        warmup: int,
        steps: int = 1,
        batches: int = 1,
        reach: int = 1,
        discount: float = 0.99,
        priorities: Priorities | None = None,
        seed: int = 0,
        epoch_steps: int = 1000,
    ) -> None:
        self.environment, self.actor, self.priorities = environment, actor, priorities
        self.memory = Memory(environment, capacity=capacity, reach=reach)
        if not reach <= warmup <= self.memory.places:
            problem = f"{warmup} steps to begin with, where {reach} to {self.memory.places} are possible"
            raise RecipeError("replay", problem, "give another warm-up or capacity")
        self._batch_size, self._warmup, self._steps, self._batches = batch_size, warmup, steps, batches
        self._discount, self._seed, self._epoch_steps = discount, seed, epoch_steps
        self._tree = SumTree(self.memory.places * environment.count, environment.device) if priorities else None
        self._largest = torch.ones((), dtype=torch.float64, device=environment.device)
        self._random = torch.Generator(environment.device).manual_seed(derive(seed, "warm-up"))
        self._seen: Tensor | None = None
        self._position = 0
        self._drawn: Tensor | None = None
        self._group, self._of_group = -1, Batch()

    @property
    def epoch_steps(self) -> int:
        """What is called an epoch."""
        return self._epoch_steps

    def __next__(self) -> Batch:
        self._act(self._warmup + self._position // self._batches * self._steps)
        found = self._uniformly() if self._tree is None else self._by_priority(self._tree)
        self._position += 1
        return found

    def _uniformly(self) -> Batch:
        """The next batch, of a group that is looked up at its first one, and again after a resumption."""
        turn, at = divmod(self._position, self._batches)
        group, at = divmod(at, _TOGETHER)
        number = turn * -(-self._batches // _TOGETHER) + group
        if self._group != number:
            count = min(_TOGETHER, self._batches - group * _TOGETHER)
            generator = torch.Generator().manual_seed(derive(self._seed, "draw", number))
            offset = torch.randint(self.memory.whole, (count * self._batch_size,), generator=generator)
            found = self.memory.get(self.memory.numbers(offset.to(self.environment.device)), self._discount)
            self._group, self._of_group = number, Batch(found)
        rows = slice(at * self._batch_size, (at + 1) * self._batch_size)
        return Batch({name: value[rows] for name, value in self._of_group.items()})

    def _by_priority(self, tree: SumTree) -> Batch:
        generator = torch.Generator().manual_seed(derive(self._seed, "draw", self._position))
        self._drawn = number = tree.draw(self._batch_size, generator)
        weight = {INDEX: number, WEIGHT: self._weight(number)}
        return Batch(self.memory.get(number, self._discount), **weight)

    def _act(self, due: int) -> None:
        """Act until so many steps have been made in all; what was made once is not made again."""
        if self.memory.held >= due:
            return
        if self._seen is None:
            self._seen = self.environment.reset(self._seed)
        with self.actor.awake() as ask:
            while self.memory.held < due:
                if self.memory.held < self._warmup:
                    action = self.environment.action.sample(self.environment.count, self._random)
                else:
                    action = ask(self._seen)[ACTION]
                step = self.environment.step(action)
                place = self.memory.put(self._seen, action, step)
                self._seen = step.observation
                if self._tree is not None:
                    self._note(self._tree, place)

    def _note(self, tree: SumTree, place: int) -> None:
        """Let the step that has become whole be drawn, and not the one whose place was taken."""
        count, reach = self.memory.count, self.memory.reach
        every = torch.arange(count, device=self.environment.device)
        if reach > 1:
            tree.put(place * count + every, torch.zeros(count, device=every.device))
        if self.memory.held >= reach:
            whole = (place - reach + 1) % self.memory.places
            tree.put(whole * count + every, self._largest.expand(count))

    def _weight(self, number: Tensor) -> Tensor:
        """(whole * probability) ** -correction, the largest of the batch being 1: (B,)."""
        assert self._tree is not None
        assert self.priorities is not None
        grown = min(self._position / max(self.priorities.batches, 1), 1.0)
        power = self.priorities.correction + (1 - self.priorities.correction) * grown
        weight = (self._tree.leaves[number] * self.memory.whole / self._tree.total) ** -power
        return (weight / weight.max()).float()

    def hear(self, said: Mapping[str, Tensor]) -> None:
        """Take the new priorities of the batch that was drawn last."""
        if self._tree is None or self.priorities is None or PRIORITY not in said:
            return
        assert self._drawn is not None
        new = said[PRIORITY].to(self.environment.device, torch.float64).abs() + self.priorities.least
        new = new**self.priorities.exponent
        self._largest = torch.maximum(self._largest, new.max())
        self._tree.put(self._drawn, new)

    def tensors(self) -> dict[str, Tensor]:
        """All transitions, their priorities, and the environments."""
        if self._seen is None:
            return {}
        found = {_RANDOM: self._random.get_state()}
        found |= {_MEMORY + name: value for name, value in self.memory.tensors().items()}
        found |= {_WORLD + name: value for name, value in self.environment.state_dict().items()}
        return found | ({_LEAVES: self._tree.leaves, _LARGEST: self._largest} if self._tree else {})

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put it back; with nothing, begin anew. Raises CheckpointError where it does not fit."""
        self._group = -1
        if not tensors:
            self._seen, self.memory.held = None, 0
            return
        if self._tree is not None:
            own = {_LEAVES: self._tree.leaves, _LARGEST: self._largest}
            check_all_fit(own, {name: tensors[name] for name in own}, "replay")
            self._tree.fill(tensors[_LEAVES].to(self.environment.device))
            self._largest = tensors[_LARGEST].to(self.environment.device)
        self._random.set_state(tensors[_RANDOM].cpu())
        self.memory.load_tensors(under(_MEMORY, tensors))
        self._seen = self.environment.load_state_dict(under(_WORLD, tensors))
        if not self.environment.exact:
            self.memory.cut()

    def state_dict(self) -> dict[str, Any]:
        """The number of the next batch."""
        return {"position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a batch."""
        self._position, self._group = state["position"], -1
