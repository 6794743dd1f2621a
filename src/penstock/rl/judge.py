"""What a trader has made of a stretch of days, beside those who need no skill. N traders, D days."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from penstock.rl.tensor_environment import State
from penstock.rl.trading import HELD, TRADED, WEALTH, Trading

DAYS_A_YEAR = 252
"""On which there is trade."""

Trader = Callable[[Tensor, State], Tensor]
"""Observations (N, ...) and the state to the share of the wealth (N,) that is to be held."""


@final
@dataclass(frozen=True)
class Account:
    """`equity` (N, D + 1), from 1 on; what was `held` (N, D) over each night and `traded` (N, D) before it."""

    equity: Tensor
    held: Tensor
    traded: Tensor

    @property
    def profit(self) -> Tensor:
        """What was gained in all, as a share of what there was in the beginning: (N,)."""
        return self.equity[:, -1] - 1

    @property
    def yearly(self) -> Tensor:
        """The growth of a year that would have brought the same: (N,)."""
        return self.equity[:, -1] ** (DAYS_A_YEAR / self.held.shape[1]) - 1

    @property
    def drawdown(self) -> Tensor:
        """The largest loss since a day that was better, as a share of that day's equity: (N,)."""
        return (1 - self.equity / self.equity.cummax(1).values).max(1).values

    @property
    def sharpe(self) -> Tensor:
        """Mean over deviation of the days' returns, times the root of the days of a year (Sharpe 1994): (N,).

        0 where nothing has ever changed. What money would earn meanwhile is taken to be nothing.
        """
        returns = self.equity[:, 1:] / self.equity[:, :-1] - 1
        deviation = returns.std(1, correction=0)
        ratio = returns.mean(1) / deviation.clamp(min=1e-300) * math.sqrt(DAYS_A_YEAR)
        return torch.where(deviation > 1e-12, ratio, 0.0)

    @property
    def turnover(self) -> Tensor:
        """How often the wealth was traded in a year: (N,)."""
        return self.traded.mean(1) * DAYS_A_YEAR

    def measures(self) -> dict[str, Tensor]:
        """All of these by name, (N,) each."""
        names = ("profit", "yearly", "drawdown", "sharpe", "turnover")
        return {name: getattr(self, name) for name in names}


def judge(environment: Trading, trader: Trader) -> Account:
    """Let a trader act once from the first day to the last."""
    state = environment.begin(environment.count)
    assert environment.limit is not None
    wealth, held, traded = [state[WEALTH]], [], []
    for _ in range(environment.limit):
        target = trader(environment.observe(state), state)
        before, (state, _, ruined) = state, environment.settle(state, target)
        wealth.append(state[WEALTH])
        held.append(target)
        traded.append(state[TRADED] - before[TRADED])
        if ruined.any():  # who is out stays out, with what is left
            trader = _without(ruined, trader)
    return Account(torch.stack(wealth, 1).exp(), torch.stack(held, 1), torch.stack(traded, 1))


def _without(ruined: Tensor, trader: Trader) -> Trader:
    return lambda seen, state: trader(seen, state).masked_fill(ruined, 0.0)


def agent(environment: Trading, ask: Callable[[Tensor], Mapping[str, Tensor]]) -> Trader:
    """One who acts as an actor says."""
    return lambda seen, state: environment.orders.target(ask(seen)["action"], state[HELD], environment.low)


def buy_and_hold(seen: Tensor, state: State) -> Tensor:
    """One who buys on the first day."""
    return torch.ones_like(state[HELD])


def cash(seen: Tensor, state: State) -> Tensor:
    """One who does nothing."""
    return torch.zeros_like(state[HELD])


def at_random(environment: Trading, seed: int) -> Trader:
    """One who throws dice."""
    generator = torch.Generator(environment.device).manual_seed(seed)

    def trade(seen: Tensor, state: State) -> Tensor:
        action = environment.action.sample(len(seen), generator)
        return environment.orders.target(action, state[HELD], environment.low)

    return trade
