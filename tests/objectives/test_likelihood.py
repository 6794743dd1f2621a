"""Likelihoods against torch.distributions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, distributions
from torch.nn import functional

from penstock.core.errors import RecipeError
from penstock.objectives.likelihood import Bernoulli, Frames, Gaussian, Rows


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected.double(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("deviation", [1.0, 0.3])
def test_gaussian(deviation: float) -> None:
    output, truth = normal(4, 2, 3), normal(4, 2, 3).flip(0)
    likelihood = Gaussian(deviation=deviation)
    expected = -distributions.Normal(output, deviation).log_prob(truth).sum((1, 2))
    close(likelihood.nats(output, truth), expected)
    squares = (output - truth).square().mean((1, 2))
    close(likelihood.error(output, truth), squares)
    close(likelihood.squares(output, truth), squares)
    close(likelihood.mean(output), output)


def test_bernoulli() -> None:
    output, truth = normal(4, 2, 3), (normal(4, 2, 3).flip(0) > 0).double()
    law = distributions.Bernoulli(logits=output)
    expected = -law.log_prob(truth).sum((1, 2))
    close(Bernoulli().nats(output, truth), expected)
    close(Bernoulli().error(output, truth), expected / 6)
    close(Bernoulli().mean(output), law.mean)
    close(Bernoulli().squares(output, truth), (law.mean - truth).square().mean((1, 2)))


@pytest.mark.parametrize(("numbers", "cardinalities"), [(2, (3, 4)), (2, ()), (0, (3, 4))])
def test_rows(numbers: int, cardinalities: tuple[int, ...]) -> None:
    likelihood = Rows(numbers=numbers, cardinalities=cardinalities, deviation=0.5)
    output = normal(5, likelihood.width)
    truth: list[Tensor] = [normal(5, numbers)] if numbers else []
    codes = torch.stack([torch.arange(5) % max(n, 1) for n in cardinalities or (1,)], 1)
    truth += [codes] if cardinalities else []
    nats, error, squares, mean = torch.zeros(5).double(), torch.zeros(5).double(), torch.zeros(5).double(), []
    at = numbers
    if numbers:
        nats = nats - distributions.Normal(output[:, :numbers], 0.5).log_prob(truth[0]).sum(1)
        error = squares = (output[:, :numbers] - truth[0]).square().sum(1)
        mean.append(output[:, :numbers])
    for j, count in enumerate(cardinalities):
        law = distributions.Categorical(logits=output[:, at : at + count])
        nats, error = nats - law.log_prob(codes[:, j]), error - law.log_prob(codes[:, j])
        squares = squares + (law.probs - functional.one_hot(codes[:, j], count)).square().sum(1)
        mean.append(law.probs)
        at += count
    close(likelihood.nats(output, *truth), nats)
    close(likelihood.error(output, *truth), error / (numbers + len(cardinalities)))
    close(likelihood.squares(output, *truth), squares / likelihood.width)
    close(likelihood.mean(output), torch.cat(mean, 1))


def test_frames_beyond_the_length_do_not_count() -> None:
    output, truth, lengths = normal(3, 8, 2), normal(3, 6, 2), torch.tensor([6, 2, 0])
    likelihood = Frames(deviation=0.7)
    for i, length in enumerate(lengths.tolist()):
        law = distributions.Normal(output[i, :length], 0.7)
        close(likelihood.nats(output, truth, lengths)[i], -law.log_prob(truth[i, :length]).sum())
        expected = (output[i, :length] - truth[i, :length]).square().mean() if length else torch.tensor(0.0)
        close(likelihood.error(output, truth, lengths)[i], expected)
        close(likelihood.squares(output, truth, lengths)[i], expected)


@pytest.mark.parametrize("deviation", [0.0, -1.0, float("nan"), float("inf")])
def test_deviations_that_make_no_sense_are_refused(deviation: float) -> None:
    for make in (Gaussian, Frames, lambda deviation: Rows(numbers=1, deviation=deviation)):
        with pytest.raises(RecipeError, match="give a positive number"):
            make(deviation=deviation)


def test_half_precision_is_summed_in_single() -> None:
    output, truth = torch.full((1, 3000), 0.1).bfloat16(), torch.zeros(1, 3000)
    for likelihood in (Gaussian(), Bernoulli()):
        found = likelihood.nats(output, truth)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, likelihood.nats(output.float(), truth), rtol=1e-6, atol=0)
