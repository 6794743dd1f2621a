"""A market to trade in, day by day, with costs. N traders, D days, W days looked back on.

A day is decided on when its closing price is known, and traded at that price, which the slippage makes worse; what is
then held gains or loses with the price of the next day. Nothing of a later day is shown.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from penstock.core.errors import DataError, RecipeError
from penstock.rl.canvas import BLUE, FAINT, GREEN, GREY, RED, Canvas
from penstock.rl.environment import Pixels
from penstock.rl.markets import Prices
from penstock.rl.spaces import Box, Discrete, Space
from penstock.rl.tensor_environment import Outcome, State, TensorEnvironment

WINDOW = 100
SELL, HOLD, BUY = range(3)
DAY, HELD, WEALTH, TRADED = "day", "held", "wealth", "traded"
_LITTLE = 0.05
"""The share of the wealth below which a position is drawn as none."""
_BARS, _WRITTEN = "▁▂▃▄▅▆▇█", 60
"""Prices in letters, and of how many days."""
_RUIN = 1e-3
"""The share of the wealth of the day before at which everything counts as lost."""


class Orders(ABC):
    """How actions are meant: to what share of the wealth the position is to be changed, from `low` to 1."""

    @abstractmethod
    def space(self, low: float) -> Space:
        """The actions there are."""

    @abstractmethod
    def target(self, action: Tensor, held: Tensor, low: float) -> Tensor:
        """What is to be held, (N,), after what was held, (N,)."""


@final
class AllOrNothing(Orders):
    """Sell (0), leave everything as it is (1), or buy (2), each time for all that there is."""

    def space(self, low: float) -> Space:
        return Discrete(3)

    def target(self, action: Tensor, held: Tensor, low: float) -> Tensor:
        return torch.where(action == BUY, 1.0, torch.where(action == SELL, low, held))


@final
class Share(Orders):
    """The share itself, (N, 1)."""

    def space(self, low: float) -> Space:
        return Box((1,), low, 1.0)

    def target(self, action: Tensor, held: Tensor, low: float) -> Tensor:
        return action[:, 0].double().clamp(low, 1.0)


@final
class Trading(TensorEnvironment):
    """Trades on the days from `first` to before `last`; each episode begins at one of them and lasts `limit` days.

    Without a `limit` it begins on the first and lasts to the end. What is seen, (N, 2 W + 1), is the returns of the
    last W days, in percent; the logarithms of their volumes over the mean of the W days before each; and the position,
    a share of the wealth; without volumes (N, W + 1). With `short` the position may be -1. Each trade costs the shares
    `cost` and `slippage` of what is traded. The reward is the logarithm of the day's growth of wealth, less `risk`
    times its square. Who loses everything is out.

    Raises DataError where there are too few days, RecipeError for costs that are none.
    """

    speed = 10.0

    def __init__(
        self,
        prices: Prices,
        *,
        count: int,
        first: int | None = None,
        last: int | None = None,
        limit: int | None = None,
        window: int = WINDOW,
        orders: Orders | None = None,
        short: bool = False,
        cost: float = 0.001,
        slippage: float = 0.0005,
        risk: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.first = window if first is None else first
        self.last = len(prices) - 1 if last is None else last
        for name, value in (("cost", cost), ("slippage", slippage)):
            if not 0 <= value < 1:
                raise RecipeError(name, f"{value} is no share of what is traded", "give a number from 0 to below 1")
        if risk < 0:
            raise RecipeError("risk", f"{risk} would reward risk", "give 0 or more")
        if not window <= self.first < self.last <= len(prices) - 1 or (limit or 1) > self.last - self.first:
            needed = f"{window} days to look back on, {limit or 1} to trade on and one to see what came of it"
            problem = f"{needed}, where {len(prices)} days are traded on from {self.first} to {self.last}"
            raise DataError("prices", problem, "give more days, shorten the episodes, or look back less far")
        self.low, self.rate, self.risk, self.window = -1.0 if short else 0.0, cost + slippage, risk, window
        self.orders = orders or AllOrNothing()
        self._anywhere = limit is not None
        close = prices.close.to(device, torch.float64)
        self._change = torch.cat([close.new_zeros(1), close[1:] / close[:-1] - 1])  # (D,)
        features = [100 * self._change.log1p()]
        if prices.volume is not None:
            features.append(_relative(prices.volume.to(device, torch.float64), window))
        self._close = close
        self._features = torch.stack(features).float()  # (1 or 2, D)
        self._back = torch.arange(1 - window, 1, device=device)
        super().__init__(
            observation=Box((len(features) * window + 1,)),
            action=self.orders.space(self.low),
            count=count,
            limit=limit or self.last - self.first,
            device=device,
        )

    def begin(self, count: int) -> State:
        span = self.last - self.first - (self.limit or 0) if self._anywhere else 0
        day = self.first + torch.randint(span + 1, (count,), generator=self.generator, device=self.device)
        nothing = torch.zeros(count, dtype=torch.float64, device=self.device)
        return {DAY: day, HELD: nothing, WEALTH: nothing, TRADED: nothing}

    def advance(self, state: State, action: Tensor) -> Outcome:
        return self.settle(state, self.orders.target(action, state[HELD], self.low))

    def settle(self, state: State, target: Tensor) -> Outcome:
        """Trade until the share `target` (N,) of the wealth is held, and wait for the next day's price."""
        traded = (target - state[HELD]).abs()
        change = self._change[state[DAY] + 1]
        growth = (1 - self.rate * traded) * (1 + target * change)
        ruined = growth <= _RUIN
        growth = growth.clamp(min=_RUIN)
        gain = growth.log()
        held = torch.where(ruined, 0.0, target * (1 + change) / (1 + target * change))
        after = {DAY: state[DAY] + 1, HELD: held, WEALTH: state[WEALTH] + gain, TRADED: state[TRADED] + traded}
        return Outcome(after, (gain - self.risk * gain.square()).float(), ruined)

    def observe(self, state: State) -> Tensor:
        days = state[DAY].unsqueeze(1) + self._back  # (N, W)
        seen = [series[days] for series in self._features]
        return torch.cat([*seen, state[HELD].unsqueeze(1).float()], 1)

    def draw(self, state: State) -> Pixels:
        """The prices that are looked back on, today's marked by what is held, and the share of the wealth beside it."""
        day, held = int(state[DAY]), float(state[HELD])
        past = self._close[day + 1 - self.window : day + 1].tolist()
        low, high = min(past), max(past)
        room = max(high - low, 1e-9 * high) * 0.1
        wide = max(self.window - 1, 1)
        canvas = Canvas(-0.03 * wide, 1.15 * wide, low - room, high + room)
        colour = GREEN if held > _LITTLE else RED if held < -_LITTLE else GREY
        canvas.line(list(enumerate(past)), BLUE)
        canvas.disc((len(past) - 1, past[-1]), 4, colour)
        zero = (low + high) / 2 if self.low < 0 else low
        canvas.box(1.06 * wide, 1.11 * wide, low if self.low < 0 else zero, high, FAINT)
        canvas.box(1.06 * wide, 1.11 * wide, zero, zero + held * (high - zero), colour)
        return canvas.pixels()

    def write(self, state: State) -> str | None:
        day = int(state[DAY])
        past = self._close[max(day - _WRITTEN, 0) : day + 1]
        levels = ((past - past.min()) / (past.max() - past.min()).clamp(min=1e-12) * (len(_BARS) - 1)).round()
        bars = "".join(_BARS[int(level)] for level in levels.tolist())
        said = f"day {day}  price {self._close[day]:.2f}  holds {float(state[HELD]):.0%}"
        return f"{bars}\n{said}  wealth {math.exp(float(state[WEALTH])):.3f}"


def _relative(volume: Tensor, window: int) -> Tensor:
    """The logarithm of each day's volume over the mean of so many days before it, as far as there are any: (D,)."""
    total = torch.cat([volume.new_zeros(1), volume.cumsum(0)])  # (D + 1,)
    day = torch.arange(len(volume), device=volume.device)
    begin = (day - window).clamp(min=0)
    mean = (total[day] - total[begin]) / (day - begin).clamp(min=1)
    mean[0] = volume[0]
    return ((volume + 1) / (mean.clamp(min=0) + 1)).log()
