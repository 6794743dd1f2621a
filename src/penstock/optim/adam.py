"""Adam, and AdamW with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from penstock.optim.optimizer import Optimizer, Scalar


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adaptive moments (Kingma and Ba 2015, algorithm 1); weight decay is L2, added to the gradient."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    state_names: ClassVar[Sequence[str]] = ("moment1", "moment2")
    decoupled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("beta1", self.beta1, low=0.0, high=1.0)
        self.require("beta2", self.beta2, low=0.0, high=1.0)
        self.require("epsilon", self.epsilon, low=0.0)

    def factors(self, step: Scalar, lr: Scalar) -> Sequence[Scalar]:
        """The rate, the rate over the first moment's bias, and the root of the second's."""
        return lr, lr / (1 - self.beta1**step), (1 - self.beta2**step) ** 0.5

    def move(
        self,
        parameter: Tensor,
        gradient: Tensor,
        state: Mapping[str, Tensor],
        factors: Sequence[Scalar],
        decay: float,
    ) -> None:
        """The step along the bias-corrected first moment over the root of the second."""
        lr, rate, correction = factors
        if decay and self.decoupled:
            parameter.mul_(1 - lr * decay)
        elif decay:
            gradient.add_(parameter, alpha=decay)
        moment1 = state["moment1"].lerp_(gradient, 1 - self.beta1)
        moment2 = state["moment2"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        root = moment2.sqrt().div_(correction).add_(self.epsilon)
        parameter.sub_(moment1 / root * rate)


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2)."""

    weight_decay: float = 0.01
    decoupled: ClassVar[bool] = True
