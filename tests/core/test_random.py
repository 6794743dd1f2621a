"""Random streams: seeds by name, numbers keyed by example (tested statistically), and the global state."""

from __future__ import annotations

import hashlib
import random
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from penstock.core.random import derive, forked, keyed_uniform, random_state, restore_random_state, seed_all
from penstock.core.tensors import load_tensors, save_tensors

KEYS = 20_000
SEED = derive(7, "augment", 3)


def draw() -> tuple[float, float, float]:
    """A number from each global generator, and from the part of its state that is easily forgotten."""
    return random.gauss(0, 1), float(np.random.normal()), float(torch.randn(()))  # noqa: NPY002


def chi_square(counts: Tensor) -> float:
    """Pearson's statistic against equal counts, in standard deviations above its mean (about normal for many bins)."""
    expected = counts.sum() / counts.numel()
    freedom = counts.numel() - 1
    return float(((counts - expected) ** 2 / expected).sum() - freedom) / (2 * freedom) ** 0.5


def test_a_derived_seed_depends_on_every_key_and_on_their_order() -> None:
    keys: list[tuple[int | str, ...]] = [*permutations([1, 2, "order"]), (1, 2), (12,), (1, 2, ""), ("图", 2), (0,), ()]
    seeds = {derive(*key) for key in keys}
    assert len(seeds) == len(keys)
    assert all(0 <= seed < 1 << 63 for seed in seeds)
    digest = hashlib.sha256(b"1\x1forder\x1f0").digest()
    assert derive(1, "order", 0) == int.from_bytes(digest[:8], "little") % (1 << 63)  # or old runs could not resume


def test_the_numbers_of_an_example_do_not_depend_on_the_batch_around_it() -> None:
    keys = torch.tensor([3, 0, 99_999, 12, 3])
    together = keyed_uniform(SEED, keys, 5)
    assert together.shape == (5, 5)
    assert together.dtype == torch.float32
    for row, key in enumerate(keys):
        torch.testing.assert_close(keyed_uniform(SEED, key[None], 5)[0], together[row], rtol=0, atol=0)
    torch.testing.assert_close(keyed_uniform(SEED, keys.flip(0).int(), 5), together.flip(0), rtol=0, atol=0)


def test_keyed_numbers_equal_splitmix64_in_unbounded_integers() -> None:
    word = (1 << 64) - 1

    def mix(value: int) -> float:
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & word
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB & word
        return ((value ^ (value >> 31)) >> 40) / 2**24

    found = keyed_uniform(SEED, torch.tensor([0, 1, 5, 2**40]), 2).double()
    for row, key in enumerate([0, 1, 5, 2**40]):
        for i in range(2):
            assert found[row, i] == mix((0x9E3779B97F4A7C15 * (2 * key + i) + SEED) & word)


def test_keyed_numbers_are_uniform_over_keys_and_over_draws() -> None:
    numbers = keyed_uniform(SEED, torch.arange(KEYS), 4).double()
    assert 0 <= float(numbers.min()) < 1e-3
    assert 1 - 1e-3 < float(numbers.max()) < 1
    for draw_ in numbers.unbind(1):
        assert abs(chi_square(torch.histc(draw_, 100, 0, 1))) < 5
        assert abs(float(draw_.mean()) - 0.5) < 5 * (1 / 12 / KEYS) ** 0.5
    assert abs(chi_square(torch.histc(numbers.sum(1) % 1, 100, 0, 1))) < 5  # the draws of one example together


def test_draws_neighbours_and_seeds_are_independent() -> None:
    numbers = keyed_uniform(SEED, torch.arange(KEYS + 1), 3).double()
    other = keyed_uniform(derive(7, "augment", 4), torch.arange(KEYS + 1), 3).double()
    pairs = {
        "two draws": (numbers[:, 0], numbers[:, 1]),
        "neighbouring examples": (numbers[:-1, 0], numbers[1:, 0]),
        "last draw and the next example's first": (numbers[:-1, 2], numbers[1:, 0]),
        "two epochs": (numbers[:, 0], other[:, 0]),
    }
    for name, (first, second) in pairs.items():
        cells = torch.bincount((first * 10).long() * 10 + (second * 10).long(), minlength=100)
        assert abs(chi_square(cells.double())) < 5, name


def test_what_is_saved_comes_back_from_a_file(tmp_path: Path) -> None:
    seed_all(3)
    draw()  # one of a pair of Gaussians is now waiting in Python's and NumPy's generators
    tensors, values = random_state()
    save_tensors(tmp_path / "随机.safetensors", tensors)
    expected = [draw() for _ in range(3)]
    seed_all(4)
    restore_random_state(load_tensors(tmp_path / "随机.safetensors"), values)
    assert [draw() for _ in range(3)] == expected


def test_one_seed_seeds_all_generators() -> None:
    seed_all(derive("big"))
    first = draw()
    second = draw()
    assert all(a != b for a, b in zip(first, second, strict=True))
    seed_all(derive("big"))
    assert draw() == first


def test_a_fork_leaves_no_trace_even_when_it_fails() -> None:
    seed_all(5)
    expected = [draw() for _ in range(2)]
    seed_all(5)
    first = draw()
    with pytest.raises(KeyError), forked():  # noqa: PT012
        draw()
        seed_all(9)
        raise KeyError
    assert [first, draw()] == expected
