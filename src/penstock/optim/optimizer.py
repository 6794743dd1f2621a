"""What every optimizer is: numbers chosen once, and an update rule in place on flat tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.optim.schedules import Constant, Schedule

Scalar = float | Tensor


@dataclass(frozen=True, kw_only=True)
class Optimizer(ABC):
    """A first-order update rule. It is stateless: the engine keeps the state tensors and passes them in.

    `lr` is the peak learning rate, multiplied by `schedule`. `weight_decay` is applied by the engine's choice of
    `decay`: to weights, not to biases or to the scales of normalisation layers. Raises RecipeError for numbers out of
    range.
    """

    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: Schedule = field(default_factory=Constant)

    state_names: ClassVar[Sequence[str]] = ()
    """The names of the state tensors, each of the parameter's shape and zero at the start."""

    def __post_init__(self) -> None:
        self.require("lr", self.lr, low=0.0)
        self.require("weight_decay", self.weight_decay, low=0.0)

    def update(
        self,
        parameter: Tensor,
        gradient: Tensor,
        state: Mapping[str, Tensor],
        *,
        step: Scalar,
        lr: Scalar,
        decay: float,
    ) -> None:
        """Move `parameter` (P,) in place along `gradient` (P,), which may be overwritten; `step` counts from 1."""
        self.move(parameter, gradient, state, self.factors(step, lr), decay)

    def factors(self, step: Scalar, lr: Scalar) -> Sequence[Scalar]:
        """All numbers of a step that follow from its number and its rate: the rate, if not told otherwise.

        They are worked out apart, so that one compiled program serves every step.
        """
        return (lr,)

    @abstractmethod
    def move(
        self,
        parameter: Tensor,
        gradient: Tensor,
        state: Mapping[str, Tensor],
        factors: Sequence[Scalar],
        decay: float,
    ) -> None:
        """As `update`, by the `factors` of the step: numbers, or tensors ()."""

    def require(self, name: str, value: float, *, low: float, high: float = float("inf")) -> None:
        """Raise RecipeError unless low <= value < high."""
        if not low <= value < high:
            bounds = f"at least {low:g}" + (f" and below {high:g}" if high < float("inf") else "")
            raise RecipeError(f"optim.{name}", f"{value!r} is out of range", f"give a number of {bounds}")
