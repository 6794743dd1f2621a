"""Spectrograms, before a network that takes long over each step. B batch, T time, C channels, M bands, H width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.nn.initialise import normal_
from penstock.nn.shorten import Front
from penstock.nn.sizes import require_sizes
from penstock.nn.steps import within


@final
class Listen(Front):
    """Convolutions over time and bands, then all bands of a step together: (B, T, bands) to (B, T / stride, width).

    Each halves the bands; the first one or two also halve the steps, for a `stride` of 2 or 4, rounded up. Every step
    is normalised on its own over channels and bands, so that neither padding nor the rest of the batch makes a
    difference. After Amodei et al. 2016, "Deep Speech 2", sections 3.1 to 3.3.
    """

    def __init__(self, *, bands: int, width: int, channels: Sequence[int] = (16, 32), stride: int = 4) -> None:
        super().__init__()
        require_sizes("Listen", bands=bands, width=width)
        if stride not in [2**times for times in range(len(channels) + 1)]:
            raise RecipeError("Listen", f"stride is {stride}", f"give 1, 2, ... up to {2 ** len(channels)}")
        self.strides = [2 if 2**number < stride else 1 for number in range(len(channels))]
        sizes = [1, *channels]
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for before, after, step in zip(sizes, channels, self.strides):
            bands = -(-bands // 2)
            convolution = nn.Conv2d(before, after, 3, stride=(step, 2), padding=1)
            normal_(convolution, 1.0)
            self.convolutions.append(convolution)
            self.norms.append(nn.LayerNorm((after, bands)))
        self.relu = nn.ReLU()
        self.together = nn.Linear(sizes[-1] * bands, width)
        normal_(self.together, math.sqrt(2))

    def steps(self, lengths: Tensor) -> Tensor:
        """How many steps are left of so many, (B,) to (B,)."""
        for step in self.strides:
            lengths = (lengths + step - 1) // step
        return lengths

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`lengths` (B,): how many of the T steps are real."""
        x = x.unsqueeze(1)  # (B, 1, T, M)
        for convolution, norm, step in zip(self.convolutions, self.norms, self.strides):
            if lengths is not None:
                x = x * within(lengths, x.shape[2])[:, None, :, None]
                lengths = (lengths + step - 1) // step
            x = self.relu(norm(convolution(x).transpose(1, 2)).transpose(1, 2))
        found: Tensor = self.together(x.transpose(1, 2).flatten(2))
        return found
