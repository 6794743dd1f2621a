"""Drawing in proportion: against a search through all numbers, and by how often each comes."""

from __future__ import annotations

import pytest
import torch

from penstock.rl.sum_tree import SumTree


@pytest.mark.parametrize("count", [1, 63, 64, 65, 5000])
def test_what_lies_where(count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    tree, numbers = SumTree(count), torch.zeros(count, dtype=torch.float64)
    for _ in range(30):
        index = torch.randint(count, (40,), generator=generator).unique()
        value = torch.randint(0, 9, (len(index),), generator=generator).double()  # whole: sums are exact
        tree.put(index, value)
        numbers[index] = value
        assert torch.equal(tree.leaves, numbers)
        assert tree.total == numbers.sum()
        if not numbers.any():
            continue
        mass = torch.rand(200, generator=generator, dtype=torch.float64) * numbers.sum()
        expected = torch.searchsorted(numbers.cumsum(0), mass, right=True)
        assert torch.equal(tree.find(mass), expected)


def test_a_zero_is_never_drawn_wherever_one_looks() -> None:
    tree = SumTree(300)
    tree.put(torch.tensor([7, 150]), torch.tensor([0.1, 0.3]))
    found = tree.find(torch.tensor([-1.0, 0.0, 0.1, 0.4, 0.4000001, 9.0], dtype=torch.float64))
    assert set(found.tolist()) == {7, 150}


def test_each_comes_as_often_as_it_is_large() -> None:
    tree, draws = SumTree(200), 40_000
    sizes = torch.rand(200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    tree.fill(sizes)
    drawn = torch.cat([tree.draw(80, torch.Generator().manual_seed(seed)) for seed in range(draws // 80)])
    expected = draws * sizes / sizes.sum()
    found = torch.bincount(drawn, minlength=200).double()
    assert ((found - expected).abs() <= 5 * expected.sqrt() + 1).all()  # equal parts vary less than this


def test_a_tree_filled_at_once_is_that_which_grew() -> None:
    generator = torch.Generator().manual_seed(4)
    grown, filled = SumTree(10_000), SumTree(10_000)
    for _ in range(200):
        index = torch.randint(10_000, (64,), generator=generator).unique()
        grown.put(index, torch.rand(len(index), generator=generator, dtype=torch.float64) ** 8 * 1e6)
    filled.fill(grown.leaves)
    assert torch.equal(grown.total, filled.total)
    mass = torch.rand(1000, generator=generator, dtype=torch.float64) * grown.total
    assert torch.equal(grown.find(mass), filled.find(mass))
