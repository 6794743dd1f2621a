"""Exploration rules against their probabilities."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.objectives.exploration import Annealed, EpsilonGreedy, Exploration, Greedy, Jitter

WORTH = torch.tensor([0.1, 0.5, -0.3, 0.2])
MANY = 20_000


def fits(rule: Exploration, progress: float, probability: Tensor) -> bool:
    torch.manual_seed(0)
    counts = torch.bincount(rule(WORTH.expand(MANY, 4), progress), minlength=4)
    return bool(stats.chisquare(counts.numpy(), (MANY * probability).numpy()).pvalue > 1e-6)


def test_it_anneals_in_a_straight_line_and_stays() -> None:
    line = Annealed(start=1.0, end=0.2, within=0.5)
    assert [line(progress) for progress in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    with pytest.raises(RecipeError, match="within 0"):
        Annealed(start=1.0, end=0.0, within=0)


def test_greedy_takes_the_first_of_the_best() -> None:
    assert Greedy()(torch.tensor([[0.0, 1.0, 1.0], [2.0, 1.0, 0.0]]), 0.0).tolist() == [1, 0]


@pytest.mark.parametrize(("progress", "epsilon"), [(0.0, 1.0), (0.5, 0.6), (1.0, 0.2)])
def test_epsilon_greedy_takes_any_action_with_that_chance(progress: float, epsilon: float) -> None:
    rule = EpsilonGreedy(Annealed(start=1.0, end=0.2))
    wanted = torch.full((4,), epsilon / 4, dtype=torch.float64)
    wanted[1] += 1 - epsilon
    assert fits(rule, progress, wanted)
    assert not fits(rule, progress, torch.tensor([0.7, 0.1, 0.1, 0.1], dtype=torch.float64))


def test_jitter_is_normal_in_shares_of_the_reach_and_stays_within_the_bounds() -> None:
    torch.manual_seed(0)
    low, high = torch.tensor([-1.0, 0.0]), torch.tensor([3.0, 1.0])
    middle = torch.tensor([1.0, 0.5]).expand(MANY, 2)
    moved = Jitter(Annealed(start=0.2, end=0.1))(middle, low, high, 0.0)
    spread = (moved - middle).std(0)
    torch.testing.assert_close(spread, torch.tensor([0.4, 0.1]), rtol=5 / (2 * MANY) ** 0.5, atol=0)
    edge = Jitter()(high.expand(MANY, 2), low, high, 0.0)
    assert bool((edge <= high).all())
    assert 0.45 < float((edge < high).float().mean()) < 0.55
