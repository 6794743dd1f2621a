"""Reading a sequence from both ends. B batch, T time, H hidden width."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn

from penstock.models.trunk import Causal, Trunk
from penstock.nn.sizes import require_dropout, require_sizes
from penstock.nn.steps import backwards


@final
class BothWays(Trunk):
    """Layers of two causal trunks, one that reads on and one that reads back: (B, T, inputs) to (B, T, 2 H).

    `make` builds a trunk of one layer for so many numbers a step. What the two of a layer give is laid side by side for
    the next; dropout acts between the layers. Each sequence is read back from its own last step, so that padding is
    never read. Schuster and Paliwal 1997, "Bidirectional recurrent neural networks".
    """

    def __init__(self, make: Callable[[int], Causal], *, inputs: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        require_sizes("BothWays", inputs=inputs, layers=layers)
        require_dropout("BothWays", dropout)
        on, back, size = [], [], inputs
        for _ in range(layers):
            on.append(make(size))
            back.append(make(size))
            size = on[-1].outputs + back[-1].outputs
        self.on, self.back = nn.ModuleList(on), nn.ModuleList(back)
        self.inputs, self.outputs = inputs, size
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(B, T, inputs) to (B, T, 2 H); steps from `lengths` (B,) on come out as 0 and change nothing before."""
        for layer, (on, back) in enumerate(zip(self.on, self.back, strict=True)):
            x = x if layer == 0 else self.dropout(x)
            read_back = backwards(back(backwards(x, lengths), lengths), lengths)
            x = torch.cat([on(x, lengths), read_back], 2)
        return x
