"""The shortcut without parameters."""

from __future__ import annotations

import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.nn.shortcut import ZeroPadShortcut


@pytest.mark.parametrize(("height", "width", "stride"), [(8, 6, 2), (7, 9, 2), (5, 4, 1), (7, 1, 3)])
def test_pixels_are_picked_and_channels_appended(height: int, width: int, stride: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, height, width)
    out = ZeroPadShortcut(inputs=3, outputs=5, stride=stride)(x)
    like = torch.nn.functional.conv2d(x, torch.zeros(5, 3, 3, 3), stride=stride, padding=1)
    assert out.shape == like.shape
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            assert torch.equal(out[:, :3, i, j], x[:, :, i * stride, j * stride])
    assert not out[:, 3:].any()


def test_gradients() -> None:
    shortcut = ZeroPadShortcut(inputs=2, outputs=3, stride=2)
    x = torch.randn(2, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(shortcut, (x,), eps=1e-6, atol=1e-7, rtol=1e-5)
    assert list(shortcut.parameters()) == []


def test_it_cannot_narrow() -> None:
    with pytest.raises(RecipeError, match="4 outputs are fewer than 5 inputs"):
        ZeroPadShortcut(inputs=5, outputs=4, stride=1)
