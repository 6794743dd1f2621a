"""Noise schedules against their definitions, and what is left of an example against the steps one by one."""

from __future__ import annotations

import math

import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.nn.noise_schedule import NoiseSchedule, cosine_schedule, linear_schedule


def test_linear_is_the_product_of_what_each_step_leaves() -> None:
    left, expected = 1.0, []
    for step in range(1000):
        left *= 1 - (1e-4 + (0.02 - 1e-4) * step / 999)
        expected.append(left)
    torch.testing.assert_close(linear_schedule().signal, torch.tensor(expected), rtol=1e-5, atol=0)
    assert linear_schedule(100).signal[-1] == pytest.approx(expected[-1], rel=0.5)  # as much noise in fewer steps


def test_cosine_falls_as_its_definition() -> None:
    signal = cosine_schedule(200).signal

    def f(t: float) -> float:
        return math.cos((t / 200 + 0.008) / 1.008 * math.pi / 2) ** 2

    for step in (0, 1, 50, 100, 150, 197):
        assert float(signal[step]) == pytest.approx(f(step + 1) / f(0), rel=1e-5)
    assert 0 < signal[-1] < signal[-2] < 1e-3
    assert (signal.diff() < 0).all()


def test_moments_of_a_noised_example_are_those_of_single_steps() -> None:
    betas = torch.tensor([0.02, 0.1, 0.3, 0.2])
    schedule, count = NoiseSchedule(betas), 200_000
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor([1.5, -0.5]).repeat(count, 1)
    t = torch.full((count,), 3)
    at_once = schedule.noised(x, torch.randn(x.shape, generator=generator), t)
    slowly = x
    for beta in betas:  # q(x_t | x_{t-1}) of Ho et al. 2020, equation (2)
        slowly = (1 - beta).sqrt() * slowly + beta.sqrt() * torch.randn(x.shape, generator=generator)
    left = float((1 - betas).prod())
    for found in (at_once, slowly):
        error = 5 * math.sqrt((1 - left) / count)
        torch.testing.assert_close(found.mean(0), math.sqrt(left) * x[0], rtol=0, atol=error)
        spread = 5 * (1 - left) * math.sqrt(2 / count)
        torch.testing.assert_close(found.var(0), torch.full((2,), 1 - left), rtol=0, atol=spread)


def test_each_example_has_its_own_step() -> None:
    schedule = linear_schedule(10)
    x, noise = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    t = torch.tensor([9, 0, 4])
    found = schedule.noised(x, noise, t)
    for i in range(3):
        share = float(schedule.signal[t[i]])
        torch.testing.assert_close(found[i], math.sqrt(share) * x[i] + math.sqrt(1 - share) * noise[i])


@pytest.mark.parametrize("betas", [[0.1, 0.0], [1.0, 0.5]])
def test_steps_that_do_nothing_or_everything_are_refused(betas: list[float]) -> None:
    with pytest.raises(RecipeError, match="give shares within 0 and 1"):
        NoiseSchedule(torch.tensor(betas))


@pytest.mark.parametrize("make", [linear_schedule, cosine_schedule])
def test_few_steps_are_possible(make: object) -> None:
    assert make(4).signal.shape == (4,)
    with pytest.raises(RecipeError, match="steps is 0"):
        make(0)
