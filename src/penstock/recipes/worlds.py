"""Environments by name, as an algorithm takes them. N environments."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from penstock.core.errors import DataError, RecipeError, suggest
from penstock.core.ranks import ALONE, Ranks
from penstock.recipes.world_settings import TradingSettings
from penstock.rl.bounded import BoundedActions
from penstock.rl.cartpole import CartPole
from penstock.rl.environment import Environment
from penstock.rl.gridworld import gridworld
from penstock.rl.marked import Marked
from penstock.rl.markets import Prices, random_walk, reversion
from penstock.rl.normalise import Moments, NormalisedObservations, NormalisedRewards
from penstock.rl.pendulum import Pendulum
from penstock.rl.spaces import Box, Space
from penstock.rl.tabular import Tabular
from penstock.rl.trading import AllOrNothing, Share, Trading
from penstock.rl.wrapper import ChannelsFirst, Checked, ClippedRewards, Stacked, bare, channels_last

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
LEAST_DAYS = 10
"""To trade on, so that each part has two."""
EPISODE = 250
"""Days of an episode of training."""
STEPS_IN_GRIDS = 200
GAMES = "ALE/"
"""How the names of Atari's games begin."""
AT_ONCE = 16
"""Environments of Gymnasium's, or games, that are played at the same time to judge a policy, at most."""


@dataclass(frozen=True)
class Tried:
    """What was found out by trying one: what is `seen`, what can be `done`, who acts together, and what a user should
    know."""

    seen: Space
    done: Space
    agents: tuple[str, ...]
    looks: Sequence[str]


@dataclass(frozen=True)
class Worlds:
    """Makes environments of one kind for the parts of a training: "train", "validation" and "test".

    So many agents act `together` in one, which is known when it has been tried.
    """

    recipe: Control
    device: torch.device
    prices: Prices | None
    ranks: Ranks = ALONE
    together: int = 1

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

    @property
    def usual(self) -> Mapping[str, int]:
        """Settings of the world that follow from what it is, where they are not given."""
        games = self.recipe.env.startswith(GAMES)
        return {"frames": 4 if games else 1, "clip_rewards": games}

    @property
    def title(self) -> str:
        """What to call it."""
        module, name = own_code(self.recipe.env) or ("", self.recipe.env)
        return "-".join(word for word in (Path(module).stem, name) if word)

    def tried(self) -> Tried:
        """What one is like.

        Raises as `bare`, and WorkerError where it does not keep to its form.
        """
        world = self.bare("train", 1)
        try:
            looks = [] if self.own else self._tried(bare(world))
            shown = self._seen(world)
            return Tried(shown.observation, shown.action, world.agents, looks)
        finally:
            world.close()

    def bare(self, part: str, count: int, shown: Shown = "") -> Environment:
        """So many, each agent counted, or just more that are whole games. To be `shown`, one must be made so.

        Raises RecipeError where there is no such environment.
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
                first, last = days_of(len(self.prices), part, self.recipe.trading.window)
                limit = min(world.limit or EPISODE, last - first) if part == "train" else None
                return self._market(self.prices, count=count, first=first, last=last, limit=limit)
        return Checked(self._foreign(count, shown, lives=part == "train"))

    def _tried(self, world: Environment) -> list[str]:
        from penstock.rl.gym_environment import GymEnvironment
        from penstock.rl.trial import trial

        return world.check() if isinstance(world, GymEnvironment) else trial(world)

    def _market(self, prices: Prices, *, count: int, first: int, last: int, limit: int | None) -> Trading:
        given = self.recipe.trading
        return Trading(
            prices,
            orders=Share() if given.actions == "share" else AllOrNothing(),
            short=given.short,
            window=given.window,
            cost=given.cost,
            slippage=given.slippage,
            risk=given.risk,
            device=self.device,
            count=count,
            first=first,
            last=last,
            limit=limit,
        )

    def _foreign(self, count: int, shown: Shown, *, lives: bool) -> Environment:
        """One of Gymnasium's or PettingZoo's, or of a user's own, of their kinds or of ours."""
        import gymnasium

        from penstock.rl.gym_environment import GymEnvironment
        from penstock.rl.maker import Maker, class_in
        from penstock.rl.parallel import parallel_kinds

        limit, workers = self.recipe.world.limit, self.recipe.world.workers
        module, name = own_code(self.recipe.env) or (None, self.recipe.env)
        found = class_in(module, name, Environment, gymnasium.Env, *parallel_kinds()) if module is not None else None
        if found is not None and issubclass(found, Environment):
            make: Callable[..., Environment] = found
            try:
                return make(count=count, device=self.device, **({"limit": limit} if limit else {}))
            except TypeError as error:
                raise RecipeError("env", f"it cannot be made ({error})", "let it take count= and device=") from error
        maker = Maker(name=name, module=module, limit=limit, shown=shown, lives=lives)
        return GymEnvironment(maker, count=count, workers=0 if shown else min(workers, count))

    def to_learn(self, count: int, *, bounded: bool) -> tuple[Environment, Moments | None]:
        """As it is learned in; with what is known of its observations, where these are normalised."""
        found = self._bounded(self._seen(self.bare("train", count)), bounded)
        moments = None
        if self.recipe.world.normalise:
            found = NormalisedObservations(found, ranks=self.ranks)
            moments = found.moments
        if self._chosen("clip_rewards"):
            found = ClippedRewards(found)
        if self.recipe.world.normalise_rewards:
            found = NormalisedRewards(found, discount=self.recipe.discount, ranks=self.ranks)
        return found, moments

    def to_judge(
        self, part: str, episodes: int, moments: Moments | None, *, bounded: bool, shown: Shown = ""
    ) -> tuple[Environment, int]:
        """As many environments, or games, as are played in together, and how many episodes in each."""
        most = episodes if self.own else AT_ONCE
        count = next(n for n in range(min(most, episodes), 0, -1) if episodes % n == 0)
        found = self._bounded(self._seen(self.bare(part, count * self.together, shown)), bounded)
        if moments is not None:
            found = NormalisedObservations(found, moments=moments)
        return found, episodes // count

    def _seen(self, world: Environment) -> Environment:
        """As a network takes it."""
        found = ChannelsFirst(world) if channels_last(world.observation) else world
        frames = self._chosen("frames")
        if frames > 1:
            found = Stacked(found, frames)
        return Marked(found) if len(world.agents) > 1 else found

    def _chosen(self, name: str) -> int:
        given = getattr(self.recipe.world, name)
        return self.usual[name] if given is None else given

    def _bounded(self, world: Environment, bounded: bool) -> Environment:
        return BoundedActions(world) if bounded and isinstance(world.action, Box) else world


