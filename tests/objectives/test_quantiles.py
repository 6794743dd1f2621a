"""Quantiles of a future: units, simple rules beside, and that they can be learned."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import DataError
from penstock.objectives.quantiles import Quantiles


class Constant(nn.Module):
    """The same quantiles, whatever comes: (B, F, K, Q)."""

    def __init__(self, ahead: int, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)  # (K, Q)
        self.ahead = ahead

    def forward(self, x: Tensor) -> Tensor:
        return self.values.expand(len(x), self.ahead, *self.values.shape)


def objective(model: nn.Module, season: int = 3) -> Quantiles:
    return Quantiles(
        model,
        ["series"],
        levels=[0.25, 0.5, 0.75],
        centre=torch.tensor([100.0, -5.0], dtype=torch.float64),
        scale=torch.tensor([10.0, 2.0], dtype=torch.float64),
        naive=torch.tensor([5.0, 4.0], dtype=torch.float64),
        targets=[1, 0],
        season=season,
    )


def batch() -> Batch:
    series = torch.arange(16.0).view(1, 8, 2)  # column 1 is told first
    return Batch(series=series, target=torch.tensor([[[1.0, 2.0], [3.0, 4.0], [0.0, 0.0], [1.0, 1.0]]]))


def test_an_evaluation_is_in_the_units_of_each_column() -> None:
    found = (
        objective(Constant(4, torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]])))
        .requires_grad_(False)
        .evaluate([batch()])
    )
    told = found.records["prediction"]
    assert told[0, 0].tolist() == [[100.0, 110.0, 120.0], [-5.0, -5.0, 1.0]]  # sorted, and in own units
    assert found.records["target"][0, 1].tolist() == [130.0, 3.0]
    errors = [[0, 20, 10, 0], [4, 8, 0, 2]]
    assert found.metrics["mae"] == pytest.approx(sum(map(sum, errors)) / 8)
    assert found.metrics["rmse"] == pytest.approx(math.sqrt(sum(e * e for row in errors for e in row) / 8))
    assert found.metrics["mase"] == pytest.approx((30 / 4 / 5 + 14 / 4 / 4) / 2)


def test_the_simple_rules_are_beside_it() -> None:
    records = objective(Constant(4, torch.zeros(2, 3))).requires_grad_(False).evaluate([batch()]).records
    assert records["last"].tolist() == [[[100 + 10 * 15, -5 + 2 * 14]]]
    assert records["seasonal"][0, :, 0].tolist() == [100 + 10 * x for x in (11, 13, 15, 11)]
    assert records["known"].shape == (1, 8, 2)


def test_the_loss_of_training_is_that_of_the_evaluation() -> None:
    torch.manual_seed(0)
    ours = objective(Constant(4, torch.randn(2, 3).sort(1).values))
    update = ours.loss(batch())
    assert update.loss.item() == pytest.approx(ours.requires_grad_(False).evaluate([batch()]).metrics["loss"])
    assert update.weight == 1


def test_predictions_never_cross_and_are_in_own_units() -> None:
    found = objective(Constant(4, torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]]))).predict(batch())
    assert found.shape == (1, 4, 2, 3)
    assert found[0, 2].tolist() == [[100.0, 110.0, 120.0], [-5.0, -5.0, 1.0]]


def test_it_learns_the_quantiles_of_noise() -> None:
    torch.manual_seed(0)
    ours = objective(Constant(1, torch.zeros(2, 3)))
    optimizer = torch.optim.Adam(ours.parameters(), lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        noise = torch.randn(512, 1, 2)
        ours.loss(Batch(series=torch.zeros(512, 8, 2), target=noise)).loss.backward()
        optimizer.step()
    found = ours.model.values.detach()
    torch.testing.assert_close(found, torch.tensor([[-0.6745, 0, 0.6745]] * 2), rtol=0, atol=0.12)


def test_nothing_to_evaluate_is_a_fault() -> None:
    with pytest.raises(DataError, match="no windows"):
        objective(Constant(4, torch.zeros(2, 3))).evaluate([])
