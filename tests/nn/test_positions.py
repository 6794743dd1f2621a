"""Places of steps against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.nn.positions import Learned, Rotary, Sinusoidal, turned


@pytest.mark.parametrize("channels", [6, 7])
def test_sinusoidal_is_the_formula_of_the_paper(channels: int) -> None:
    given = torch.zeros(2, 5, channels)
    found = Sinusoidal()(given, 3)
    even = channels + channels % 2
    for step in range(5):
        for i in range(channels):
            angle = (step + 3) / 10_000 ** ((i - i % 2) / even)
            wanted = math.cos(angle) if i % 2 else math.sin(angle)
            assert found[1, step, i] == pytest.approx(wanted, abs=1e-5)
    assert Sinusoidal().angles(given, 0, channels) is None


def test_learned_adds_the_vector_of_each_place() -> None:
    positions = Learned(context=6, width=4)
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(positions(x, 2) - x, positions.weight[2:5].expand(2, 3, 4))
    with pytest.raises(RecipeError, match="7 steps where 6 places"):
        positions(x, 4)


def test_rotary_turns_pairs_as_complex_numbers() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 8)  # (B, N, T, D)
    angles = Rotary().angles(torch.zeros(2, 5, 24), 4, 8)
    assert angles is not None
    numbers = torch.complex(x[..., :4], x[..., 4:])
    place = torch.arange(4, 9).unsqueeze(1)
    turn = torch.polar(torch.ones(5, 4), place / 10_000 ** (torch.arange(4) / 4))
    wanted = torch.cat([(numbers * turn).real, (numbers * turn).imag], dim=-1)
    torch.testing.assert_close(turned(x, angles), wanted)


def test_rotary_products_depend_on_the_distance_alone() -> None:
    torch.manual_seed(1)
    query, key = torch.randn(1, 8).expand(20, 8), torch.randn(1, 8).expand(20, 8)
    angles = Rotary().angles(torch.zeros(1, 20, 8), 0, 8)
    assert angles is not None
    products = turned(query, angles) @ turned(key, angles).T  # (T, S)
    for distance in range(-19, 20):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-4, atol=1e-4)
    assert products[0].std() > 0.1


def test_an_odd_head_cannot_be_turned() -> None:
    with pytest.raises(RecipeError, match="5 channels a head make no pairs"):
        Rotary().angles(torch.zeros(1, 2, 10), 0, 5)
