"""How much of an example is left as noise is added to it step by step. B batch, T steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.nn.sizes import require_sizes

MOST = 0.999
"""No step replaces more of the variance than this (Nichol and Dhariwal 2021, section 3.2)."""


class NoiseSchedule(nn.Module):
    """`signal` (T,) is the share of variance that is still the example's after step t, counted from 0.

    x_t = sqrt(signal) x_0 + sqrt(1 - signal) noise: Ho et al. 2020, "Denoising diffusion probabilistic models",
    equation (4), where it is called alpha-bar.
    """

    signal: Tensor

    def __init__(self, betas: Tensor) -> None:
        super().__init__()
        if not bool(((betas > 0) & (betas < 1)).all()):
            raise RecipeError(
                "NoiseSchedule", "a step adds no noise, or nothing but noise", "give shares within 0 and 1"
            )
        self.steps = len(betas)
        signal = (-betas.double()).log1p().cumsum(0).exp()
        self.register_buffer("signal", signal.float(), persistent=False)

    def noised(self, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t (B, ...) of x_0 and noise of the same shape after steps t (B,) int64."""
        share = self.signal[t].view(-1, *[1] * (x.ndim - 1))
        return share.sqrt().to(x.dtype) * x + (1 - share).sqrt().to(x.dtype) * noise


def linear_schedule(steps: int = 1000) -> NoiseSchedule:
    """The share that a step replaces grows linearly: Ho et al. 2020, section 4, for any number of steps."""
    require_sizes("linear_schedule", steps=steps)
    scale = 1000 / steps
    return NoiseSchedule(torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64).clamp(max=MOST))


def cosine_schedule(steps: int = 1000) -> NoiseSchedule:
    """The signal falls as a squared cosine: Nichol and Dhariwal 2021, "Improved denoising diffusion", equation (17)."""
    require_sizes("cosine_schedule", steps=steps)
    times = torch.arange(steps + 1, dtype=torch.float64) / steps
    signal = ((times + 0.008) / 1.008 * math.pi / 2).cos().square()
    return NoiseSchedule((1 - signal[1:] / signal[:-1]).clamp(max=MOST))
