"""What an environment shows and what it lets one do, for N environments at once."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from penstock.core.errors import RecipeError


class Space(ABC):
    """The values that an observation or an action can have: (N, *shape) of one type."""

    shape: tuple[int, ...]
    """Of one value; empty for a whole number."""
    dtype: torch.dtype
    """Of the tensors that hold them."""

    @abstractmethod
    def contains(self, values: Tensor) -> Tensor:
        """Which of the values (N, *shape) belong to it: (N,) bool."""

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Values at random, (N, *shape), on the generator's device."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything needed for `space_from`, in JSON values, which know no infinity."""


@final
@dataclass(frozen=True)
class Discrete(Space):
    """The whole numbers from 0 to `count` - 1. Raises RecipeError where there is none."""

    count: int
    shape: tuple[int, ...] = field(default=(), init=False, repr=False)
    dtype: torch.dtype = field(default=torch.int64, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise RecipeError("Discrete", f"has {self.count} values", "give at least 1")

    def contains(self, values: Tensor) -> Tensor:
        return (values >= 0) & (values < self.count)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(self.count, (count,), generator=generator, device=generator.device)

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count}


@final
@dataclass(frozen=True)
class Box(Space):
    """Numbers between `low` and `high`, both included: one bound for all, or one for each, in the order of memory.

    A bound may be infinite. Raises RecipeError where the bounds do not fit the shape or one another.
    """

    shape: tuple[int, ...]
    low: float | tuple[float, ...] = -math.inf
    high: float | tuple[float, ...] = math.inf
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if isinstance(bound, tuple) and len(bound) != math.prod(self.shape):
                problem = f"{name} has {len(bound)} numbers, and its shape {self.shape} has {math.prod(self.shape)}"
                raise RecipeError("Box", problem, "give one bound for all, or one for each")
        low, high = self.bounds()
        if not (low <= high).all():
            raise RecipeError("Box", "a lower bound is above the upper one", "exchange them")

    def bounds(self, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """The lower and the upper bounds, (*shape) float32 each."""
        low, high = (
            torch.tensor(bound, dtype=torch.float32, device=device).expand(self.shape)
            if isinstance(bound, int | float)
            else torch.tensor(bound, dtype=torch.float32, device=device).reshape(self.shape)
            for bound in (self.low, self.high)
        )
        return low, high

    def contains(self, values: Tensor) -> Tensor:
        low, high = self.bounds(values.device)
        return ((values >= low) & (values <= high)).flatten(1).all(1)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Uniform between two bounds; beyond one, exponential; without any, normal. (N, *shape)."""
        low, high = self.bounds(generator.device)
        size = (count, *self.shape)
        uniform = torch.rand(size, generator=generator, device=generator.device)
        normal = torch.randn(size, generator=generator, device=generator.device)
        above, below = low - torch.log1p(-uniform), high + torch.log1p(-uniform)
        within = low + (high - low) * uniform
        if not self.dtype.is_floating_point:
            within = (low + (high - low + 1) * uniform).floor().minimum(high)
        lower, upper = low.isfinite(), high.isfinite()
        found = torch.where(lower & upper, within, torch.where(lower, above, torch.where(upper, below, normal)))
        return found.to(self.dtype)

    def to_json(self) -> dict[str, Any]:
        bounds = {
            name: [str(value) for value in bound] if isinstance(bound, tuple) else str(bound)
            for name, bound in (("low", self.low), ("high", self.high))
        }
        return {"shape": list(self.shape), **bounds, "bytes": self.dtype == torch.uint8}


def space_from(value: Mapping[str, Any]) -> Space:
    """The reverse of `to_json`. Raises KeyError, TypeError, ValueError or RecipeError for what makes no sense."""
    if "count" in value:
        return Discrete(int(value["count"]))
    low, high = (
        tuple(map(float, bound)) if isinstance(bound, list) else float(bound) for bound in (value["low"], value["high"])
    )
    return Box(tuple(map(int, value["shape"])), low, high, torch.uint8 if value["bytes"] else torch.float32)


def described(space: Space) -> str:
    """Its values in a few words."""
    if isinstance(space, Discrete):
        return f"one of {space.count}"
    if len(space.shape) == 1:
        return f"{space.shape[0]} number{'s' if space.shape[0] != 1 else ''}"
    return " x ".join(map(str, space.shape)) + " numbers"
