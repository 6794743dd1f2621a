"""Groups of settings of the recipe `control`: what the environment is like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from penstock.core.settings import Settings


class WorldSettings(Settings):
    """What the environment is like."""

    map: Annotated[Literal["cliff", "rooms", "lake"], Field(description="of the gridworld")] = "rooms"
    slip: Annotated[float, Field(ge=0, le=1, description="probability of slipping to a side (gridworld)")] = 0.0
    limit: Annotated[
        int | None, Field(ge=1, description="steps after which an episode is cut off; by the environment if not given")
    ] = None
    normalise: Annotated[
        bool | None,
        Field(description="bring what is seen to mean 0 and deviation 1; by the environment if not given"),
    ] = None
    normalise_rewards: Annotated[
        bool | None, Field(description="divide rewards by the deviation of their sums; by the environment")
    ] = None
    frames: Annotated[
        int | None,
        Field(ge=1, le=1000, description="last observations that are seen as one; 4 of Atari's pictures, else 1"),
    ] = None
    clip_rewards: Annotated[
        bool | None, Field(description="learn from rewards between -1 and 1; by the environment if not given")
    ] = None
    workers: Annotated[
        int, Field(ge=0, le=256, description="processes in which Gymnasium's environments run; 0: in this one")
    ] = 0


class TradingSettings(Settings):
    """What a trader may do, and what that costs (env trading)."""

    actions: Annotated[
        Literal["orders", "share"],
        Field(description="sell, hold or buy, each time all; or the share of the wealth that is to be held"),
    ] = "orders"
    short: Annotated[bool, Field(description="let it owe what it has sold: positions from -1 to 1")] = False
    cost: Annotated[float, Field(ge=0, lt=1, description="fees, as a share of what is traded")] = 0.001
    slippage: Annotated[
        float, Field(ge=0, lt=1, description="how much worse the price is that one gets, as a share of it")
    ] = 0.0005
    risk: Annotated[
        float,
        Field(ge=0, description="times the square of a day's growth, taken from the reward; 0: it is growth alone"),
    ] = 0.0
    close: Annotated[str | None, Field(description="the column of prices; the one called close or price")] = None
    volume: Annotated[str | None, Field(description="the column of volumes; the one called so, if any")] = None
    window: Annotated[int, Field(ge=1, le=10_000, description="days that are looked back on")] = 100
