"""Networks that follow others, against the formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from penstock.core.errors import RecipeError
from penstock.objectives.target import Target


def moved(network: nn.Linear, by: float) -> None:
    with torch.no_grad():
        network.weight.add_(by)


def test_it_goes_a_share_of_the_way_at_each_call() -> None:
    network = nn.Linear(3, 2)
    target = Target(network, pace=0.25)
    first = network.weight.detach().clone()
    moved(network, 1.0)
    target.follow(network)
    torch.testing.assert_close(target.network.weight, first + 0.25)
    target.follow(network)
    torch.testing.assert_close(target.network.weight, first + 1 - 0.75**2)
    assert not any(parameter.requires_grad for parameter in target.parameters())
    x = torch.randn(4, 3)
    assert torch.equal(target(x), target.network(x))


def test_it_copies_at_every_third_call_and_counts_in_its_state() -> None:
    network = nn.Linear(3, 2)
    target, resumed = Target(network, pace=1.0, every=3), Target(nn.Linear(3, 2), pace=1.0, every=3)
    first = network.weight.detach().clone()
    for call in range(1, 7):
        moved(network, 1.0)
        target.follow(network)
        torch.testing.assert_close(target.network.weight, first + call // 3 * 3)
        if call == 4:
            resumed.load_state_dict(target.state_dict())
    for _ in range(2):
        resumed.follow(network)
    torch.testing.assert_close(resumed.network.weight, target.network.weight)


def test_buffers_are_copied() -> None:
    network = nn.BatchNorm1d(2)
    target = Target(network)
    network.running_mean.fill_(3.0)
    target.follow(network)
    assert target.network.running_mean.tolist() == [3.0, 3.0]


@pytest.mark.parametrize(("pace", "every"), [(0.0, 1), (1.5, 1), (0.5, 0)])
def test_what_cannot_be_followed_is_refused(pace: float, every: int) -> None:
    with pytest.raises(RecipeError, match="target"):
        Target(nn.Linear(1, 1), pace=pace, every=every)
