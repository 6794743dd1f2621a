"""Soft actor-critics against soft value iteration, and where the answer has a closed form."""

from __future__ import annotations

import math

import pytest
import torch
from small_mdp import certain
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.models.action_values import PairValue, ValueTable
from penstock.models.observing import StateTrunk, VectorTrunk
from penstock.models.policy import OneOfHead, Policy, SquashedHead
from penstock.objectives.soft_actor_critic import SoftActorCritic, SoftNumbers, SoftOneOf
from penstock.objectives.temperature import Temperature, aim_for_numbers, aim_for_one_of

LOW, HIGH = torch.tensor([-2.0]), torch.tensor([2.0])


def train(objective: SoftActorCritic, batch: Batch, rates: dict[str, float], steps: int) -> None:
    roles = {name: part.parameters() for name, part in objective.roles().items() if isinstance(part, nn.Module)}
    optimizers = {name: torch.optim.Adam(list(part), lr=rates[name]) for name, part in roles.items()}
    for _ in range(steps):
        for update in objective.step(batch):
            objective.zero_grad()
            update.loss.backward()
            optimizers[update.role].step()
        objective.stepped()


def of_numbers(temperature: Temperature, critics: list[nn.Module] | None = None) -> SoftNumbers:
    actor = Policy(VectorTrunk(inputs=1, hidden=(16,)), SquashedHead(16, LOW, HIGH))
    critics = critics or [PairValue(inputs=1, low=LOW, high=HIGH, hidden=(16,)) for _ in range(2)]
    return SoftNumbers(actor, critics, temperature=temperature)


def test_one_of_several_actions_becomes_that_of_soft_value_iteration() -> None:
    torch.manual_seed(0)
    world, price = certain(), 0.5
    actor = Policy(StateTrunk(6), OneOfHead(6, 3))
    objective = SoftOneOf(
        actor, [ValueTable(states=6, actions=3) for _ in range(2)], temperature=Temperature(price), pace=0.1
    )
    train(objective, world.everywhere(), {"actor": 0.02, "critic": 0.05}, 600)
    wanted, places = world.soft(price), torch.arange(6)
    torch.testing.assert_close(objective.critics[0](places).squeeze(2).detach(), wanted, rtol=0, atol=0.05)
    found = actor(places).logprobs.exp()  # type: ignore[attr-defined]
    torch.testing.assert_close(found.detach(), (wanted / price).softmax(1), rtol=0, atol=0.02)
    best = objective.best(places)
    assert torch.equal(best["action"], wanted.argmax(1))
    torch.testing.assert_close(best["value"].detach(), wanted.amax(1), rtol=0, atol=0.05)
    assert set(objective.roles()) == {"actor", "critic"}


class Valley(nn.Module):
    """-(a - 0.3)^2."""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.Parameter(torch.tensor(0.3))

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        return -(action.squeeze(1) - self.middle).square()


def test_numbers_become_likely_as_their_worth_is() -> None:
    """Of exp(worth / temperature), a normal distribution with the variance of half the temperature."""
    torch.manual_seed(0)
    objective = of_numbers(Temperature(0.02), [Valley()])
    optimizer = torch.optim.Adam(objective.actor.parameters(), lr=0.01)
    x = torch.zeros(512, 1)
    for _ in range(600):
        optimizer.zero_grad()
        objective.actor_loss(x)[0].backward()
        optimizer.step()
    with torch.no_grad():
        drawn, logprob = objective.actor(torch.zeros(20_000, 1)).draw()
    assert float(drawn.mean()) == pytest.approx(0.3, abs=0.02)
    assert float(drawn.std()) == pytest.approx(0.1, abs=0.01)
    assert float(-logprob.mean()) == pytest.approx(math.log(0.1 * math.sqrt(2 * math.pi * math.e)), abs=0.1)


def transitions(**changes: Tensor) -> Batch:
    torch.manual_seed(1)
    batch = {"observation": torch.randn(8, 1), "next_observation": torch.randn(8, 1), "action": torch.rand(8, 1)}
    batch |= {"reward": torch.randn(8), "terminated": torch.arange(8) % 2.0, "discount": torch.full((8,), 0.9)}
    return Batch(batch | changes)


def test_critics_learn_reward_and_what_the_lower_target_says_of_an_action_drawn() -> None:
    torch.manual_seed(0)
    objective, batch = of_numbers(Temperature(0.5)), transitions()
    torch.manual_seed(3)
    update = next(objective.step(batch))
    torch.manual_seed(3)
    action, logprob = objective.actor(batch["next_observation"]).draw()
    onward = torch.minimum(*(target(batch["next_observation"], action) for target in objective.targets))
    wanted = batch["reward"] + 0.9 * (1 - batch["terminated"]) * (onward - 0.5 * logprob)
    errors = [critic(batch["observation"], batch["action"]) - wanted for critic in objective.critics]
    torch.testing.assert_close(update.loss, sum(error.square().mean() / 2 for error in errors))
    assert update.role == "critic"


def test_weights_weigh_and_the_errors_are_told() -> None:
    torch.manual_seed(0)
    objective, ended = of_numbers(Temperature(0.5)), torch.ones(8)
    weight = torch.rand(8)
    batch = transitions(weight=weight, terminated=ended)
    loss = next(objective.step(batch)).loss
    found = torch.stack([critic(batch["observation"], batch["action"]) for critic in objective.critics])
    errors = found - batch["reward"]
    torch.testing.assert_close(loss, (weight * errors.square().sum(0) / 2).mean())
    torch.testing.assert_close(batch.said["priority"], errors.abs().mean(0).detach())


def test_the_actors_turn_reaches_the_actor_and_the_critics_keep_what_they_know() -> None:
    torch.manual_seed(0)
    objective, batch = of_numbers(Temperature(0.5, aim=-1.0)), transitions()
    turns = objective.step(batch)
    next(turns)
    update = next(turns)
    gradients = torch.autograd.grad(update.loss, list(objective.actor.parameters()))
    assert update.role == "actor"
    assert all(bool(gradient.any()) for gradient in gradients)
    assert next(turns).role == "temperature"
    assert next(turns, None) is None
    assert set(objective.roles()) == {"actor", "critic", "temperature"}


def test_the_temperature_rises_below_its_aim_and_falls_above() -> None:
    temperature = Temperature(0.3, aim=-1.0)
    assert temperature().item() == pytest.approx(0.3)
    for entropy, slope in ((-3.0, -2.0), (1.0, 2.0)):
        temperature.logarithm.grad = None
        temperature.loss(torch.full((4,), entropy)).backward()
        assert temperature.logarithm.grad.item() == pytest.approx(slope)
    assert not temperature().requires_grad
    assert not Temperature(0.3).learned


def test_the_entropy_reaches_its_aim() -> None:
    torch.manual_seed(0)
    objective = of_numbers(Temperature(1.0, aim=-1.0), [Valley()])
    batch = transitions(terminated=torch.ones(8), reward=torch.zeros(8))
    batch = Batch({name: value.repeat(4, *[1] * (value.ndim - 1)) for name, value in batch.items()})
    train(objective, batch, {"actor": 0.02, "critic": 0.0, "temperature": 0.04}, 350)
    with torch.no_grad():
        entropy = -objective.actor(torch.randn(5000, 1)).draw()[1].mean()
    assert float(entropy) == pytest.approx(-1.0, abs=0.15)


def test_aims() -> None:
    assert aim_for_numbers(3) == -3
    assert aim_for_one_of(4, 0.5) == pytest.approx(math.log(2))
