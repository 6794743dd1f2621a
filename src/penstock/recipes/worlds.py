"""Environments by name, as an algorithm takes them. N environments."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from penstock.core.errors import RecipeError, suggest
from penstock.kinds.prices import read_prices
from penstock.rl.bounded import BoundedActions
from penstock.rl.cartpole import CartPole
from penstock.rl.environment import Environment
from penstock.rl.gridworld import gridworld
from penstock.rl.markets import Prices, random_walk, reversion
from penstock.rl.normalise import Moments, NormalisedObservations, NormalisedRewards
from penstock.rl.pendulum import Pendulum
from penstock.rl.spaces import Box
from penstock.rl.tabular import Tabular
from penstock.rl.trading import WINDOW, Trading
from penstock.rl.wrapper import Checked

Shown = Literal["", "pixels", "letters"]
"""How a world is to be looked at."""

if TYPE_CHECKING:
    from penstock.recipes.control import Control

TRADING = "trading"
OWN = ("cartpole", "pendulum", "gridworld", TRADING)
DAYS = 3000
"""Of a market that is made up."""
SHARES = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0), "all days": (0.0, 1.0)}
"""Which days are traded on: the agent is judged on later ones than those it learned from."""
EPISODE = 250
"""Days of an episode of training."""
STEPS_IN_GRIDS = 200
AT_ONCE = 16
"""Environments of Gymnasium's that are played at the same time to judge a policy, at most."""


@dataclass(frozen=True)
class Worlds:
    """Makes environments of one kind for the parts of a training: "train", "validation" and "test"."""

    recipe: Control
    device: torch.device
    prices: Prices | None

    @property
    def fingerprint(self) -> str:
        """Tells whether it is still the same."""
        if self.prices is None:
            return self.recipe.env
        columns = (self.prices.close, self.prices.volume)
        content = b"".join(column.numpy().tobytes() for column in columns if column is not None)
        return f"{self.recipe.env} {hashlib.sha256(content).hexdigest()[:16]}"

    @property
    def own(self) -> bool:
        """Whether it is a tensor program of ours."""
        return self.recipe.env in OWN

    def bare(self, part: str, count: int, shown: Shown = "") -> Environment:
        """To be `shown`, one of Gymnasium's must be made so.

        Raises RecipeError where there is no such environment, WorkerError where it does not keep to its form.
        """
        world, device = self.recipe.world, self.device
        match self.recipe.env:
            case "cartpole":
                return CartPole(count=count, device=device, limit=world.limit or 500)
            case "pendulum":
                return Pendulum(count=count, device=device, limit=world.limit or 200)
            case "gridworld":
                return Tabular(
                    gridworld(world.map, slip=world.slip),
                    count=count,
                    device=device,
                    limit=world.limit or STEPS_IN_GRIDS,
                )
            case "trading":
                assert self.prices is not None
                first, last = _days(len(self.prices), part)
                limit = min(world.limit or EPISODE, last - first) if part == "train" else None
                return Trading(self.prices, count=count, device=device, first=first, last=last, limit=limit)
        from penstock.rl.gym_environment import GymEnvironment
        from penstock.rl.maker import Maker

        maker = Maker(name=self.recipe.env, limit=world.limit, shown=shown)
        workers = 0 if shown else min(world.workers, count)
        return Checked(GymEnvironment(maker, count=count, workers=workers))

    def to_learn(self, count: int, *, bounded: bool) -> tuple[Environment, Moments | None]:
        """As it is learned in; with what is known of its observations, where these are normalised."""
        found = self._bounded(self.bare("train", count), bounded)
        moments = None
        if self.recipe.world.normalise:
            found = NormalisedObservations(found)
            moments = found.moments
        if self.recipe.world.normalise_rewards:
            found = NormalisedRewards(found, discount=self.recipe.discount)
        return found, moments

    def to_judge(
        self, part: str, episodes: int, moments: Moments | None, *, bounded: bool, shown: Shown = ""
    ) -> tuple[Environment, int]:
        """As many environments as are played in together, and how many episodes in each."""
        most = episodes if self.own else AT_ONCE
        count = next(n for n in range(min(most, episodes), 0, -1) if episodes % n == 0)
        found = self._bounded(self.bare(part, count, shown), bounded)
        if moments is not None:
            found = NormalisedObservations(found, moments=moments)
        return found, episodes // count

    def _bounded(self, world: Environment, bounded: bool) -> Environment:
        return BoundedActions(world) if bounded and isinstance(world.action, Box) else world


def worlds_of(recipe: Control, device: torch.device) -> Worlds:
    """Raises RecipeError for a name that is no environment's, DataError for prices that are none."""
    name = recipe.env
    if name not in OWN and name == name.casefold() and "-v" not in name and "/" not in name:
        remedy = f"{suggest(name, OWN)} or give the name of one of Gymnasium's, such as CartPole-v1"
        raise RecipeError("env", f"there is no environment {name!r}", remedy.replace("? or", "? Or"))
    if name != TRADING and recipe.data != type(recipe).model_fields["data"].default:
        raise RecipeError("data", f"{name} needs no prices", "leave it out, or give --env trading")
    return Worlds(recipe, device, _prices(recipe) if name == TRADING else None)


_MARKETS: dict[str, Callable[[int], Prices]] = {
    "reversion": lambda seed: reversion(DAYS, seed=seed).prices,
    "walk": lambda seed: random_walk(DAYS, seed=seed),
}


def _prices(recipe: Control) -> Prices:
    if recipe.data in _MARKETS and not Path(recipe.data).exists():
        return _MARKETS[recipe.data](0)
    return read_prices(Path(recipe.data)).prices


def _days(count: int, part: str) -> tuple[int, int]:
    """The first day that is traded on, and that after the last."""
    start, end = SHARES[part]
    room = count - 1 - WINDOW
    return WINDOW + int(start * room), WINDOW + int(end * room)
