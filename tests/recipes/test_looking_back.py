"""How far back a trained network looks, for the report."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from penstock.core.batch import Batch
from penstock.models.horizon import gradients_through_time
from penstock.models.sequence import gru, lstm
from penstock.recipes.looking_back import look_back


def test_it_is_that_of_the_trunk_on_the_first_sequences() -> None:
    torch.manual_seed(0)
    net = lstm(vocabulary=9, outputs=2, width=6, pooled=True, dropout=0.5)
    batch = Batch(tokens=torch.randint(9, (20, 12)), tokens_length=torch.tensor([12, 5] * 10))
    found = look_back(net, ["tokens", "tokens_length"], iter([batch, batch]))["memory"]
    embedded = net.front(batch["tokens"][:16])
    expected = gradients_through_time(net.trunk, embedded, batch["tokens_length"][:16])
    assert found["norms"] == pytest.approx(expected.tolist())
    assert found["steps"] == 12
    assert net.training
    assert all(p.grad is None for p in net.parameters())


def test_where_there_is_no_trunk_or_no_time_there_is_nothing() -> None:
    batch = Batch(x=torch.randn(4, 2, 3))
    assert look_back(nn.Linear(3, 1), ["x"], [batch]) == {}
    assert look_back(gru(features=3, outputs=1, pooled=True), ["x"], [batch]) == {}
    assert look_back(gru(features=3, outputs=1, pooled=True), ["x"], []) == {}
