"""How far forecasts are from what came. N windows, F steps ahead, K columns, Q levels."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def pinball(quantiles: Tensor, targets: Tensor, levels: Tensor) -> Tensor:
    """The mean loss of quantiles (N, F, K, Q) of levels (Q,) for targets (N, F, K): a scalar.

    At level q a truth above weighs q, a truth below 1 - q, so that the best constant is the quantile. Koenker and
    Bassett 1978, "Regression quantiles".
    """
    above = targets.unsqueeze(3) - quantiles
    return torch.maximum(levels * above, (levels - 1) * above).mean()


def mase(errors: Tensor, naive: Tensor) -> float:
    """The mean absolute error (N, F, K) relative to `naive` (K,), that of a simple rule in training, over all columns.

    Columns whose naive error is zero are left out; NaN where none is left. Hyndman and Koehler 2006, "Another look at
    measures of forecast accuracy".
    """
    sound = naive > 0
    return float((errors.abs().mean((0, 1))[sound] / naive[sound]).mean()) if sound.any() else math.nan
