"""What a policy has made of prices, beside those who need no skill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from penstock.recipes.playing import Playing
from penstock.rl.acting import Actor
from penstock.rl.judge import Account, agent, at_random, buy_and_hold, cash, judge
from penstock.rl.normalise import NormalisedObservations
from penstock.rl.trading import Trading

DRAWN = 400
"""Days of a curve in the report, at most."""


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
    all_traders = [("model", own), others["baseline"], ("cash", judge(world, cash)), others["reference"]]
    shown = _few(own.equity.shape[1])
    traders = [_written(name, account, shown) for name, account in all_traders]
    told = {"day": shown, "traders": traders}
    return found | {"metrics": {**found["metrics"], **_measures(own)}, "trading": told} | beside


def _written(name: str, account: Account, shown: Sequence[int]) -> dict[str, Any]:
    """What the report draws: the mean of the traders."""
    held = torch.cat([account.held, account.held[:, -1:]], 1)  # of the last day, what was held until then
    curves = {"equity": account.equity, "held": held}
    return {
        "name": name,
        "metrics": _measures(account),
        **{part: [round(float(v), 6) for v in series.mean(0)[list(shown)]] for part, series in curves.items()},
    }


def _few(days: int) -> list[int]:
    """Evenly spread, the first and the last among them."""
    count = min(days, DRAWN)
    return [round(at * (days - 1) / (count - 1)) for at in range(count)]


def _measures(account: Account) -> dict[str, float]:
    return {name: float(value.mean()) for name, value in account.measures().items()}


def _return(account: Account) -> float:
    """The logarithm of the growth, as an episode's rewards add up to it."""
    return float(account.equity[:, -1].log().mean())
