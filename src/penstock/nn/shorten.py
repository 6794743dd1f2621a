"""Fewer steps, before a network that takes long over each. B batch, T time, C channels, H hidden width."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import final

from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.nn.initialise import normal_
from penstock.nn.sizes import require_sizes
from penstock.nn.steps import within


class Front(nn.Module, ABC):
    """What makes fewer steps of many: (B, T, ...) to (B, T', width)."""

    @abstractmethod
    def steps(self, lengths: Tensor) -> Tensor:
        """How many steps are left of so many, (B,) to (B,)."""

    @abstractmethod
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`lengths` (B,): how many of the T steps are real; the others change nothing."""


@final
class Shorten(Front):
    """Convolutions over 3 steps that each leave every second one, then ReLU: (B, T, inputs) to (B, T / stride, width).

    `stride` is 2, 4, 8, ...; T is rounded up. Padding stays zero on the way, so that it changes nothing.
    """

    def __init__(self, *, inputs: int, width: int, stride: int = 2) -> None:
        super().__init__()
        require_sizes("Shorten", inputs=inputs, width=width)
        times = stride.bit_length() - 1
        if stride != 2**times or times < 1:
            raise RecipeError("Shorten", f"stride is {stride}", "give 2, 4, 8, ...")
        self.convolutions = nn.ModuleList(
            [nn.Conv1d(size, width, 3, stride=2, padding=1) for size in [inputs] + [width] * (times - 1)]
        )
        self.relu = nn.ReLU()
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv1d)
            normal_(convolution, math.sqrt(2))

    def steps(self, lengths: Tensor) -> Tensor:
        """How many steps are left of so many, (B,) to (B,)."""
        for _ in self.convolutions:
            lengths = (lengths + 1) // 2
        return lengths

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`lengths` (B,): how many of the T steps are real."""
        for convolution in self.convolutions:
            if lengths is not None:
                x = x * within(lengths, x.shape[1]).unsqueeze(2)
                lengths = (lengths + 1) // 2
            x = self.relu(convolution(x.transpose(1, 2))).transpose(1, 2)
        return x
