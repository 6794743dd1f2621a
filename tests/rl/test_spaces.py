"""Spaces: what belongs to them, what is drawn from them, and what is refused."""

from __future__ import annotations

import json
import math

import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.rl.spaces import Box, Discrete, Space, space_from

MANY = 20_000


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_whole_numbers() -> None:
    space = Discrete(3)
    assert space.shape == ()
    assert space.dtype == torch.int64
    assert space.contains(torch.tensor([-1, 0, 2, 3])).tolist() == [False, True, True, False]
    drawn = space.sample(MANY, generator())
    assert space.contains(drawn).all()
    counts = torch.bincount(drawn).double()
    assert ((counts - MANY / 3).abs() < 5 * math.sqrt(MANY * 2 / 9)).all()


def test_bounds_of_each_number() -> None:
    space = Box((2,), (-1.0, 0.0), (1.0, math.inf))
    inside = torch.tensor([[1.0, 0.0], [1.1, 0.0], [0.0, -0.1], [0.0, math.inf], [math.nan, 1.0]])
    assert space.contains(inside).tolist() == [True, False, False, True, False]


def test_numbers_at_random_lie_within_their_bounds() -> None:
    inf = math.inf
    space = Box((4,), (-2.0, 1.0, -inf, -inf), (3.0, inf, -1.0, inf))
    drawn = space.sample(MANY, generator()).double()
    assert space.contains(drawn.float()).all()
    mean, variance = torch.tensor([0.5, 2.0, -2.0, 0.0]), torch.tensor([25 / 12, 1.0, 1.0, 1.0])
    assert ((drawn.mean(0) - mean).abs() < 5 * (variance / MANY).sqrt()).all()


@pytest.mark.parametrize(
    "space", [Discrete(3), Box((2, 1), (-1.0, -math.inf), 0.1), Box((1, 2), 0, 255, torch.uint8), Box((4,))]
)
def test_it_comes_back_from_json(space: Space) -> None:
    assert space_from(json.loads(json.dumps(space.to_json(), allow_nan=False))) == space


def test_bytes_reach_both_bounds() -> None:
    drawn = Box((1, 2), 0, 255, torch.uint8).sample(MANY, generator())
    assert drawn.dtype == torch.uint8
    assert drawn.shape == (MANY, 1, 2)
    assert (int(drawn.min()), int(drawn.max())) == (0, 255)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Discrete(0), "has 0 values"),
        (lambda: Box((2,), (0.0,), 1.0), "low has 1 numbers"),
        (lambda: Box((2,), 0.0, (1.0, -1.0)), "a lower bound is above"),
    ],
)
def test_refused(make: object, text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        make()  # type: ignore[operator]
