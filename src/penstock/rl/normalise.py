"""Observations and rewards on a scale that networks like, learned from what has been met so far. N environments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from penstock.core.errors import RecipeError
from penstock.core.ranks import ALONE, Ranks
from penstock.rl.environment import Environment, Step
from penstock.rl.spaces import Box
from penstock.rl.wrapper import Wrapper

_TINY = 1e-8


@final
class Moments:
    """Mean and variance of all values (B, *shape) that were added, in float64.

    Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", equation 2.1. With `ranks`, values
    that one of them adds are known to all, which all add as often.
    """

    def __init__(self, shape: tuple[int, ...], device: torch.device | str = "cpu", ranks: Ranks = ALONE) -> None:
        self.count = torch.zeros((), dtype=torch.float64, device=device)
        self.mean = torch.zeros(shape, dtype=torch.float64, device=device)
        self.variance = torch.ones(shape, dtype=torch.float64, device=device)
        self._ranks = ranks

    def add(self, values: Tensor) -> None:
        """Take more values into account."""
        values = values.to(torch.float64)
        mean = values.mean(0)
        for part in self._of_all(torch.stack([mean, (values - mean).square().sum(0)])):
            self._add(len(values), *part)

    def _add(self, more: int, mean: Tensor, squares: Tensor) -> None:
        """So many values of this mean, whose squared distances from it have these sums."""
        count, apart = self.count + more, mean - self.mean
        squares = squares + apart.square() * (self.count * more / count)
        self.variance = (self.variance * self.count + squares) / count
        self.mean, self.count = self.mean + apart * (more / count), count

    def _of_all(self, part: Tensor) -> Tensor:
        """Those of each rank, (R, *) of (*)."""
        if self._ranks.size == 1:
            return part[None]
        parts = part.new_zeros(self._ranks.size, *part.shape)
        parts[self._ranks.rank] = part
        self._ranks.sum(parts)
        return parts

    def tensors(self) -> dict[str, Tensor]:
        """All that it knows."""
        return {"count": self.count, "mean": self.mean, "variance": self.variance}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put it back."""
        self.count, self.mean, self.variance = tensors["count"], tensors["mean"], tensors["variance"]


@final
class NormalisedObservations(Wrapper):
    """Observations less their mean, divided by their deviation, at most `bound` in size.

    With the `moments` of another such environment it does not learn its own, and does not change them: for evaluation.
    Raises RecipeError where the observations are no vectors or images of numbers.
    """

    def __init__(
        self, inner: Environment, *, bound: float = 10.0, moments: Moments | None = None, ranks: Ranks = ALONE
    ) -> None:
        super().__init__(inner)
        if not isinstance(inner.observation, Box):
            raise RecipeError("NormalisedObservations", f"{inner.observation} has no mean", "do not normalise it")
        self.observation = Box(inner.observation.shape, -bound, bound)
        self.moments = moments or Moments(inner.observation.shape, inner.device, ranks)
        self._learns, self._bound = moments is None, bound

    def begun(self, observation: Tensor) -> Tensor:
        if self._learns:
            self.moments.add(observation)
        return self._scaled(observation)

    def seen(self, step: Step) -> Step:
        return replace(step, observation=self.begun(step.observation), final=self._scaled(step.final))

    def again(self, observation: Tensor) -> Tensor:
        return self._scaled(observation) if self.exact else self.begun(observation)

    def own(self) -> dict[str, Tensor]:
        return self.moments.tensors() if self._learns else {}

    def load_own(self, state: Mapping[str, Tensor]) -> None:
        if self._learns:
            self.moments.load_tensors(state)

    def _scaled(self, observation: Tensor) -> Tensor:
        scaled = (observation - self.moments.mean) / (self.moments.variance + _TINY).sqrt()
        return scaled.clamp(-self._bound, self._bound).float()


@final
class NormalisedRewards(Wrapper):
    """Rewards divided by the deviation of the discounted sums of those so far, at most `bound` in size.

    Engstrom et al. 2020, "Implementation matters in deep policy gradients", section 3, "reward scaling".
    """

    def __init__(self, inner: Environment, *, discount: float, bound: float = 10.0, ranks: Ranks = ALONE) -> None:
        super().__init__(inner)
        if not 0 <= discount <= 1:
            raise RecipeError("NormalisedRewards", f"discount is {discount}", "give a number from 0 to 1")
        self._moments, self._discount, self._bound = Moments((), inner.device, ranks), discount, bound
        self._sum = torch.zeros(inner.count, dtype=torch.float64, device=inner.device)

    def begun(self, observation: Tensor) -> Tensor:
        self._sum = torch.zeros_like(self._sum)
        return observation

    def seen(self, step: Step) -> Step:
        self._sum = self._sum * self._discount + step.reward
        self._moments.add(self._sum)
        self._sum = self._sum.masked_fill(step.done, 0.0)
        scaled = step.reward / (self._moments.variance + _TINY).sqrt()
        return replace(step, reward=scaled.clamp(-self._bound, self._bound).float())

    def again(self, observation: Tensor) -> Tensor:
        return observation if self.exact else self.begun(observation)

    def own(self) -> dict[str, Tensor]:
        return {**self._moments.tensors(), "sum": self._sum}

    def load_own(self, state: Mapping[str, Tensor]) -> None:
        self._moments.load_tensors(state)
        self._sum = state["sum"]
