"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.optim.optimizer import Optimizer, Scalar


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Gradient descent with momentum, and Nesterov's look-ahead (Sutskever et al. 2013, section 2)."""

    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False

    state_names: ClassVar[Sequence[str]] = ("momentum",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("momentum", self.momentum, low=0.0, high=1.0)
        if self.nesterov and self.momentum == 0:
            raise RecipeError("optim.nesterov", "the look-ahead needs momentum", "give optim.momentum > 0")

    def move(
        self,
        parameter: Tensor,
        gradient: Tensor,
        state: Mapping[str, Tensor],
        factors: Sequence[Scalar],
        decay: float,
    ) -> None:
        """v = momentum v + g; the parameter moves along v, or along g + momentum v (Nesterov)."""
        if decay:
            gradient.add_(parameter, alpha=decay)
        if not self.momentum:
            parameter.sub_(gradient * factors[0])
            return
        velocity = state["momentum"].mul_(self.momentum).add_(gradient)
        if self.nesterov:
            parameter.sub_(gradient.add_(velocity, alpha=self.momentum) * factors[0])
        else:
            parameter.sub_(velocity * factors[0])
