"""A policy without chance that climbs its critic. B batch, A numbers of an action."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.objective import Update
from penstock.nn.sizes import require_sizes
from penstock.objectives.acting import Acting
from penstock.objectives.exploration import Jitter
from penstock.objectives.soft_actor_critic import critics_loss, lowest
from penstock.objectives.target import Target


@final
class DeterministicGradient(Acting):
    """An actor like `Directed`, and critics of which the lowest counts: two roles.

    Actions are from `low` to `high`, (A,) each. With two critics, the actor's turn at every second batch and a noise of
    0.2 on the targets' actions, at most 0.5, it is TD3 (Fujimoto et al. 2018, "Addressing function approximation error
    in actor-critic methods", algorithm 1); with one critic, a turn at each batch and no noise, DDPG (Lillicrap et al.
    2016, "Continuous control with deep reinforcement learning"). Noises are shares of the actions' reach. Batches are
    those of `SoftActorCritic`.
    """

    def __init__(
        self,
        actor: nn.Module,
        critics: Sequence[nn.Module],
        *,
        low: Tensor,
        high: Tensor,
        turns: int = 2,
        noise: float = 0.2,
        most_noise: float = 0.5,
        pace: float = 0.005,
        explore: Jitter = Jitter(),  # noqa: B008 - it is frozen
    ) -> None:
        super().__init__()
        require_sizes("DeterministicGradient", turns=turns, critics=len(critics))
        self.actor, self.critics = actor, nn.ModuleList(critics)
        self.actor_target = Target(actor, pace=pace)
        self.targets = nn.ModuleList(Target(critic, pace=pace) for critic in critics)
        self.turns, self.noise, self.most_noise, self.explore = turns, noise, most_noise, explore
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def roles(self) -> dict[str, nn.Module]:
        """The two."""
        return {"actor": self.actor, "critic": self.critics}

    def act(self, observation: Tensor) -> dict[str, Tensor]:
        """The actor's action, with noise."""
        return {"action": self.explore(self.actor(observation), *self._bounds(), self.progress)}

    def best(self, observation: Tensor) -> dict[str, Tensor]:
        """The actor's action, and what the critics hold it to be worth."""
        action = self.actor(observation)
        return {"action": action, "value": lowest([critic(observation, action) for critic in self.critics])}

    def step(self, batch: Batch) -> Iterator[Update]:
        """The critics' turn, and, with every `turns`-th batch, the actor's, by the first critic."""
        yield Update(self._criticised(batch), role="critic", weight=batch.size)
        if self._is_turn():
            observation = batch["observation"]
            loss = -self.critics[0](observation, self.actor(observation)).mean()
            yield Update(loss, role="actor", weight=batch.size)

    def stepped(self) -> None:
        """The targets follow where the actor had its turn."""
        if self._is_turn():
            self.actor_target.follow(self.actor)
            for target, critic in zip(self.targets, self.critics, strict=True):
                assert isinstance(target, Target)
                target.follow(critic)
        if self.turns > 1:
            self.get_buffer("batches").add_(1)

    def _is_turn(self) -> bool:
        return self.turns == 1 or (int(self.get_buffer("batches")) + 1) % self.turns == 0

    def _bounds(self) -> tuple[Tensor, Tensor]:
        return self.get_buffer("low"), self.get_buffer("high")

    def _criticised(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            low, high = self._bounds()
            action = self.actor_target(batch["next_observation"])
            if self.noise:
                noise = (self.noise * torch.randn_like(action)).clamp(-self.most_noise, self.most_noise)
                action = (action + noise * (high - low) / 2).clamp(low, high)
            worth = lowest([target(batch["next_observation"], action) for target in self.targets])
            wanted = batch["reward"] + batch["discount"] * (1 - batch["terminated"]) * worth  # (B,)
        found = [critic(batch["observation"], batch["action"]) for critic in self.critics]
        return critics_loss(batch, found, wanted)
