"""Learning from a search: the loss by hand, what is measured of games, and that a table of answers is learned."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.models.policy_value import PolicyValue, residual
from penstock.objectives.policy_value import PolicyAndValue


class Given(nn.Module):
    def __init__(self, numbers: Tensor) -> None:
        super().__init__()
        self.numbers = nn.Parameter(numbers)

    def forward(self, x: Tensor) -> Tensor:
        return self.numbers.expand(len(x), -1)


def test_the_loss_is_that_of_the_paper() -> None:
    model = PolicyValue(nn.Flatten(), Given(torch.tensor([0.0, math.log(3.0)])), Given(torch.tensor([0.5])))
    objective = PolicyAndValue(model, value_weight=2.0)
    policy, outcome = torch.tensor([[1.0, 0.0], [0.25, 0.75]]), torch.tensor([1.0, -1.0])
    update = objective.loss(Batch(observation=torch.zeros(2, 1, 1, 1), policy=policy, outcome=outcome))
    entropies = math.log(4), -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    value = math.tanh(0.5)
    squares = (1 - value) ** 2, (1 + value) ** 2
    noted = objective.noted()
    assert noted["policy_loss"] == pytest.approx(sum(entropies) / 2, rel=1e-6)
    assert noted["value_loss"] == pytest.approx(sum(squares) / 2, rel=1e-6)
    assert noted["entropy"] == pytest.approx(entropies[1], rel=1e-6)
    assert update.loss.item() == pytest.approx(sum(entropies) / 2 + sum(squares), rel=1e-6)
    assert update.weight == 2


def played(**fields: list[float]) -> Batch:
    return Batch({name: torch.tensor(values).double() for name, values in fields.items()})


def test_games_are_counted_by_opponent() -> None:
    objective = PolicyAndValue(residual(planes=3, height=3, width=3, actions=9), opponents=("one", "other", "third"))
    games = played(
        opponent=[0, 0, 1, 1],
        first=[1, 0, 1, 0],
        result=[1, 1, 0, -1],
        length=[5, 7, 9, 6],
        policy_loss=[1, 1, 2, 2],
        value_loss=[0, 0, 1, 1],
    )
    found = objective.evaluate([games, games])
    assert found.metrics == {
        "return": 0.25,
        "episode_length": 6.75,
        "wins_one": 1.0,
        "draws_one": 0.0,
        "losses_one": 0.0,
        "wins_other": 0.0,
        "draws_other": 0.5,
        "losses_other": 0.5,
        "policy_loss": 1.5,
        "value_loss": 0.5,
        "loss": 2.0,
    }
    assert len(found.records["result"]) == 8
    with pytest.raises(DataError, match="no game was played"):
        objective.evaluate([])


def test_answers_are_learned_by_heart() -> None:
    torch.manual_seed(0)
    objective = PolicyAndValue(residual(planes=3, height=3, width=3, actions=9, channels=8, blocks=1))
    batch = Batch(
        observation=torch.randint(2, (12, 3, 3, 3)).float(),
        policy=nn.functional.one_hot(torch.randint(9, (12,)), 9).float(),
        outcome=torch.randint(-1, 2, (12,)).float(),
    )
    optimizer = torch.optim.Adam(objective.parameters(), 0.03)
    objective.train()
    first = objective.loss(batch).loss.item()
    for _ in range(60):
        optimizer.zero_grad()
        objective.loss(batch).loss.backward()
        optimizer.step()
    assert objective.loss(batch).loss.item() < 0.1 * first
