"""The plane in which vectors differ most. N vectors, Z their width."""

from __future__ import annotations

import torch
from torch import Tensor


def principal(vectors: Tensor, count: int = 2) -> tuple[Tensor, Tensor]:
    """Coordinates (N, `count`) on the axes along which vectors (N, Z) vary most, and the share of variance of each.

    Pearson 1901, "On lines and planes of closest fit to systems of points in space". Each axis points to where its
    largest weight is positive, so that the map does not depend on how it was worked out. Where there are fewer axes,
    the rest is 0.
    """
    away = vectors.double() - vectors.double().mean(0)
    sizes, found = torch.linalg.eigh(away.T @ away)  # the largest last
    axes, sizes = found.T.flip(0)[:count], sizes.flip(0).clamp(min=0)
    turned = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    places = away @ (axes * turned).T
    shares = sizes[:count] / sizes.sum().clamp(min=torch.finfo(torch.float64).tiny)
    missing = count - len(axes)
    return torch.nn.functional.pad(places, (0, missing)), torch.nn.functional.pad(shares, (0, missing))
