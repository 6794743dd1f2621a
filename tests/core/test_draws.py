"""Numbers drawn by example: the same alone as among others, and distributed as they should be."""

from __future__ import annotations

import math

import torch

from penstock.core.draws import Draws, keys_of

MANY = 20_000


def test_keys_are_of_the_example_and_the_seed() -> None:
    examples = torch.arange(MANY)
    keys = keys_of(5, examples)
    assert len(keys.unique()) == MANY
    assert 0 <= int(keys.min()) <= int(keys.max()) < 1 << 48
    assert torch.equal(keys_of(5, examples[[7, 3]]), keys[[7, 3]])
    assert not (keys_of(6, examples) == keys).any()


def test_an_example_draws_the_same_alone_and_among_others() -> None:
    keys, draws = keys_of(0, torch.arange(10)), Draws("test")
    for how in (draws.normal, draws.uniform):
        whole = how(keys, 3, 5)
        assert whole.shape == (10, 3, 5)
        assert torch.equal(torch.cat([how(part, 3, 5) for part in keys.split(3)]), whole)
        assert not torch.equal(whole[0], whole[1])


def test_purposes_are_apart() -> None:
    keys = keys_of(0, torch.arange(MANY))
    one, other = Draws("one").normal(keys, 1)[:, 0], Draws("other").normal(keys, 1)[:, 0]
    assert torch.equal(one, Draws("one").normal(keys, 1)[:, 0])
    assert abs((one * other).mean()) < 5 / math.sqrt(MANY)


def test_normal_numbers_are_normal_and_independent() -> None:
    drawn = Draws("codes").normal(keys_of(1, torch.arange(MANY)), 6).double()
    assert drawn.mean(0).abs().max() < 5 / math.sqrt(MANY)
    assert (drawn.T.cov() - torch.eye(6)).abs().max() < 5 * math.sqrt(2 / MANY)
    kurtosis = drawn.pow(4).mean()
    assert abs(kurtosis - 3) < 5 * math.sqrt(96 / drawn.numel())
    cells = torch.special.ndtr(drawn.flatten()).mul(50).long().bincount(minlength=50)
    expected = drawn.numel() / 50
    assert float(((cells - expected) ** 2 / expected).sum()) < 49 + 5 * math.sqrt(98)


def test_an_odd_count_and_one_number() -> None:
    keys = keys_of(0, torch.arange(4))
    assert Draws("a").normal(keys, 3).shape == (4, 3)
    assert Draws("a").uniform(keys, 1, 1, 1).shape == (4, 1, 1, 1)
    assert Draws("a").normal(keys[:0], 3).shape == (0, 3)
