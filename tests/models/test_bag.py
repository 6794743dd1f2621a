"""The bag of tokens against sums by hand, whatever the padding and the order."""

from __future__ import annotations

import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.models.bag import Bag


def test_mean_and_largest_by_hand() -> None:
    torch.manual_seed(0)
    model = Bag(outputs=3, vocabulary=9, width=5).double()
    x = torch.tensor([[4, 7, 2, 0], [3, 0, 0, 0]])
    found = model(x, torch.tensor([3, 1]))
    rows = [model.embedding.weight[[4, 7, 2]], model.embedding.weight[[3]]]
    pooled = torch.stack([torch.cat([row.mean(0), row.max(0).values]) for row in rows])
    torch.testing.assert_close(found, model.head(pooled))


def test_order_and_padding_change_nothing() -> None:
    torch.manual_seed(0)
    model = Bag(outputs=3, vocabulary=9, width=5).double().eval()
    x = torch.tensor([[4, 7, 2]])
    plain = model(x)
    torch.testing.assert_close(plain, model(x.flip(1)))
    torch.testing.assert_close(plain, model(torch.tensor([[4, 7, 2, 5, 5]]), torch.tensor([3])))


def test_nothing_is_zeros() -> None:
    model = Bag(outputs=2, vocabulary=4, width=3)
    x = torch.zeros(2, 3, dtype=torch.int64)
    torch.testing.assert_close(model(x, torch.tensor([0, 0])), model.head.bias.expand(2, 2))
    assert model(x[:, :0]).isfinite().all()


def test_dropout_leaves_out_whole_tokens_and_survives_where_all_are_gone() -> None:
    torch.manual_seed(0)
    model = Bag(outputs=2, vocabulary=4, width=3, dropout=0.9)
    x = torch.ones(64, 2, dtype=torch.int64)
    found = model(x, torch.full((64,), 2))
    assert found.isfinite().all()
    found.sum().backward()
    assert model.embedding.weight.grad is not None
    assert model.embedding.weight.grad.isfinite().all()
    assert (model.embedding.weight.grad[0] == 0).all()


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(RecipeError, match="width"):
        Bag(outputs=2, vocabulary=4, width=0)
