"""As much reward as possible, as much by chance as that allows. B batch, A actions, or numbers of an action."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.objective import Update
from penstock.nn.choices import OneOf
from penstock.objectives.acting import Acting
from penstock.objectives.target import Target
from penstock.objectives.temperature import Temperature


class SoftActorCritic(Acting):
    """An actor like `Policy`, critics of which the lowest counts, a temperature: three roles, updated in this order.

    Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", algorithm 1. A batch has "observation",
    "next_observation" (B, ...), "action", "reward", "terminated" and "discount" (B,); with "weight" (B,) it comes from
    prioritised replay, which is told the "priority" (B,), the mean size of the critics' errors. `pace` is that of their
    targets.
    """

    notes = ("entropy", "temperature")

    def __init__(
        self, actor: nn.Module, critics: Sequence[nn.Module], *, temperature: Temperature, pace: float = 0.005
    ) -> None:
        super().__init__()
        self.actor, self.temperature = actor, temperature
        self.critics = nn.ModuleList(critics)
        self.targets = nn.ModuleList(Target(critic, pace=pace) for critic in critics)

    def roles(self) -> dict[str, nn.Module | list[nn.Parameter]]:
        """The temperature has one where it is learned."""
        learned = {"temperature": self.temperature} if self.temperature.learned else {}
        return {"actor": self.actor, "critic": self.critics, **learned}

    def act(self, observation: Tensor) -> dict[str, Tensor]:
        """By chance, as the actor has it."""
        return {"action": self.actor(observation).draw()[0]}

    def best(self, observation: Tensor) -> dict[str, Tensor]:
        """The actor's best, and what the critics hold it to be worth."""
        action = self.actor(observation).best()
        return {"action": action, "value": lowest(self.of_action(self.critics, observation, action))}

    def step(self, batch: Batch) -> Iterator[Update]:
        """The critics', the actor's and the temperature's turn."""
        yield Update(self._criticised(batch), role="critic", weight=batch.size)
        loss, entropy = self.actor_loss(batch["observation"])
        self.note(entropy.mean(), self.temperature().squeeze())
        yield Update(loss, role="actor", weight=batch.size)
        if self.temperature.learned:
            yield Update(self.temperature.loss(entropy), role="temperature", weight=batch.size)

    def stepped(self) -> None:
        """The targets follow."""
        for target, critic in zip(self.targets, self.critics, strict=True):
            assert isinstance(target, Target)
            target.follow(critic)

    @abstractmethod
    def of_action(self, critics: nn.ModuleList, observation: Tensor, action: Tensor) -> list[Tensor]:
        """What each critic holds an action to be worth: (B,) each."""

    @abstractmethod
    def of_place(self, observation: Tensor) -> Tensor:
        """What the lowest target holds a place to be worth, the entropy there included: (B,)."""

    @abstractmethod
    def actor_loss(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """A scalar, and the entropies (B,), or estimates of them."""

    def _criticised(self, batch: Batch) -> Tensor:
        """Half the squared errors of the critics, summed."""
        with torch.no_grad():
            discount = batch["discount"] * (1 - batch["terminated"])
            wanted = batch["reward"] + discount * self.of_place(batch["next_observation"])  # (B,)
        found = self.of_action(self.critics, batch["observation"], batch["action"])
        return critics_loss(batch, found, wanted)


@final
class SoftNumbers(SoftActorCritic):
    """For actions of numbers within bounds, with a `SquashedHead` and critics like `PairValue`."""

    def of_action(self, critics: nn.ModuleList, observation: Tensor, action: Tensor) -> list[Tensor]:
        """(B, A) actions."""
        return [critic(observation, action) for critic in critics]

    def of_place(self, observation: Tensor) -> Tensor:
        """Of one action drawn."""
        action, logprob = self.actor(observation).draw()
        chance: Tensor = self.temperature() * logprob
        return lowest(self.of_action(self.targets, observation, action)) - chance

    def actor_loss(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Through an action drawn, by which the critics' slope reaches the actor."""
        action, logprob = self.actor(observation).draw()
        worth = lowest(self.of_action(self.critics, observation, action))
        return (self.temperature() * logprob - worth).mean(), -logprob.detach()


@final
class SoftOneOf(SoftActorCritic):
    """For one of A actions, with a `OneOfHead` and critics like `ActionValues` that tell one number of each.

    Christodoulou 2019, "Soft actor-critic for discrete action settings": all is summed over the actions, none drawn.
    """

    def of_action(self, critics: nn.ModuleList, observation: Tensor, action: Tensor) -> list[Tensor]:
        """(B,) int64 actions."""
        return [worth.gather(1, action.unsqueeze(1)).squeeze(1) for worth in self._of_all(critics, observation)]

    def of_place(self, observation: Tensor) -> Tensor:
        """The mean by the actor's probabilities."""
        logprobs = self._choice(observation).logprobs
        chance: Tensor = self.temperature() * logprobs
        return (logprobs.exp() * (lowest(self._of_all(self.targets, observation)) - chance)).sum(1)

    def actor_loss(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """The mean by the actor's probabilities."""
        choice = self._choice(observation)
        with torch.no_grad():
            worth = lowest(self._of_all(self.critics, observation))
        loss = (choice.logprobs.exp() * (self.temperature() * choice.logprobs - worth)).sum(1).mean()
        return loss, choice.entropy().detach()

    def _choice(self, observation: Tensor) -> OneOf:
        choice: OneOf = self.actor(observation)
        return choice

    def _of_all(self, critics: nn.ModuleList, observation: Tensor) -> list[Tensor]:
        return [critic(observation).squeeze(2) for critic in critics]  # (B, A) each


def lowest(worth: Sequence[Tensor]) -> Tensor:
    """The least of what critics say: errors of a higher one would pass for worth (Fujimoto et al. 2018, section 4)."""
    return worth[0] if len(worth) == 1 else torch.stack(list(worth)).amin(0)


def critics_loss(batch: Batch, found: Sequence[Tensor], wanted: Tensor) -> Tensor:
    """Half the squared errors, summed over the critics, by the batch's weights; the mean over the B examples.

    Where the batch has weights it is told the errors' size.
    """
    errors = torch.stack(list(found)) - wanted  # (critics, B)
    loss = errors.square().sum(0) / 2
    if "weight" in batch:
        batch.feedback(priority=errors.abs().mean(0))
        loss = loss * batch["weight"]
    return loss.mean()
