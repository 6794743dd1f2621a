"""Trading: a day's account by hand, nothing of the future in sight, and what is known of made-up markets."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from penstock.core.errors import DataError, RecipeError
from penstock.rl.judge import agent, at_random, buy_and_hold, judge
from penstock.rl.markets import Prices, random_walk, reversion
from penstock.rl.trading import BUY, HOLD, SELL, Orders, Share, Trading

NO_COST = {"cost": 0.0, "slippage": 0.0}


def some(*close: float) -> Prices:
    return Prices(torch.tensor(close, dtype=torch.float64))


def step(world: Trading, action: float) -> tuple[float, float, bool]:
    """The reward, the position after it as the trader sees it, and whether all is lost."""
    kind = world.action.dtype
    given = torch.tensor([action], dtype=kind) if kind == torch.int64 else torch.tensor([[action]])
    met = world.step(given)
    return met.reward.item(), met.final[0, -1].item(), bool(met.terminated)


def test_a_few_days_by_hand() -> None:
    world = Trading(some(100, 110, 121, 110, 99, 99), count=1, window=1, cost=0.01, slippage=0.005)
    seen = world.reset(0)
    assert seen[0].tolist() == pytest.approx([100 * math.log(1.1), 0.0])
    assert step(world, BUY) == pytest.approx((math.log(0.985 * 1.1), 1.0, False))
    assert step(world, HOLD) == pytest.approx((math.log(110 / 121), 1.0, False))
    assert step(world, SELL) == pytest.approx((math.log(0.985), 0.0, False))
    last = world.step(torch.tensor([SELL]))
    assert (last.reward.item(), last.truncated.item(), last.terminated.item()) == (0, True, False)
    assert last.observation[0].tolist() == seen[0].tolist()


def test_a_share_drifts_with_the_price_and_a_short_position_loses_when_it_rises() -> None:
    world = Trading(some(100, 100, 150, 150, 400), count=1, window=1, orders=Share(), short=True, **NO_COST)
    world.reset(0)
    assert step(world, 0.5) == pytest.approx((math.log(1.25), 0.75 / 1.25, False))
    assert step(world, -3.0) == pytest.approx((0.0, -1.0, False))  # no more than all
    assert step(world, -1.0) == (pytest.approx(math.log(1e-3)), 0.0, True)


def test_what_is_held_long_enough_earns_what_the_price_did() -> None:
    prices = random_walk(300, seed=0)
    world = Trading(prices, count=1, orders=Share(), **NO_COST)
    held = judge(world, lambda seen, state: torch.where(state["day"] == 100, 0.4, state["held"]))
    expected = 1 + 0.4 * (prices.close[100:] / prices.close[100] - 1)
    torch.testing.assert_close(held.equity[0], expected)
    assert held.turnover.item() == pytest.approx(0.4 / 199 * 252)


def test_risk_is_charged() -> None:
    world = Trading(some(100, 100, 110, 110), count=1, window=1, risk=2.0, **NO_COST)
    world.reset(0)
    assert step(world, BUY)[0] == pytest.approx(math.log(1.1) - 2 * math.log(1.1) ** 2)


@pytest.mark.parametrize("orders", [None, Share()])
def test_nothing_of_the_future_is_seen_or_paid(orders: Orders | None) -> None:
    """All days after one are shuffled: until then every observation and every reward is the same, bit for bit."""
    market = reversion(400, seed=1).prices
    assert market.volume is not None
    for day in (101, 150, 260):
        order = torch.cat([torch.arange(day + 1), day + 1 + torch.randperm(399 - day)])
        other = Prices(market.close[order], market.volume[order])
        assert not torch.equal(other.close, market.close)
        worlds = [Trading(prices, count=1, orders=orders) for prices in (market, other)]
        seen = [world.reset(0) for world in worlds]
        generator = torch.Generator().manual_seed(0)
        for today in range(100, 300):
            assert torch.equal(*seen) == (today <= day)
            action = worlds[0].action.sample(1, generator)
            one, two = (world.step(action) for world in worlds)
            if today < day:
                assert torch.equal(one.reward, two.reward)
            seen = [one.observation, two.observation]
            if today > day:
                break


def test_the_price_of_the_next_day_is_what_the_reward_is_about() -> None:
    """The test above would pass if rewards knew nothing: here each is the return of the night after the decision."""
    prices = random_walk(300, seed=2)
    world = Trading(prices, count=1, **NO_COST)
    world.reset(0)
    for today in range(100, 150):
        expected = math.log(prices.close[today + 1] / prices.close[today])
        assert step(world, BUY)[0] == pytest.approx(expected, rel=1e-5)


def test_what_is_seen_is_the_last_days() -> None:
    prices = reversion(260, seed=3).prices
    world = Trading(prices, count=1, window=20, first=50)
    seen = world.reset(0)[0]
    close, volume = prices.close, prices.volume
    assert volume is not None
    torch.testing.assert_close(seen[:20], 100 * (close[31:51] / close[30:50]).log().float())
    relative = torch.stack([((volume[day] + 1) / (volume[day - 20 : day].mean() + 1)).log() for day in range(31, 51)])
    torch.testing.assert_close(seen[20:40], relative.float())
    assert world.observation.shape == (41,)
    assert Trading(Prices(close), count=1, window=20).observation.shape == (21,)


def test_episodes_begin_on_any_day_and_end_with_theirs() -> None:
    world = Trading(random_walk(200, seed=0), count=5000, window=10, first=20, last=60, limit=30)
    world.reset(0)
    begun = world.state_dict()["day"]
    assert begun.unique().tolist() == list(range(20, 31))
    for at in range(30):
        met = world.step(torch.ones(5000, dtype=torch.int64))
        assert met.truncated.all() == (at == 29)
    assert not met.terminated.any()


def test_an_account_by_hand() -> None:
    world = Trading(some(1, 1, 2, 1, 1.5, 1.5), count=1, window=1, **NO_COST)
    held = judge(world, buy_and_hold)
    assert held.equity[0].tolist() == pytest.approx([1, 2, 1, 1.5, 1.5])
    assert held.profit.item() == pytest.approx(0.5)
    assert held.yearly.item() == pytest.approx(1.5**63 - 1)
    assert held.drawdown.item() == pytest.approx(0.5)
    assert held.turnover.item() == pytest.approx(252 / 4)
    returns = torch.tensor([1.0, -0.5, 0.5, 0.0])
    assert held.sharpe.item() == pytest.approx((returns.mean() / returns.std(correction=0)).item() * math.sqrt(252))
    idle = judge(world, lambda seen, state: torch.zeros_like(state["held"]))
    assert all(value.item() == 0 for value in idle.measures().values())


def test_who_is_ruined_stays_so() -> None:
    world = Trading(some(1, 1, 3, 9, 9), count=1, window=1, short=True, **NO_COST)
    lost = judge(world, lambda seen, state: -torch.ones_like(state["held"]))
    assert lost.equity[0].tolist() == pytest.approx([1, 1e-3, 1e-3, 1e-3])


def test_the_planted_rule_earns_out_of_sample_what_chance_does_not() -> None:
    market = reversion(3000, seed=4)
    world = Trading(market.prices, count=1, first=2000)
    plan = market.target(0.02)  # (D,), NaN: as before

    def planned(seen: Tensor, state: dict[str, Tensor]) -> Tensor:
        return torch.where(plan[state["day"]].isnan(), state["held"], plan[state["day"]])

    knows, holds = judge(world, planned), judge(world, buy_and_hold)
    dice = Trading(market.prices, count=200, first=2000)
    chance = judge(dice, at_random(dice, 0))
    assert knows.yearly.item() > 0.3
    assert knows.sharpe.item() > 2
    assert abs(holds.yearly.item()) < 0.1
    assert chance.profit.max() < knows.profit.item()
    assert (chance.profit < 0).double().mean() > 0.9  # trading costs
    wait = judge(world, agent(world, lambda seen: {"action": torch.full((len(seen),), HOLD)}))
    assert wait.profit.item() == 0


def test_made_up_markets_have_the_moments_they_should() -> None:
    market = reversion(200_000, seed=5, pull=0.2, noise=0.02)
    now, then = market.gap[1:], market.gap[:-1]
    slope = (now * then).sum() / then.square().sum()
    assert slope.item() == pytest.approx(0.8, abs=5 * math.sqrt((1 - 0.64) / 200_000))
    assert (now - 0.8 * then).std().item() == pytest.approx(0.02, rel=5 / math.sqrt(400_000))
    change = random_walk(200_000, seed=6).close
    returns = change[1:] / change[:-1] - 1
    assert abs(returns.mean().item()) < 5 * 0.02 / math.sqrt(200_000)
    centred = returns - returns.mean()
    assert abs((centred[1:] * centred[:-1]).mean() / centred.var()).item() < 5 / math.sqrt(200_000)


def test_what_makes_no_market_is_refused() -> None:
    with pytest.raises(DataError, match="price 0 in row 2, where it should be above 0"):
        some(1, 0, 2)
    with pytest.raises(DataError, match="volume -1 in row 1"):
        Prices(torch.ones(2), torch.tensor([-1.0, 1.0]))
    with pytest.raises(DataError, match="1 volumes of 2 prices"):
        Prices(torch.ones(2), torch.ones(1))
    with pytest.raises(DataError, match="100 days to look back on, 1 to trade on"):
        Trading(random_walk(101, seed=0), count=1)
    with pytest.raises(DataError, match="300 to trade on"):
        Trading(random_walk(350, seed=0), count=1, limit=300)
    with pytest.raises(RecipeError, match="cost: -1"):
        Trading(random_walk(350, seed=0), count=1, cost=-1)
