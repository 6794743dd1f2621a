"""Classes and modes that a generator reaches, counted where the answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from penstock.core.errors import DataError
from penstock.metrics.modes import class_shares, modes_found


def ring(modes: int) -> Tensor:
    angle = torch.arange(modes) * (2 * torch.pi / modes)
    return torch.stack([angle.cos(), angle.sin()], 1)


def test_class_shares() -> None:
    found = class_shares(torch.tensor([0, 0, 2, 2]), 4)
    assert found.shares.tolist() == [0.5, 0, 0.5, 0]
    assert found.entropy == pytest.approx(math.log(2))
    assert class_shares(torch.arange(10), 10).entropy == pytest.approx(math.log(10))
    assert class_shares(torch.full((5,), 3), 10).entropy == 0
    with pytest.raises(DataError, match="class_shares"):
        class_shares(torch.tensor([10]), 10)


def test_modes_of_a_ring() -> None:
    torch.manual_seed(0)
    centres = ring(8)
    points = centres.repeat(500, 1) + 0.05 * torch.randn(4000, 2)
    found = modes_found(points, centres, 0.05)
    assert found.found == 8
    assert found.near == pytest.approx(1 - math.exp(-4.5), abs=0.01)  # the Rayleigh distribution at 3
    assert found.counts.sum() == round(found.near * 4000)


def test_collapsed_strayed_and_between() -> None:
    centres = ring(8)
    one = modes_found(centres[:1].expand(100, -1), centres, 0.05)
    assert (one.found, one.near, one.counts.tolist()) == (1, 1.0, [100, 0, 0, 0, 0, 0, 0, 0])
    stray = modes_found(torch.cat([centres[:1].expand(792, -1), centres]), centres, 0.05)
    assert (stray.found, stray.near) == (1, 1.0)  # one point of 800 is less than a tenth of 100
    middle = modes_found(torch.zeros(10, 2), centres, 0.05)
    assert (middle.found, middle.near) == (0, 0.0)
