"""What a policy gradient follows. B batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


class Surrogate(ABC):
    """A loss whose slope is the policy gradient where nothing has changed since the actions were chosen."""

    @abstractmethod
    def __call__(self, logprob: Tensor, before: Tensor, advantage: Tensor) -> Tensor:
        """Log-probabilities of the actions now and when they were chosen, and their advantages: all (B,)."""


@final
@dataclass(frozen=True)
class Plain(Surrogate):
    """-logprob x advantage: Williams 1992, "Simple statistical gradient-following algorithms" (REINFORCE).

    Right for actions that were chosen by the present policy: each batch of experience serves once.
    """

    def __call__(self, logprob: Tensor, before: Tensor, advantage: Tensor) -> Tensor:
        """(B,)."""
        return -logprob * advantage


@final
@dataclass(frozen=True)
class Clipped(Surrogate):
    """No reward for a probability that has changed by more than the share `clip`.

    Schulman et al. 2017, "Proximal policy optimization algorithms", equation (7): experience may serve several times.
    """

    clip: float = 0.2

    def __call__(self, logprob: Tensor, before: Tensor, advantage: Tensor) -> Tensor:
        """(B,)."""
        ratio = (logprob - before).exp()
        return -torch.minimum(ratio * advantage, ratio.clamp(1 - self.clip, 1 + self.clip) * advantage)
