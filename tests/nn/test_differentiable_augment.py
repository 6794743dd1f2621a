"""Changes of pictures against loops over pixels; gradients flow through them; parts are changed as the whole."""

from __future__ import annotations

import pytest
import torch

from penstock.core.draws import Draws, keys_of
from penstock.nn.differentiable_augment import Cutout, DifferentiableAugment, Translate, colour

KEYS = keys_of(0, torch.arange(6))


def pictures(channels: int = 3) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(6, channels, 8, 10, dtype=torch.float64)


def test_colour_with_draws_in_the_middle_is_nothing_and_at_the_ends_is_known() -> None:
    x = pictures()
    torch.testing.assert_close(colour(x, torch.full((6, 3), 0.5)), x)
    brighter = colour(x, torch.tensor([[1.0, 0.5, 0.5]]).expand(6, -1))
    torch.testing.assert_close(brighter, x + 0.5)
    grey = colour(x, torch.tensor([[0.5, 0.0, 0.5]]).expand(6, -1))
    torch.testing.assert_close(grey, x.mean(1, keepdim=True).expand_as(x))
    mean = x.mean((1, 2, 3), keepdim=True)
    flat = colour(x, torch.tensor([[0.5, 0.5, 0.0]]).expand(6, -1))
    torch.testing.assert_close(flat, (x + mean) / 2)


def test_colour_of_grey_pictures_leaves_saturation_out() -> None:
    x = pictures(1)
    torch.testing.assert_close(colour(x, torch.tensor([[0.5, 0.0, 0.5]]).expand(6, -1)), x)


@pytest.mark.parametrize(("draws", "down", "right"), [((0.5, 0.5), 0, 0), ((0.0, 0.99), -2, 3), ((0.99, 0.0), 2, -3)])
def test_translation_pixel_by_pixel(draws: tuple[float, float], down: int, right: int) -> None:
    x = pictures()
    made = Translate(share=0.25)(x, torch.tensor([[*draws, 0.0]]).expand(6, -1))
    expected = torch.zeros_like(x)
    for i in range(8):
        for j in range(10):
            if 0 <= i - down < 8 and 0 <= j - right < 10:
                expected[:, :, i, j] = x[:, :, i - down, j - right]
    torch.testing.assert_close(made, expected)


def test_cutout_takes_a_rectangle_out() -> None:
    made = Cutout(share=0.5)(torch.ones(6, 2, 8, 10), torch.tensor([[0.5, 0.5, 0.0]]).expand(6, -1))
    assert (made == 0).sum() == 6 * 2 * 4 * 5
    rows, columns = (made[0, 0] == 0).any(1), (made[0, 0] == 0).any(0)
    assert (int(rows.sum()), int(columns.sum())) == (4, 5)
    corner = Cutout(share=0.5)(torch.ones(1, 1, 8, 10), torch.zeros(1, 3))
    assert 0 < (corner == 0).sum() < 20  # half of it is beyond the border


def test_draws_reach_every_place_of_the_rectangle() -> None:
    line = torch.linspace(0, 0.999, 30)
    draws = torch.cartesian_prod(line, line, line[:1])
    kept = Cutout(share=0.5)(torch.ones(900, 1, 8, 10), draws)
    assert ((kept == 0).any(0)).all()
    moved = Translate(share=0.25)(torch.ones(900, 1, 8, 10), draws)
    assert (moved[:, 0, 4, 5] == 1).all()


def test_together_and_in_parts_and_differentiable() -> None:
    augment, draws, x = DifferentiableAugment(), Draws("test"), pictures().requires_grad_()
    whole = augment(x, KEYS, draws)
    parts = [augment(x[i : i + 2], KEYS[i : i + 2], draws) for i in (0, 2, 4)]
    torch.testing.assert_close(torch.cat(parts), whole)
    assert not torch.allclose(whole, x)
    assert torch.autograd.gradcheck(lambda x: augment(x, KEYS, draws), x, eps=1e-6, atol=1e-7, rtol=1e-5)
    assert torch.autograd.gradgradcheck(
        lambda x: augment(x, KEYS[:1], draws).square(), x[:1, :1, :4, :4].detach().requires_grad_(), atol=1e-6
    )


def test_no_changes_leave_pictures_as_they_are() -> None:
    x = pictures()
    assert DifferentiableAugment(())(x, KEYS, Draws("test")) is x
