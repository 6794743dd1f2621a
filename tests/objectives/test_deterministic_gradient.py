"""TD3 and DDPG against their formulas, and on a valley whose bottom is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.models.action_values import PairValue
from penstock.models.observing import VectorTrunk
from penstock.models.policy import Directed
from penstock.objectives.deterministic_gradient import DeterministicGradient
from penstock.objectives.exploration import Annealed, Jitter

LOW, HIGH = torch.tensor([-2.0, 0.0]), torch.tensor([2.0, 1.0])


def make(critics: int = 2, hidden: int = 16, **choices: object) -> DeterministicGradient:
    torch.manual_seed(0)
    return DeterministicGradient(
        Directed(VectorTrunk(inputs=3, hidden=(16,)), LOW, HIGH),
        [PairValue(inputs=3, low=LOW, high=HIGH, hidden=(hidden,)) for _ in range(critics)],
        low=LOW,
        high=HIGH,
        **choices,
    )


def transitions(count: int = 8, **changes: Tensor) -> Batch:
    generator = torch.Generator().manual_seed(1)
    batch = {name: torch.randn(count, 3, generator=generator) for name in ("observation", "next_observation")}
    batch["action"] = LOW + (HIGH - LOW) * torch.rand(count, 2, generator=generator)
    batch |= {"reward": torch.randn(count, generator=generator), "terminated": torch.arange(count) % 2.0}
    return Batch(batch | {"discount": torch.full((count,), 0.9)} | changes)


def test_the_target_of_td3_is_that_of_the_paper() -> None:
    objective, batch = make(noise=0.4, most_noise=0.1), transitions()
    torch.manual_seed(3)
    update = next(objective.step(batch))
    torch.manual_seed(3)
    onward = batch["next_observation"]
    noise = (0.4 * torch.randn(8, 2)).clamp(-0.1, 0.1) * torch.tensor([2.0, 0.5])
    action = (objective.actor(onward) + noise).clamp(LOW, HIGH)
    worth = torch.minimum(*(critic(onward, action) for critic in objective.critics))
    wanted = batch["reward"] + 0.9 * (1 - batch["terminated"]) * worth
    errors = [critic(batch["observation"], batch["action"]) - wanted for critic in objective.critics]
    torch.testing.assert_close(update.loss, sum(error.square().mean() / 2 for error in errors))


def test_the_actor_and_the_targets_move_at_every_second_batch() -> None:
    objective, batch = make(), transitions()
    for number in range(1, 5):
        before = {name: value.clone() for name, value in objective.targets.state_dict().items()}
        roles = []
        for update in objective.step(batch):
            roles.append(update.role)
            objective.zero_grad()
            update.loss.backward()
            with torch.no_grad():
                for parameter in objective.roles()[update.role].parameters():
                    parameter -= 0.01 * parameter.grad
        objective.stepped()
        moved = any(not torch.equal(value, before[name]) for name, value in objective.targets.state_dict().items())
        assert roles == (["critic", "actor"] if number % 2 == 0 else ["critic"])
        assert moved == (number % 2 == 0)


def test_ddpg_is_the_same_with_one_critic_a_turn_each_and_no_noise() -> None:
    objective, batch = make(critics=1, turns=1, noise=0.0), transitions()
    turns = objective.step(batch)
    loss = next(turns).loss
    onward = batch["next_observation"]
    worth = objective.critics[0](onward, objective.actor(onward))
    wanted = batch["reward"] + 0.9 * (1 - batch["terminated"]) * worth
    error = objective.critics[0](batch["observation"], batch["action"]) - wanted
    torch.testing.assert_close(loss, error.square().mean() / 2)
    actors = next(turns)
    own = objective.actor(batch["observation"])
    torch.testing.assert_close(actors.loss, -objective.critics[0](batch["observation"], own).mean())
    assert actors.role == "actor"


def test_it_finds_the_bottom_of_a_valley() -> None:
    """Rewards of -(a - 0.8)^2 - (b - 0.2)^2, after which all ends."""
    objective = make(hidden=64)
    optimizers = {name: torch.optim.Adam(part.parameters(), lr=5e-3) for name, part in objective.roles().items()}
    bottom = torch.tensor([0.8, 0.2])
    for step in range(500):
        generator = torch.Generator().manual_seed(step)
        action = LOW + (HIGH - LOW) * torch.rand(64, 2, generator=generator)
        reward = -(action - bottom).square().sum(1)
        still = torch.zeros(64, 3)
        batch = transitions(
            64, observation=still, next_observation=still, action=action, reward=reward, terminated=torch.ones(64)
        )
        for update in objective.step(batch):
            objective.zero_grad()
            update.loss.backward()
            optimizers[update.role].step()
        objective.stepped()
    best = objective.best(torch.zeros(1, 3))
    torch.testing.assert_close(best["action"].detach(), bottom.unsqueeze(0), rtol=0, atol=0.2)
    assert best["value"].item() == pytest.approx(0.0, abs=0.1)


@torch.no_grad()
def test_it_explores_within_the_bounds() -> None:
    objective = make(explore=Jitter(Annealed(start=0.5, end=0.5)))
    x = torch.randn(1000, 3)
    done = objective.act(x)["action"]
    assert bool(((done >= LOW) & (done <= HIGH)).all())
    assert not torch.equal(done, objective.act(x)["action"])
    assert torch.equal(objective.best(x)["action"], objective.best(x)["action"])
