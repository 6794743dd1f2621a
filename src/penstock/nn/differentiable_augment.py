"""Changes of pictures through which gradients flow, for discriminators of little data. B batch, C channels, H W size.

Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training", section 4 and its program: colour,
translation and cutout, made to real and to generated pictures alike. Pictures are in [-1, 1]. Each example's numbers
come from its key, so that parts of a batch are changed as the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from penstock.core.draws import Draws

Change = Callable[[Tensor, Tensor], Tensor]
"""Pictures (B, C, H, W), and uniform numbers (B, `DRAWS`), to pictures."""
DRAWS = 3


def colour(x: Tensor, draws: Tensor) -> Tensor:
    """Brightness up or down by at most half, saturation by at most all, contrast by a factor of 0.5 to 1.5."""
    brightness, saturation, contrast = (draws[:, i].to(x.dtype).view(-1, 1, 1, 1) for i in range(3))
    x = x + (brightness - 0.5)
    if x.shape[1] > 1:
        grey = x.mean(1, keepdim=True)
        x = (x - grey) * (saturation * 2) + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


@dataclass(frozen=True, kw_only=True)
class Translate:
    """Moves by at most `share` of the size each way; what comes in is 0."""

    share: float = 0.125

    def __call__(self, x: Tensor, draws: Tensor) -> Tensor:
        """(B, C, H, W) and (B, DRAWS) to (B, C, H, W)."""
        rows, inside_rows = self._places(x.shape[2], draws[:, 0])  # (B, H)
        columns, inside_columns = self._places(x.shape[3], draws[:, 1])  # (B, W)
        places = (rows.unsqueeze(2) * x.shape[3] + columns.unsqueeze(1)).flatten(1)  # (B, H W)
        inside = (inside_rows.unsqueeze(2) & inside_columns.unsqueeze(1)).unsqueeze(1)  # (B, 1, H, W)
        moved = x.flatten(2).gather(2, places.unsqueeze(1).expand(-1, x.shape[1], -1)).view_as(x)
        return moved * inside

    def _places(self, size: int, draw: Tensor) -> tuple[Tensor, Tensor]:
        """From where each row comes, and whether there is such a row."""
        most = int(size * self.share + 0.5)
        shift = (draw * (2 * most + 1)).long() - most
        places = torch.arange(size, device=draw.device) - shift.unsqueeze(1)
        return places.clamp(0, size - 1), (places >= 0) & (places < size)


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """Sets a rectangle of `share` of the height and the width to 0; it may reach over the border."""

    share: float = 0.5

    def __call__(self, x: Tensor, draws: Tensor) -> Tensor:
        """(B, C, H, W) and (B, DRAWS) to (B, C, H, W)."""
        rows, columns = self._inside(x.shape[2], draws[:, 0]), self._inside(x.shape[3], draws[:, 1])
        return x * ~(rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1)

    def _inside(self, size: int, draw: Tensor) -> Tensor:
        """Which rows are in the rectangle: (B, size) bool."""
        cut = int(size * self.share + 0.5)
        middle = (draw * (size + 1 - cut % 2)).long().unsqueeze(1)
        places = torch.arange(size, device=draw.device)
        return (places >= middle - cut // 2) & (places < middle - cut // 2 + cut)


class DifferentiableAugment:
    """Some changes, one after the other; none leaves the pictures as they are."""

    def __init__(self, changes: Sequence[Change] = (colour, Translate(), Cutout())) -> None:
        self.changes = tuple(changes)

    def __call__(self, x: Tensor, keys: Tensor, draws: Draws) -> Tensor:
        """Pictures (B, C, H, W) with keys (B,) to pictures of the same shape."""
        if not self.changes:
            return x
        numbers = draws.uniform(keys, len(self.changes), DRAWS)
        for place, change in enumerate(self.changes):
            x = change(x, numbers[:, place])
        return x
