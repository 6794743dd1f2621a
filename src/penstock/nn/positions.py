"""How attention, which by itself sees a set, is told the order of the steps.

B batch, T time, C channels, N heads, D channels of a head.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.nn.sizes import require_sizes

LONGEST_WAVE = 10_000.0


class Positions(nn.Module, ABC):
    """Marks steps by their place, counted from `start` for those that follow others."""

    @abstractmethod
    def forward(self, x: Tensor, start: int) -> Tensor:
        """Steps (B, T, C) with their places added, where they are added."""

    @abstractmethod
    def angles(self, x: Tensor, start: int, channels: int) -> Tensor | None:
        """By what `turned` turns queries and keys, D = `channels`, of the steps x (B, T, C), where they are turned."""


@final
class Sinusoidal(Positions):
    """Adds sines and cosines of wavelengths from 2 pi to 10,000 * 2 pi: Vaswani et al. 2017, section 3.5."""

    def forward(self, x: Tensor, start: int) -> Tensor:
        """Sines in the even channels, cosines in the odd ones."""
        channels = x.shape[2]
        angle = _angles(x, start, channels + channels % 2)  # (T, C/2)
        waves = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :channels]
        return x + waves.to(x.dtype)

    def angles(self, x: Tensor, start: int, channels: int) -> Tensor | None:
        """None."""
        return None


@final
class Learned(Positions):
    """Adds a trained vector for each of `context` places. Raises RecipeError for a longer sequence."""

    def __init__(self, *, context: int, width: int) -> None:
        super().__init__()
        require_sizes("Learned", context=context, width=width)
        self.weight = nn.Parameter(torch.randn(context, width) * 0.02)  # (T, C), small beside what it is added to

    def forward(self, x: Tensor, start: int) -> Tensor:
        """Each step with the vector of its place."""
        steps, context = start + x.shape[1], len(self.weight)
        if steps > context:
            raise RecipeError("context", f"{steps} steps where {context} places were learned", "shorten the sequence")
        return x + self.weight[start:steps]

    def angles(self, x: Tensor, start: int, channels: int) -> Tensor | None:
        """None."""
        return None


@final
class Rotary(Positions):
    """Turns pairs of channels of queries and keys by their place, so that products depend on the distance alone.

    Su et al. 2021, "RoFormer", section 3.2.2; the pairs are channels i and i + D/2.
    """

    def forward(self, x: Tensor, start: int) -> Tensor:
        """The steps as they are."""
        return x

    def angles(self, x: Tensor, start: int, channels: int) -> Tensor | None:
        """Cosines and sines (2, T, D/2). Raises RecipeError for an odd D."""
        if channels % 2:
            raise RecipeError("heads", f"{channels} channels a head make no pairs", "choose an even width of a head")
        angle = _angles(x, start, channels)
        return torch.stack([angle.cos(), angle.sin()])


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """Queries or keys (..., T, D), each pair of channels turned by its angle, from cosines and sines (2, T, D/2)."""
    cosine, sine = angles.to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def _angles(x: Tensor, start: int, channels: int) -> Tensor:
    """Places times frequencies, which fall from 1 to nearly 1 / 10,000: (T, channels / 2) float32."""
    place = torch.arange(start, start + x.shape[1], device=x.device, dtype=torch.float32)
    wave = torch.arange(0, channels, 2, device=x.device, dtype=torch.float32) / channels
    return torch.outer(place, LONGEST_WAVE**-wave)
