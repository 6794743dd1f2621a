"""What a policy has made of prices, beside those who need no skill."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from penstock.recipes.playing import Playing
from penstock.rl.acting import Actor
from penstock.rl.judge import Account, agent, at_random, buy_and_hold, judge
from penstock.rl.normalise import NormalisedObservations
from penstock.rl.trading import Trading


def traded(trained: Playing, world: Trading, found: dict[str, Any], seed: int) -> dict[str, Any]:
    """Findings with what was earned from the first day to the last. Who holds cash earns and loses nothing."""
    scale = NormalisedObservations(world, moments=trained.moments) if trained.moments else None
    with Actor(trained.objective, trained.objective.best).awake() as ask:

        def scaled(seen: Tensor) -> dict[str, Tensor]:
            return ask(seen if scale is None else scale.begun(seen))

        own = judge(world, agent(world, scaled))
    others = {
        "baseline": ("buy and hold", judge(world, buy_and_hold)),
        "reference": ("trades at random", judge(world, at_random(world, seed))),
    }
    beside = {
        part: {"name": name, "metrics": {"return": _return(account), **_measures(account)}}
        for part, (name, account) in others.items()
    }
    return found | {"metrics": {**found["metrics"], **_measures(own)}} | beside


def _measures(account: Account) -> dict[str, float]:
    return {name: float(value.mean()) for name, value in account.measures().items()}


def _return(account: Account) -> float:
    """The logarithm of the growth, as an episode's rewards add up to it."""
    return float(account.equity[:, -1].log().mean())