def worlds_of(recipe: Control, device: torch.device, ranks: Ranks = ALONE, *, together: int = 1) -> Worlds:
    """Those of a recipe, in which so many agents act `together`, as far as that is known.

    Raises RecipeError for a name that is no environment's, DataError for prices that are none.
    """
    name = recipe.env
    if own_code(name) and not recipe.trust_env:
        problem = f"{name} is code, and would be run"
        raise RecipeError("env", problem, "add --trust-env, if you know what it does")
    if name not in OWN and not own_code(name) and name == name.casefold() and "-v" not in name and "/" not in name:
        remedy = f"{suggest(name, OWN)} or give the name of one of Gymnasium's, such as CartPole-v1"
        raise RecipeError("env", f"there is no environment {name!r}", remedy.replace("? or", "? Or"))
    if name != TRADING and recipe.data != type(recipe).model_fields["data"].default:
        raise RecipeError("data", f"{name} needs no prices", "leave it out, or give --env trading")
    for setting, value in recipe.trading:
        if name != TRADING and value != getattr(TradingSettings(), setting):
            raise RecipeError(
                f"trading.{setting}", f"in {name} nothing is traded", "leave it out, or give --env trading"
            )
    return Worlds(recipe, device, _prices(recipe) if name == TRADING else None, ranks, together)


def own_code(env: str) -> tuple[str, str] | None:
    """The module of a user's own environment, a file or what can be imported, and its name there, if it is given."""
    if env.endswith(".py"):
        return env, ""
    module, colon, name = env.rpartition(":")
    return (module, name) if colon else None


_MARKETS: dict[str, Callable[[int], Prices]] = {
    "reversion": lambda seed: reversion(DAYS, seed=seed).prices,
    "walk": lambda seed: random_walk(DAYS, seed=seed),
}


def _prices(recipe: Control) -> Prices:
    given = recipe.trading
    if recipe.data in _MARKETS and not Path(recipe.data).exists():
        for setting in ("close", "volume"):
            if getattr(given, setting) is not None:
                raise RecipeError(f"trading.{setting}", f"{recipe.data} has no columns", "leave it out")
        return _MARKETS[recipe.data](0)
    from penstock.kinds.prices import read_prices  # with pandas, which takes longer than a pole to be balanced

    return read_prices(Path(recipe.data), close=given.close, volume=given.volume).prices


def days_of(count: int, part: str, window: int) -> tuple[int, int]:
    """The first day that is traded on, and that after the last. Raises DataError where there are too few."""
    start, end = SHARES[part]
    room = count - 1 - window
    if room < LEAST_DAYS:
        problem = f"{count} days, the first {window} only to look back on, leave too few to trade on"
        raise DataError("prices", problem, f"give {window + 1 + LEAST_DAYS} or more")
    return window + int(start * room), window + int(end * room)
