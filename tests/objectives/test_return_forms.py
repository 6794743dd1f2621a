"""Errors of returns against torch's losses, the double sums of the papers, and slopes by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from penstock.core.errors import RecipeError
from penstock.objectives.return_forms import Histogram, Mean, Spread

EXACT = {"rtol": 1e-7, "atol": 1e-9}
REWARD = torch.tensor([0.3, -4.0, 9.0, 1.0, 0.0], dtype=torch.float64)
DISCOUNT = torch.tensor([0.9, 0.9, 0.5, 0.0, 1.0], dtype=torch.float64)


def numbers(count: int, seed: int) -> Tensor:
    return torch.randn(5, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("bend", [1.0, 0.3, None])
def test_the_mean_has_hubers_loss(bend: float | None) -> None:
    told, onward = numbers(1, 0), numbers(1, 1)
    loss, surprise = Mean(bend=bend).errors(told, onward, REWARD, DISCOUNT)
    wanted = REWARD + DISCOUNT * onward[:, 0]
    theirs = (
        functional.huber_loss(told[:, 0], wanted, delta=bend, reduction="none")
        if bend
        else functional.mse_loss(told[:, 0], wanted, reduction="none") / 2
    )
    torch.testing.assert_close(loss, theirs, **EXACT)
    torch.testing.assert_close(surprise, (told[:, 0] - wanted).abs(), **EXACT)


def projected(form: Histogram, probability: Tensor) -> Tensor:
    """Equation (7) of Bellemare et al. 2017, term by term."""
    step = (form.high - form.low) / (form.numbers - 1)
    found = torch.zeros_like(probability)
    for b in range(len(probability)):
        for i in range(form.numbers):
            for j in range(form.numbers):
                moved = float(REWARD[b]) + float(DISCOUNT[b]) * (form.low + j * step)
                moved = min(max(moved, form.low), form.high)
                share = 1 - abs(moved - (form.low + i * step)) / step
                found[b, i] += min(max(share, 0.0), 1.0) * probability[b, j]
    return found


def test_the_histogram_is_projected_as_by_the_double_sum() -> None:
    form = Histogram(low=-2.0, high=3.0, numbers=11)
    probability = numbers(11, 0).softmax(1)
    found = form.projected(probability, REWARD, DISCOUNT)
    torch.testing.assert_close(found, projected(form, probability), **EXACT)
    torch.testing.assert_close(found.sum(1), torch.ones(5, dtype=torch.float64), **EXACT)
    assert found[2, -1] == pytest.approx(1.0)  # beyond the range


def test_the_histogram_learns_by_the_divergence() -> None:
    form = Histogram(low=-2.0, high=3.0, numbers=11)
    told, onward = numbers(11, 0).requires_grad_(), numbers(11, 1)
    loss, surprise = form.errors(told, onward, REWARD, DISCOUNT)
    wanted = form.projected(onward.softmax(1), REWARD, DISCOUNT)
    theirs = functional.kl_div(told.log_softmax(1), wanted, reduction="none").sum(1)
    torch.testing.assert_close(loss, theirs, **EXACT)
    torch.testing.assert_close(surprise, theirs.detach(), **EXACT)
    (slope,) = torch.autograd.grad(loss.sum(), told)
    torch.testing.assert_close(slope, told.softmax(1) - wanted, **EXACT)  # that of the cross-entropy
    torch.testing.assert_close(form.mean(told), told.softmax(1) @ torch.linspace(-2, 3, 11).double(), **EXACT)


def test_a_histogram_of_whole_steps_in_float32_stays_in_its_range() -> None:
    form = Histogram(low=-0.3, high=0.3, numbers=7)
    certain = torch.full((7, 7), -torch.inf).fill_diagonal_(0.0).softmax(1)
    found = form.projected(certain, torch.zeros(7), torch.ones(7))
    torch.testing.assert_close(found, torch.eye(7), rtol=0, atol=1e-5)
    with pytest.raises(RecipeError, match="from 1"):
        Histogram(low=1, high=1)


@pytest.mark.parametrize("bend", [1.0, 0.5])
def test_quantiles_have_the_loss_of_the_paper(bend: float) -> None:
    count = 4
    form, told, onward = Spread(numbers=count, bend=bend), numbers(count, 0), numbers(count, 1)
    loss, surprise = form.errors(told, onward, REWARD, DISCOUNT)
    for b in range(5):
        total = 0.0
        for i in range(count):
            for j in range(count):
                u = float(REWARD[b] + DISCOUNT[b] * onward[b, j] - told[b, i])
                huber = u * u / 2 if abs(u) <= bend else bend * (abs(u) - bend / 2)
                total += abs((2 * i + 1) / (2 * count) - (u < 0)) * huber / bend / count
        assert float(loss[b]) == pytest.approx(total, rel=1e-9)
    assert torch.equal(surprise, loss)
    torch.testing.assert_close(form.mean(told), told.mean(1), **EXACT)


def test_quantiles_of_chance_are_found() -> None:
    """What returns of 0 and 1, with chances of 1/4 and 3/4, are told as."""
    torch.manual_seed(0)
    form = Spread(numbers=4, bend=0.01)
    told = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([told], lr=0.05)
    reward = torch.tensor([0.0, 1.0, 1.0, 1.0]).repeat(8)
    for _ in range(200):
        loss, _ = form.errors(told.expand(32, 4), torch.zeros(32, 4), reward, torch.zeros(32))
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    torch.testing.assert_close(told.detach(), torch.tensor([0.0, 1.0, 1.0, 1.0]), rtol=0, atol=0.1)
