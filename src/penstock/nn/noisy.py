"""A linear layer that explores by noise on its weights."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.nn.sizes import require_sizes


@final
class NoisyLinear(nn.Module):
    """A linear layer, (..., inputs) to (..., outputs), whose weights are drawn anew in each forward pass in training.

    Factorised Gaussian noise: Fortunato et al. 2018, "Noisy networks for exploration", equations (9) to (11), started
    as in section 3.2. How much noise helps is learned. In evaluation mode the mean weights are used. One draw serves
    all examples of a batch.
    """

    def __init__(self, inputs: int, outputs: int, *, noise: float = 0.5) -> None:
        super().__init__()
        require_sizes("NoisyLinear", inputs=inputs, outputs=outputs)
        bound, spread = 1 / math.sqrt(inputs), noise / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))
        self.weight_spread = nn.Parameter(torch.full((outputs, inputs), spread))
        self.bias_spread = nn.Parameter(torch.full((outputs,), spread))

    def forward(self, x: Tensor) -> Tensor:
        found = functional.linear(x, self.weight, self.bias)
        if not self.training:
            return found
        before, after = _shrunk(x.new_empty(x.shape[-1])), _shrunk(x.new_empty(len(self.bias)))
        # The noise of a weight is the product of its row's and its column's: no matrix of it has to be made.
        return found + after * functional.linear(x * before, self.weight_spread, self.bias_spread)


def _shrunk(noise: Tensor) -> Tensor:
    """sign(z) sqrt |z| of unit normal z."""
    noise = noise.normal_()
    return noise.sign() * noise.abs().sqrt()
