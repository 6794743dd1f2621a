"""Errors of forecasts by hand, and what their losses ask for."""

from __future__ import annotations

import math

import pytest
import torch

from penstock.metrics.forecasting import mase, pinball


def test_pinball_by_hand() -> None:
    quantiles, targets = torch.tensor([[[[1.0, 2.0]]], [[[0.0, 5.0]]]]), torch.tensor([[[3.0]], [[1.0]]])
    expected = (0.1 * 2 + 0.9 * 1 + 0.1 * 1 + 0.1 * 4) / 4  # above weighs q, below 1 - q
    assert float(pinball(quantiles, targets, torch.tensor([0.1, 0.9]))) == pytest.approx(expected)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_the_best_constant_is_the_quantile(level: float) -> None:
    values = torch.arange(101.0).view(-1, 1, 1)
    losses = [float(pinball(torch.full((101, 1, 1, 1), c), values, torch.tensor([level]))) for c in range(101)]
    assert min(range(101), key=losses.__getitem__) == pytest.approx(100 * level, abs=1)


def test_mase_is_relative_to_each_columns_own_error() -> None:
    errors = torch.tensor([[[1.0, -10.0, 3.0]], [[-3.0, 30.0, 3.0]]])
    assert mase(errors, torch.tensor([2.0, 10.0, 0.0])) == pytest.approx((2 / 2 + 20 / 10) / 2)
    assert math.isnan(mase(errors, torch.zeros(3)))
