"""How far predicted numbers are from true ones; sums are taken on the CPU in float64. N examples."""

from __future__ import annotations

import math

from torch import Tensor

from penstock.core.errors import DataError


def rmse(predictions: Tensor, targets: Tensor) -> float:
    """Root of the mean squared error over all numbers of two tensors of one shape; NaN where there are none.

    Raises DataError where the shapes differ, instead of broadcasting.
    """
    predictions, targets = _pair("rmse", predictions, targets)
    return math.sqrt((predictions - targets).square().mean().item())


def mae(predictions: Tensor, targets: Tensor) -> float:
    """Mean absolute error; otherwise as `rmse`."""
    predictions, targets = _pair("mae", predictions, targets)
    return (predictions - targets).abs().mean().item()


def r2(predictions: Tensor, targets: Tensor) -> float:
    """The part of the targets' variance that is explained, (N,) or (N, outputs), then the mean over outputs.

    NaN where a target is constant or there are fewer than two examples. Raises DataError where the shapes differ.
    """
    predictions, targets = _pair("r2", predictions, targets)
    if len(targets) < 2:
        return math.nan
    residual = (targets - predictions).square().sum(0)
    total = (targets - targets.mean(0)).square().sum(0)
    constant = (targets == targets[0]).all(0)  # the rounded mean of equal numbers may differ from them
    return (1 - residual / total).masked_fill(constant, math.nan).mean().item()


def _pair(where: str, predictions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    if predictions.shape != targets.shape:
        problem = f"predictions {tuple(predictions.shape)} and targets {tuple(targets.shape)} differ in shape"
        raise DataError(where, problem, "give one prediction for each target")
    return predictions.cpu().double(), targets.cpu().double()
