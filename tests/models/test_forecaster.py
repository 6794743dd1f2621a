"""A forecast relative to the last value."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from penstock.core.errors import RecipeError
from penstock.models.forecaster import Forecaster
from penstock.models.sequence import gru

SIZES = {"context": 6, "ahead": 3, "columns": 4, "targets": (2, 0), "quantiles": 5}


def small() -> Forecaster:
    return Forecaster(gru(features=8, outputs=3 * 2 * 5, width=7, pooled=True), **SIZES)


def test_untaught_and_alone_it_stays_at_the_last_value() -> None:
    x = torch.randn(2, 6, 4)
    found = Forecaster(None, **SIZES)(x)
    assert found.shape == (2, 3, 2, 5)
    torch.testing.assert_close(found, x[:, -1, [2, 0]].view(2, 1, 2, 1).expand(2, 3, 2, 5), rtol=0, atol=0)


def test_the_sum_is_that_of_each_column_over_the_past() -> None:
    torch.manual_seed(0)
    model, x = Forecaster(None, **SIZES).double(), torch.randn(2, 6, 4, dtype=torch.float64)
    for value in model.parameters():
        nn.init.normal_(value)
    found = model(x)
    for column, at in enumerate((2, 0)):
        past = x[:, :, at] - x[:, -1:, at]
        expected = (past @ model.sum.weight.T + model.sum.bias).view(2, 3, 5) + x[:, -1, at].view(2, 1, 1)
        torch.testing.assert_close(found[:, :, column], expected, rtol=1e-7, atol=1e-9)


def test_it_follows_a_series_that_wanders_off() -> None:
    torch.manual_seed(0)
    model, x = Forecaster(None, **SIZES), torch.randn(2, 6, 4)
    nn.init.normal_(model.sum.weight)
    torch.testing.assert_close(model(x + 1000), model(x) + 1000, rtol=1e-6, atol=1e-3)


def test_gradients_reach_every_parameter() -> None:
    model = small()
    model(torch.randn(2, 6, 4)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize(("shape", "said"), [((2, 5, 4), "6 steps and was given 5"), ((2, 6, 3), "4 columns")])
def test_other_shapes_are_refused(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        small()(torch.zeros(shape))
    with pytest.raises(RecipeError, match="ahead is 0"):
        Forecaster(None, **SIZES | {"ahead": 0})
