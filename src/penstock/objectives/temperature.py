"""How much chance is worth, beside reward. B batch."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError


@final
class Temperature(nn.Module):
    """The price of entropy; with an `aim`, it is learned so that the entropy comes near that.

    Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", section 5; of the loss in its equation (18),
    the slope is taken by the logarithm, which keeps the temperature positive. Raises RecipeError for one that is not.
    """

    def __init__(self, start: float = 1.0, *, aim: float | None = None) -> None:
        super().__init__()
        if not start > 0:
            raise RecipeError("temperature", f"{start} is not positive", "give a number above 0")
        self.aim = aim
        self.logarithm = nn.Parameter(torch.tensor([math.log(start)]), requires_grad=aim is not None)

    @property
    def learned(self) -> bool:
        """Whether it is."""
        return self.aim is not None

    def forward(self) -> Tensor:
        """The temperature as it is, (1,), not to be learned from what it multiplies."""
        return self.logarithm.detach().exp()

    def loss(self, entropy: Tensor) -> Tensor:
        """From entropies (B,), or estimates of them: it rises where they are below the aim."""
        assert self.aim is not None
        return (self.logarithm * (entropy.detach() - self.aim)).mean()


def aim_for_numbers(count: int) -> float:
    """-1 nat for each number of an action: Haarnoja et al. 2018, appendix D."""
    return -float(count)


def aim_for_one_of(actions: int, share: float = 0.5) -> float:
    """A share of the entropy of not caring at all; Christodoulou 2019 takes 0.98, which leaves almost all to chance."""
    return share * math.log(actions)
