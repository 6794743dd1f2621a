"""Prices to trade at: what a series of them is, and markets that are made up, so that it is known what is in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from penstock.core.errors import DataError
from penstock.core.random import derive


@final
@dataclass(frozen=True)
class Prices:
    """The closing price of each day, (D,) float64, and how much was traded, (D,) float64, where that is known.

    Raises DataError for a price that is not above 0, or a volume below it, naming the row.
    """

    close: Tensor
    volume: Tensor | None = None

    def __post_init__(self) -> None:
        for name, series, least in (("price", self.close, "above 0"), ("volume", self.volume, "0 or more")):
            if series is None:
                continue
            bad = ~series.isfinite() | ((series <= 0) if name == "price" else (series < 0))
            if bad.any():
                row = int(bad.nonzero()[0, 0])
                problem = f"{name} {series[row].item():g} in row {row + 1}, where it should be {least}"
                raise DataError("prices", problem, "mend or leave out that row")
            if len(series) != len(self.close):
                raise DataError("prices", f"{len(series)} volumes of {len(self.close)} prices", "give one for each day")

    def __len__(self) -> int:
        return len(self.close)


@final
@dataclass(frozen=True)
class Reversion:
    """A made-up market whose price is drawn back to where it belongs: so much is its rule, and that can be earned.

    `gap` (D,) is how far the logarithm of the price is above its level: of it the share `pull` is gone by the next day,
    and noise of the deviation `noise` comes in. It is an Ornstein-Uhlenbeck process seen once a day.
    """

    prices: Prices
    gap: Tensor
    pull: float
    noise: float

    def target(self, band: float) -> Tensor:
        """What one who knows the gap holds at the end of each day (D,): all below -band, nothing above it, else NaN.

        NaN means to change nothing. The band keeps the costs of trading down.
        """
        unchanged = torch.full_like(self.gap, math.nan)
        return torch.where(self.gap < -band, 1.0, torch.where(self.gap > band, 0.0, unchanged))


def reversion(days: int, *, seed: int, pull: float = 0.2, noise: float = 0.02) -> Reversion:
    """A market with a planted rule; volumes are noise."""
    generator = torch.Generator().manual_seed(derive(seed, "market", "reversion"))
    shocks = (torch.randn(days, generator=generator, dtype=torch.float64) * noise).tolist()
    gap = [shocks[0] / math.sqrt(pull * (2 - pull))]  # as far away as it is on average
    for shock in shocks[1:]:
        gap.append((1 - pull) * gap[-1] + shock)
    found = torch.tensor(gap, dtype=torch.float64)
    return Reversion(Prices(100 * found.exp(), _volumes(days, generator)), found, pull, noise)


def random_walk(days: int, *, seed: int, noise: float = 0.02) -> Prices:
    """A market in which nothing can be earned but by chance: what is expected of tomorrow's price is today's."""
    generator = torch.Generator().manual_seed(derive(seed, "market", "walk"))
    shocks = torch.randn(days, generator=generator, dtype=torch.float64) * noise
    return Prices(100 * (shocks - noise**2 / 2).cumsum(0).exp(), _volumes(days, generator))


def _volumes(days: int, generator: torch.Generator) -> Tensor:
    return 1e6 * (torch.randn(days, generator=generator, dtype=torch.float64) * 0.3).exp()
