"""Whether a generator makes everything that there is: its classes, and its modes. M generated examples, K classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from penstock.core.errors import DataError


@dataclass(frozen=True, slots=True)
class ClassShares:
    """`shares` (K,) float64 of the generated examples; `entropy` in nats, at most log K, which even shares have."""

    shares: Tensor
    entropy: float


@dataclass(frozen=True, slots=True)
class Modes:
    """How many of K known modes were `found`, the share of examples `near` one, and `counts` (K,) int64 of those."""

    found: int
    near: float
    counts: Tensor


def class_shares(predicted: Tensor, classes: int) -> ClassShares:
    """Which classes a classifier sees in generated examples, from its predictions (M,) int64.

    Raises DataError for none and for a class outside 0 to `classes` - 1.
    """
    if not predicted.numel() or not 0 <= int(predicted.min()) <= int(predicted.max()) < classes:
        raise DataError("class_shares", f"no classes below {classes}", "give at least one class from 0 to K - 1")
    shares = torch.bincount(predicted.cpu(), minlength=classes).double() / len(predicted)
    return ClassShares(shares, torch.special.entr(shares).sum().item())


def modes_found(
    generated: Tensor, centres: Tensor, deviation: float, *, within: float = 3.0, least: float = 0.1
) -> Modes:
    """Which modes, normal with one standard deviation around centres (K, F), the points (M, F) reach.

    A point is near its nearest centre where it is within `within` deviations. A mode is found where it has `least` of
    its even share, M / K, of near points: a stray point is no mode.
    """
    if generated.ndim != 2 or centres.ndim != 2 or generated.shape[1] != centres.shape[1] or not len(generated):
        problem = f"points {tuple(generated.shape)} do not match centres {tuple(centres.shape)}"
        raise DataError("modes_found", problem, "give two matrices with as many columns, and at least one point")
    apart, which = torch.cdist(generated.detach().cpu().double(), centres.cpu().double()).min(1)
    near = apart <= within * deviation
    counts = torch.bincount(which[near], minlength=len(centres))
    found = int((counts >= max(least * len(generated) / len(centres), 1)).sum())
    return Modes(found, near.double().mean().item(), counts)
