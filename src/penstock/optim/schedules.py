"""Learning-rate schedules: pure functions of progress, as factors on the peak rate."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.core.errors import RecipeError


class Schedule(ABC):
    """Maps progress, from 0 at the start of training to 1 at its end, to a factor on the learning rate."""

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """The factor at `progress`."""


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """The same rate throughout."""

    def __call__(self, progress: float) -> float:
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Piecewise(Schedule):
    """Another factor from each milestone on: `{0.5: 0.1, 0.75: 0.01}` divides the rate by ten twice.

    Raises RecipeError for milestones outside (0, 1) and for negative factors.
    """

    factors: Mapping[float, float] = field(default_factory=lambda: {0.5: 0.1, 0.75: 0.01})

    def __post_init__(self) -> None:
        for milestone, factor in self.factors.items():
            if not (0 < milestone < 1 and 0 <= factor < math.inf):
                raise RecipeError(
                    "schedule",
                    f"piecewise factor {factor} from progress {milestone}",
                    "give 0 < progress < 1 and factor >= 0",
                )

    def __call__(self, progress: float) -> float:
        passed = [milestone for milestone in self.factors if milestone <= progress]
        return self.factors[max(passed)] if passed else 1.0


@dataclass(frozen=True, kw_only=True)
class _Decay(Schedule):
    """A linear warm-up over the first `warmup` of progress, then a decay to `final`.

    Raises RecipeError for a warm-up outside [0, 1) or a final factor outside [0, 1].
    """

    warmup: float = 0.0
    final: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < 1:
            raise RecipeError("schedule", f"warm-up of {self.warmup}", "give a share of the training in [0, 1)")
        if not 0 <= self.final <= 1:
            raise RecipeError("schedule", f"final factor {self.final}", "give a share of the peak rate in [0, 1]")

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return progress / self.warmup
        return self.final + (1 - self.final) * self.remaining((progress - self.warmup) / (1 - self.warmup))

    @abstractmethod
    def remaining(self, fraction: float) -> float:
        """What is left of the decay when `fraction` of it has passed."""


@dataclass(frozen=True, kw_only=True)
class Cosine(_Decay):
    """Half a cosine after a linear warm-up (Loshchilov and Hutter 2017, "SGDR", eq. (5), without restarts)."""

    def remaining(self, fraction: float) -> float:
        """Half a period of the cosine, from 1 to 0."""
        return 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0)))


@dataclass(frozen=True, kw_only=True)
class Linear(_Decay):
    """A straight line after a linear warm-up."""

    def remaining(self, fraction: float) -> float:
        """From 1 to 0."""
        return max(1.0 - fraction, 0.0)
