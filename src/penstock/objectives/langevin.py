"""Examples found by a discriminator alone: by steps on the input towards higher scores, with noise. B examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import final

import torch
from torch import Tensor

from penstock.core.draws import Draws

Start = Callable[[Tensor, Tensor], Tensor]
"""Where chains begin: from real examples (B, ...) and keys (B,) to examples (B, ...)."""
_NOISE = Draws("where chains begin")


@final
@dataclass(frozen=True, kw_only=True)
class Langevin:
    """`steps` steps of x + rate * slope of the score + noise of a deviation of `noise`, within +- `bound`.

    Welling and Teh 2011, "Bayesian learning via stochastic gradient Langevin dynamics", whose noise would be the root
    of twice the rate; as in Nijkamp et al. 2019, "On the anatomy of MCMC-based maximum likelihood learning of
    energy-based models", section 3, the two are chosen apart. A slope is shortened to `longest` numbers each.
    """

    steps: int = 40
    rate: float = 1.0
    noise: float = 0.01
    bound: float = 1.0
    longest: float = 0.1

    def __call__(self, judge: Callable[[Tensor], Tensor], start: Tensor, keys: Tensor) -> Tensor:
        """From examples (B, ...) to others; no gradient flows back through the steps."""
        x = start.detach()
        for step in range(self.steps):
            with torch.enable_grad():
                place = x.detach().requires_grad_()
                slope: Tensor = torch.autograd.grad(judge(place).sum(), place)[0]
            moved = x + self.rate * slope.clamp(-self.longest, self.longest)
            x = (moved + self.noise * _draws(step).normal(keys, *x.shape[1:]).to(x.dtype)).clamp(
                -self.bound, self.bound
            )
        return x


def from_noise(real: Tensor, keys: Tensor) -> Tensor:
    """Uniform in [-1, 1): short chains from nowhere (Nijkamp et al. 2019), the way one samples later, too."""
    return 2 * _NOISE.uniform(keys, *real.shape[1:]).to(real.dtype) - 1


def from_data(real: Tensor, keys: Tensor) -> Tensor:
    """The real examples themselves: contrastive divergence (Hinton 2002, "Training products of experts")."""
    return real


@cache
def _draws(step: int) -> Draws:
    return Draws(f"langevin {step}")
