"""Whole episodes that are played to be judged: what acting objectives are evaluated on. N environments, G games."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import WorkerError
from penstock.nn.sizes import require_sizes
from penstock.rl.acting import ACTION, VALUE, Actor
from penstock.rl.environment import Environment


@final
class Episodes:
    """In each iteration every environment plays `each` episodes from the same beginnings, those of `seed`.

    Each environment plays equally many: of the episodes that end first, too many would be short. Batches have "return"
    (N,), the sum of rewards, "length" (N,), "discounted" (N,) and, where the actor tells it, the "value" (N,) that it
    expected at the beginning. Of several agents these are the means over those of a game, (G,), the length is that of
    the game, and "return_NAME" (G,) is what each agent got. Raises WorkerError where an episode does not end within
    `longest` steps.
    """

    def __init__(
        self,
        environment: Environment,
        actor: Actor,
        *,
        each: int = 1,
        discount: float = 0.99,
        seed: int = 0,
        longest: int = 1_000_000,
    ) -> None:
        require_sizes("Episodes", each=each, longest=longest)
        self.environment, self.actor, self.each = environment, actor, each
        self.discount, self.seed, self.longest = discount, seed, longest

    def __len__(self) -> int:
        return self.each

    def __iter__(self) -> Iterator[Batch]:
        seen = self.environment.reset(self.seed)
        for turn in range(self.each):
            if turn:
                seen = self.environment.reset(self.seed + turn)
            yield self._played(seen)

    def _played(self, seen: Tensor) -> Batch:
        """The first episode of each environment from now on."""
        count, device = self.environment.count, self.environment.device
        gain, discounted, length = torch.zeros(3, count, dtype=torch.float64, device=device).unbind()
        goes_on = torch.ones(count, dtype=torch.bool, device=device)
        expected: dict[str, Tensor] = {}
        with self.actor.awake() as ask:
            for step in range(self.longest):
                answer = ask(seen)
                if step == 0 and VALUE in answer:
                    expected = {VALUE: answer[VALUE]}
                met = self.environment.step(answer[ACTION])
                reward = met.reward * goes_on
                gain, discounted = gain + reward, discounted + reward * self.discount**step
                length = length + goes_on
                goes_on = goes_on & ~met.done
                if not goes_on.any():
                    return self._told({"return": gain, "length": length, "discounted": discounted, **expected})
                seen = met.observation
        problem = f"an episode goes on after {self.longest} steps"
        raise WorkerError("environment", problem, "give the environment a time limit")

    def _told(self, found: dict[str, Tensor]) -> Batch:
        """Of agents (N,), or of games (G,)."""
        agents = self.environment.agents
        if len(agents) <= 1:
            return Batch(found)
        games = {name: value.reshape(-1, len(agents)) for name, value in found.items()}  # (G, K)
        told = Batch(
            {name: value.max(1).values if name == "length" else value.mean(1) for name, value in games.items()}
        )
        told.update({f"return_{name}": games["return"][:, at] for at, name in enumerate(agents)})
        return told
