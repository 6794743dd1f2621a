"""Temporal convolution. B batch, T time, H hidden width (channels)."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from penstock.models.trunk import Carry, Causal
from penstock.nn.initialise import normal_
from penstock.nn.sizes import require_dropout, require_given, require_sizes

RELU = math.sqrt(2)  # the gain of ReLU: He et al. 2015, equation (10)


@final
class TCN(Causal):
    """Residual blocks of two convolutions over the past: (B, T, inputs) to (B, T, width).

    The steps that a block looks at lie twice as far apart as those of the block before, so that it sees `reach` steps:
    1 + 2 (kernel - 1)(2^layers - 1). Bai, Kolter and Koltun 2018, "An empirical evaluation of generic convolutional and
    recurrent networks for sequence modeling", section 3, without weight normalisation: the blocks start small instead,
    1 / sqrt(layers) each, so that the sum of them keeps its size.
    """

    def __init__(self, *, inputs: int, width: int, layers: int = 6, kernel: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        require_sizes("TCN", inputs=inputs, width=width, layers=layers, kernel=kernel)
        require_dropout("TCN", dropout)
        self.inputs, self.outputs = inputs, width
        self.reach = 1 + 2 * (kernel - 1) * (2**layers - 1)
        self.widen = nn.Conv1d(inputs, width, 1)
        self.first = nn.ModuleList([nn.Conv1d(width, width, kernel, dilation=2**i) for i in range(layers)])
        self.second = nn.ModuleList([nn.Conv1d(width, width, kernel, dilation=2**i) for i in range(layers)])
        self.relu, self.dropout = nn.ReLU(), nn.Dropout(dropout)
        normal_(self.widen, 1.0)
        for first, second in zip(self._first(), self._second(), strict=True):
            normal_(first, RELU)
            normal_(second, 1 / math.sqrt(layers))

    def begin(self, examples: int) -> Carry:
        """The inputs of each convolution before the first step: zeros (B, H, as many as it looks back)."""
        return tuple(
            conv.weight.new_zeros(examples, self.outputs, _back(conv))
            for pair in zip(self._first(), self._second(), strict=True)
            for conv in pair
        )

    def advance(self, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The next steps (B, T, inputs): (B, T, width), and the last inputs of each convolution."""
        require_given("TCN", "numbers a step", self.inputs, x.shape[2])
        if not x.shape[1]:  # shorter than a kernel
            return x.new_zeros(len(x), 0, self.outputs), carry
        y = self.widen(x.transpose(1, 2))  # (B, H, T)
        past = iter(carry)
        kept = []
        for first, second in zip(self._first(), self._second(), strict=True):
            inner, before = _convolve(first, y, next(past))
            inner, between = _convolve(second, self.dropout(self.relu(inner)), next(past))
            y = self.relu(y + self.dropout(inner))
            kept += [before, between]
        return y.transpose(1, 2), tuple(kept)

    def _first(self) -> list[nn.Conv1d]:
        return [conv for conv in self.first if isinstance(conv, nn.Conv1d)]

    def _second(self) -> list[nn.Conv1d]:
        return [conv for conv in self.second if isinstance(conv, nn.Conv1d)]


def _back(conv: nn.Conv1d) -> int:
    """How many steps before the present one it looks at."""
    return (conv.kernel_size[0] - 1) * conv.dilation[0]


def _convolve(conv: nn.Conv1d, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
    """Steps (B, H, T) after those of the past: (B, H, T), and the past of what comes next."""
    joined = torch.cat([past.to(x.dtype), x], 2)
    return conv(joined), joined[:, :, joined.shape[2] - past.shape[2] :].to(past.dtype)
