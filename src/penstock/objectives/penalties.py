"""What keeps a discriminator from being too steep. B examples.

Penalties are differentiated twice, so the discriminator must be made of operations that allow it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from penstock.core.draws import Draws

Judge = Callable[[Tensor], Tensor]
"""Examples (B, ...) to their scores (B,)."""
_BETWEEN = Draws("between real and generated")


class Penalty(ABC):
    """Something added to the discriminator's loss: a mean over examples."""

    @abstractmethod
    def __call__(self, judge: Judge, real: Tensor, generated: Tensor, keys: Tensor) -> Tensor:
        """From real and generated examples (B, ...), and keys (B,) from which random numbers are drawn, to a scalar."""


@final
@dataclass(frozen=True, kw_only=True)
class GradientPenalty(Penalty):
    """`weight` times the squared distance from 1 of the slope between real and generated examples.

    Gulrajani et al. 2017, "Improved training of Wasserstein GANs", equation (3) and algorithm 1.
    """

    weight: float = 10.0

    def __call__(self, judge: Judge, real: Tensor, generated: Tensor, keys: Tensor) -> Tensor:
        """At one point of the line between each pair."""
        share = _BETWEEN.uniform(keys, *(1,) * (real.ndim - 1)).to(real.dtype)
        steepness = torch.linalg.vector_norm(slopes(judge, torch.lerp(real, generated, share)), dim=1)
        penalty: Tensor = self.weight * (steepness - 1).square().mean()
        return penalty


@final
@dataclass(frozen=True, kw_only=True)
class R1(Penalty):
    """Half of `weight` times the squared slope at real examples.

    Mescheder, Geiger and Nowozin 2018, "Which training methods for GANs do actually converge?", equation (9).
    """

    weight: float = 10.0

    def __call__(self, judge: Judge, real: Tensor, generated: Tensor, keys: Tensor) -> Tensor:
        """At the real examples."""
        return self.weight / 2 * slopes(judge, real).square().sum(1).mean()


def slopes(judge: Judge, x: Tensor) -> Tensor:
    """The gradient of each score with respect to its example, itself differentiable: (B, ...) to (B, numbers)."""
    x = x.detach().requires_grad_()
    found: Tensor = torch.autograd.grad(judge(x).sum(), x, create_graph=True)[0]
    return found.flatten(1)


@final
@dataclass(frozen=True, kw_only=True)
class ClipWeights:
    """Keeps every parameter of the discriminator within +- `bound`, after each step.

    Arjovsky, Chintala and Bottou 2017, "Wasserstein GAN", algorithm 1. In the generator's turn, weights may be beyond
    the bound by the discriminator's last update, for what lasts is changed at the end of a step.
    """

    bound: float = 0.01

    @torch.no_grad()
    def __call__(self, discriminator: nn.Module) -> None:
        """In place."""
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.bound, self.bound)
