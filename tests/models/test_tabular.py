"""Rows of numbers and categories."""

from __future__ import annotations

import torch
from torch import nn

from penstock.models.linear import Linear
from penstock.models.tabular import Tabular, embedding_width
from penstock.nn.numeric import Periodic


def keep(width: int) -> nn.Module:
    return nn.Identity()


def test_numbers_come_first_and_each_category_has_its_own_table() -> None:
    model = Tabular(numbers=2, cardinalities=(3, 10), body=keep)
    numbers, categories = torch.randn(4, 2), torch.tensor([[0, 9], [2, 0], [1, 1], [0, 0]])
    tables = [embedding.weight for embedding in model.embeddings]
    expected = torch.cat([numbers, tables[0][categories[:, 0]], tables[1][categories[:, 1]]], dim=1)
    torch.testing.assert_close(model(numbers, categories), expected, rtol=0, atol=0)
    assert expected.shape == (4, 2 + 2 + 5)


def test_the_body_is_built_for_the_width_that_it_gets() -> None:
    given: list[int] = []
    embedding = Periodic(features=3, frequencies=2, width=4)
    Tabular(
        numbers=3,
        cardinalities=(5, 300),
        embedding_dim=lambda n: n // 5,
        number_embedding=embedding,
        body=lambda width: given.append(width) or Linear(inputs=width, outputs=1),
    )
    assert given == [3 * 4 + 1 + 60]
    assert embedding.training


def test_embedded_numbers_are_laid_side_by_side() -> None:
    embedding = Periodic(features=3, frequencies=2, width=4)
    model = Tabular(numbers=3, cardinalities=(), number_embedding=embedding, body=keep)
    numbers = torch.randn(5, 3)
    torch.testing.assert_close(model(numbers), embedding(numbers).reshape(5, 12), rtol=0, atol=0)


def test_categories_alone_are_enough() -> None:
    model = Tabular(numbers=0, cardinalities=(4,), body=keep)
    assert model(torch.zeros(3, 0), torch.tensor([[1], [3], [0]])).shape == (3, 2)


def test_widths_follow_the_rule() -> None:
    assert [embedding_width(n) for n in (1, 2, 3, 10, 99, 100, 5000)] == [1, 1, 2, 5, 50, 50, 50]


def test_a_category_weighs_as_much_as_a_standardised_number() -> None:
    torch.manual_seed(5)
    model = Tabular(numbers=0, cardinalities=(6000,), body=keep)
    values = model.embeddings[0].weight.detach() * 50**0.5
    n = values.numel()
    assert abs(values.var() - 1) < 5 * (2 / n) ** 0.5
    assert abs(values.mean()) < 5 / n**0.5
