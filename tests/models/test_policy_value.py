"""Networks for boards: what they tell, how little they hold for sure at first, and that they see all of the board."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.models.policy_value import PolicyValue, flat, residual

SIZES = {"planes": 3, "height": 4, "width": 5, "actions": 6}
MAKERS = [lambda: residual(**SIZES, channels=8, blocks=2, hidden=7), lambda: flat(**SIZES, hidden=[9, 8])]
made = pytest.mark.parametrize("make", MAKERS)


@made
def test_a_policy_and_a_value_for_each_board(make: Callable[[], PolicyValue]) -> None:
    torch.manual_seed(0)
    logits, value = make()(torch.randint(2, (7, 3, 4, 5)).float())
    assert logits.shape == (7, 6)
    assert value.shape == (7,)
    assert (value.abs() < 0.2).all()
    assert (logits.softmax(1) - 1 / 6).abs().max() < 0.1


@made
def test_every_point_and_every_weight_counts(make: Callable[[], PolicyValue]) -> None:
    torch.manual_seed(1)
    model = make()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    boards = torch.randn(8, 3, 4, 5, requires_grad=True)
    logits, value = model(boards)
    (logits.square().sum() + (value - 1).square().sum()).backward()
    assert [name for name, weight in model.named_parameters() if not weight.grad.abs().sum() > 0] == []
    assert (boards.grad.abs().sum((0, 1)) > 0).all()


@made
def test_boards_are_judged_alone(make: Callable[[], PolicyValue]) -> None:
    torch.manual_seed(2)
    model, boards = make().eval(), torch.randn(5, 3, 4, 5)
    together = model(boards)
    alone = [torch.cat(parts) for parts in zip(*(model(boards[i : i + 1]) for i in range(5)), strict=True)]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_values_lie_between_losing_and_winning() -> None:
    model = flat(**SIZES)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(50)
        _, value = model(torch.ones(3, 3, 4, 5))
    assert (value.abs() <= 1).all()
    assert math.isfinite(float(value.sum()))


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"blocks": 0}, {"actions": 0}])
def test_sizes_that_make_no_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match="is 0"):
        residual(**(SIZES | wrong))
