"""Distributions over actions against torch.distributions, and draws against their probabilities."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor, distributions

from penstock.nn.choices import Choice, Normal, OneOf, Squashed

EXACT = {"rtol": 1e-7, "atol": 1e-7}


def double(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_one_of_several_is_a_categorical() -> None:
    logits, action = 3 * double(6, 4), torch.tensor([0, 3, 1, 2, 2, 0])
    choice, theirs = OneOf(logits), distributions.Categorical(logits=logits)
    torch.testing.assert_close(choice.logprob(action), theirs.log_prob(action), **EXACT)
    torch.testing.assert_close(choice.entropy(), theirs.entropy(), **EXACT)
    assert torch.equal(choice.best(), logits.argmax(1))


def test_an_impossible_action_does_not_spoil_the_entropy() -> None:
    assert OneOf(torch.tensor([[0.0, -torch.inf]])).entropy().tolist() == [0.0]


def test_normal_numbers_are_independent_normals() -> None:
    mean, log_deviation, action = double(6, 3), 0.3 * double(3, seed=1), double(6, 3, seed=2)
    choice = Normal(mean, log_deviation)
    theirs = distributions.Independent(distributions.Normal(mean, log_deviation.exp()), 1)
    torch.testing.assert_close(choice.logprob(action), theirs.log_prob(action), **EXACT)
    torch.testing.assert_close(choice.entropy(), theirs.entropy(), **EXACT)
    drawn, logprob = choice.draw()
    torch.testing.assert_close(logprob, theirs.log_prob(drawn), **EXACT)
    assert torch.equal(choice.best(), mean)


def squashed(mean: Tensor, log_deviation: Tensor) -> tuple[Squashed, distributions.Distribution]:
    centre, reach = torch.tensor([0.5, -1.0], dtype=mean.dtype), torch.tensor([2.0, 0.3], dtype=mean.dtype)
    bent = distributions.TransformedDistribution(
        distributions.Normal(mean, log_deviation.exp()),
        [distributions.TanhTransform(cache_size=1), distributions.AffineTransform(centre, reach, cache_size=1)],
    )
    return Squashed(mean, log_deviation, centre, reach), distributions.Independent(bent, 1)


def test_squashed_numbers_are_transformed_normals() -> None:
    choice, theirs = squashed(double(50, 2), 0.3 * double(50, 2, seed=1))
    action, logprob = choice.draw()
    torch.testing.assert_close(logprob, theirs.log_prob(action), rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(choice.best(), torch.tensor([0.5, -1.0]) + torch.tensor([2, 0.3]) * double(50, 2).tanh())


@pytest.mark.parametrize("mean", [30.0, -30.0])
def test_squashed_numbers_stay_finite_at_their_bounds(mean: float) -> None:
    at = torch.full((4, 2), mean, requires_grad=True)
    action, logprob = squashed(at, torch.zeros(4, 2))[0].draw()
    (logprob.sum() + action.sum()).backward()
    assert logprob.isfinite().all()
    assert at.grad is not None
    assert at.grad.isfinite().all()


def test_the_density_of_squashed_numbers_has_a_mass_of_one() -> None:
    """Of drawn actions, the mean of 1 / density is the length of the range, 4."""
    torch.manual_seed(0)
    n, one = 200_000, torch.ones(1, dtype=torch.float64)
    choice = Squashed(torch.full((n, 1), 0.2, dtype=torch.float64), torch.zeros(n, 1).double(), 0 * one, 2 * one)
    weight = (-choice.draw()[1]).exp()
    assert abs(float(weight.mean()) - 4) < 5 * float(weight.std()) / n**0.5


def test_draws_come_with_their_probabilities() -> None:
    torch.manual_seed(0)
    probability = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    drawn = OneOf(probability.log().expand(20_000, 4)).draw()[0]
    counts = torch.bincount(drawn, minlength=4)
    assert stats.chisquare(counts.numpy(), (20_000 * probability).numpy()).pvalue > 1e-6


@pytest.mark.parametrize("make", [lambda x: Normal(x, 0 * x), lambda x: squashed(x, 0 * x)[0]])
def test_the_gradient_flows_through_drawn_numbers(make: type[Choice]) -> None:
    mean = torch.zeros(5, 2, requires_grad=True)
    make(mean).draw()[0].sum().backward()
    assert mean.grad is not None
    assert bool((mean.grad > 0).all())
