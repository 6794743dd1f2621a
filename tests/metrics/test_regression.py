"""Regression metrics against scikit-learn and properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from penstock.core.errors import DataError
from penstock.metrics.regression import mae, r2, rmse

CLOSE = {"rel": 1e-7, "abs": 1e-7}
ALL = (rmse, mae, r2)


@pytest.mark.parametrize("shape", [(2,), (500,), (500, 1)])
def test_against_scikit_learn(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    targets = torch.randn(shape, dtype=torch.float64) * 3 + 100
    predictions = targets + torch.randn(shape, dtype=torch.float64)
    theirs = (sk.root_mean_squared_error, sk.mean_absolute_error, sk.r2_score)
    for mine, reference in zip(ALL, theirs, strict=True):
        assert mine(predictions, targets) == pytest.approx(reference(targets, predictions), **CLOSE)


def test_several_outputs() -> None:
    torch.manual_seed(1)
    targets = torch.randn(80, 3, dtype=torch.float64) * torch.tensor([1.0, 10.0, 0.1])
    predictions = targets + 0.1 * torch.randn(80, 3, dtype=torch.float64)
    assert r2(predictions, targets) == pytest.approx(sk.r2_score(targets, predictions), **CLOSE)
    assert rmse(predictions, targets) == pytest.approx(math.sqrt(sk.mean_squared_error(targets, predictions)), **CLOSE)


def test_sums_of_float32_are_kept_in_float64() -> None:
    targets = torch.full((200_000,), 1e4) + torch.arange(200_000) % 2
    predictions = targets + 0.5
    assert rmse(predictions, targets) == pytest.approx(0.5, rel=1e-12)
    assert r2(predictions, targets) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e9])
def test_constant_targets_have_no_variance_to_explain(value: float) -> None:
    targets = torch.full((7,), value)
    assert math.isnan(r2(targets, targets))
    assert math.isnan(r2(targets + 1, targets))
    assert math.isnan(r2(torch.zeros(1), torch.ones(1)))


def test_no_example_gives_nan() -> None:
    assert all(math.isnan(metric(torch.zeros(0), torch.zeros(0))) for metric in ALL)


def test_shapes_are_not_broadcast() -> None:
    for metric in ALL:
        with pytest.raises(DataError, match="differ in shape"):
            metric(torch.zeros(4, 1), torch.zeros(4))


EIGHTHS = st.integers(-800, 800).map(lambda whole: whole / 8)


@given(st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=2, max_size=30), EIGHTHS)
@settings(max_examples=40, deadline=None)
def test_properties(pairs: list[tuple[float, float]], shift: float) -> None:
    predictions, targets = (torch.tensor(column, dtype=torch.float64) for column in zip(*pairs, strict=True))
    assert 0 <= mae(predictions, targets) <= rmse(predictions, targets) + 1e-9
    assert rmse(targets, targets) == mae(targets, targets) == 0
    assert rmse(predictions + shift, targets + shift) == pytest.approx(rmse(predictions, targets), rel=1e-6, abs=1e-6)
    assert mae(predictions, targets) == mae(targets, predictions)
    if len(targets.unique()) > 1:
        assert r2(targets, targets) == 1
        mean = targets.mean().expand_as(targets)
        assert r2(mean, targets) == pytest.approx(0, abs=1e-9)
