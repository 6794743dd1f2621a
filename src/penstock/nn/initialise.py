"""Weights drawn so that signals keep their size from layer to layer."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from penstock.core.errors import RecipeError


def activation_gain(activation: Callable[[], nn.Module]) -> float:
    """1 / sqrt(E[f(z)^2]) for z of the unit normal: weights times this keep the size of a signal that went through f.

    The argument of He et al. 2015, "Delving deep into rectifiers", equations (5) to (10), for any elementwise f:
    sqrt(2) for ReLU, as there, 1.59 for tanh, 1 for the identity. It holds for a signal of any size where f scales with
    its input, as ReLU does, and near size 1 elsewhere. Raises RecipeError where f lets nothing through.
    """
    grid = torch.linspace(-8.0, 8.0, 4001)  # symmetric and fine: the sum is the integral to float32 accuracy
    with torch.no_grad():
        square = float((torch.softmax(-grid.square() / 2, 0) * activation()(grid).square()).sum())
    if not (math.isfinite(square) and square > 0):
        raise RecipeError("activation", f"its mean square on unit normal input is {square}", "choose another")
    return 1 / math.sqrt(square)


def normal_(layer: nn.Linear | nn.Conv1d | nn.Conv2d, gain: float) -> None:
    """Normal weights of variance gain^2 / inputs of a unit (He et al. 2015, equation (10)); a bias of zero."""
    inputs = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain / math.sqrt(inputs))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def orthogonal_(layer: nn.Linear | nn.Conv2d, gain: float) -> None:
    """Weights that turn and stretch by `gain` (Saxe et al. 2014, "Exact solutions to the nonlinear dynamics of learning
    in deep linear neural networks"); a bias of zero. Policies learn faster so (Andrychowicz et al. 2021, "What matters
    for on-policy deep actor-critic methods?", section 3.2)."""
    nn.init.orthogonal_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
