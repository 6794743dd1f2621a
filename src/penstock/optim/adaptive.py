"""Adagrad and RMSprop: rates adapted by the size of past gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from penstock.optim.optimizer import Optimizer, Scalar


@dataclass(frozen=True, kw_only=True)
class Adagrad(Optimizer):
    """Each weight's rate shrinks with the sum of its squared gradients (Duchi, Hazan and Singer 2011, section 1.3)."""

    lr: float = 0.01
    epsilon: float = 1e-10

    state_names: ClassVar[Sequence[str]] = ("sum",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("epsilon", self.epsilon, low=0.0)

    def move(
        self,
        parameter: Tensor,
        gradient: Tensor,
        state: Mapping[str, Tensor],
        factors: Sequence[Scalar],
        decay: float,
    ) -> None:
        """The step along the gradient over the root of the sum of squares."""
        if decay:
            gradient.add_(parameter, alpha=decay)
        total = state["sum"].addcmul_(gradient, gradient)
        parameter.sub_(gradient / total.sqrt().add_(self.epsilon) * factors[0])


@dataclass(frozen=True, kw_only=True)
class RMSprop(Optimizer):
    """As Adagrad with a moving mean of squares in place of the sum (Tieleman and Hinton 2012, lecture 6.5)."""

    alpha: float = 0.99
    epsilon: float = 1e-8

    state_names: ClassVar[Sequence[str]] = ("mean",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("alpha", self.alpha, low=0.0, high=1.0)
        self.require("epsilon", self.epsilon, low=0.0)

    def move(
        self,
        parameter: Tensor,
        gradient: Tensor,
        state: Mapping[str, Tensor],
        factors: Sequence[Scalar],
        decay: float,
    ) -> None:
        """The step along the gradient over the root of the mean square."""
        if decay:
            gradient.add_(parameter, alpha=decay)
        mean = state["mean"].mul_(self.alpha).addcmul_(gradient, gradient, value=1 - self.alpha)
        parameter.sub_(gradient / mean.sqrt().add_(self.epsilon) * factors[0])
