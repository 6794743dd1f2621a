"""What environments look like: things are where the state says, and the end of an episode is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import own_worlds
import pytest
import torch

from penstock.core.errors import RecipeError
from penstock.rl.bounded import BoundedActions
from penstock.rl.canvas import BLUE, GREEN, RED, Canvas
from penstock.rl.cartpole import CartPole
from penstock.rl.environment import Environment
from penstock.rl.gridworld import gridworld
from penstock.rl.gym_environment import GymEnvironment
from penstock.rl.maker import Maker
from penstock.rl.markets import Prices, reversion
from penstock.rl.pendulum import Pendulum
from penstock.rl.tabular import Bandit, Tabular
from penstock.rl.trading import Trading

OWN = str(Path(own_worlds.__file__))


def middle(picture: np.ndarray, colour: tuple[int, int, int]) -> tuple[float, float]:
    """Of the pixels of a colour: row and column, as shares of the picture."""
    rows, columns = np.nonzero(np.abs(picture.astype(int) - colour).max(2) < 10)
    assert len(rows)
    return rows.mean() / picture.shape[0], columns.mean() / picture.shape[1]


def test_a_canvas_has_units_of_its_own_and_smooth_edges() -> None:
    canvas = Canvas(0, 10, 0, 5, size=(20, 10))
    canvas.box(0, 5, 0, 2.5, RED)
    picture = canvas.pixels()
    assert picture.shape == (10, 20, 3)
    assert picture.dtype == np.uint8
    assert (picture[6:, :9] == RED).all()
    assert not (picture[:4] == RED).all(2).any()


def test_the_cart_stands_where_the_state_says_and_each_environment_can_be_watched() -> None:
    world = CartPole(count=3)
    world.reset(0)
    state = world.state_dict()
    state["state"] = torch.tensor([[-2.0, 0, 0, 0], [0, 0, 0, 0], [2.0, 0, 0, 0]], dtype=torch.float64)
    world.load_state_dict(state)
    found = []
    for which in range(3):
        world.watch(which)
        found.append(middle(world.picture(), BLUE)[1])
    assert found == pytest.approx([0.7 / 5.4, 0.5, 4.7 / 5.4], abs=0.02)


def test_the_end_of_an_episode_is_seen_and_not_the_beginning_of_the_next() -> None:
    world = Tabular(gridworld(["SG"]), count=1)
    world.reset(0)
    assert world.text() == "@ G"
    met = world.step(torch.tensor([1]))
    assert met.terminated.item()
    assert met.observation.item() == 0
    assert world.text() == "S @"
    assert middle(world.picture(), BLUE)[1] == pytest.approx(0.75, abs=0.05)
    world.reset(0)
    assert world.text() == "@ G"


def test_a_market_shows_what_is_held() -> None:
    prices = Prices(torch.linspace(10, 20, 30, dtype=torch.float64))
    world = Trading(prices, count=1, window=10, cost=0.0, slippage=0.0)
    world.reset(0)
    said = world.text()
    assert said is not None
    assert said.startswith("▁")
    assert "day 10  price 13.45  holds 0%  wealth 1.000" in said
    world.step(torch.tensor([2]))
    assert "holds 100%  wealth 1.026" in (world.text() or "")
    assert middle(world.picture(), GREEN)[1] > 0.8


@pytest.mark.parametrize(
    "world",
    [CartPole(count=2), BoundedActions(Pendulum(count=2)), Trading(reversion(200, seed=0).prices, count=2, short=True)],
    ids=lambda world: type(world).__name__,
)
def test_all_of_ours_can_be_drawn(world: Environment) -> None:
    world.watch(1)
    world.reset(0)
    generator = torch.Generator().manual_seed(0)
    pictures = []
    for _ in range(20):
        world.step(world.action.sample(2, generator))
        pictures.append(world.picture())
    assert all(picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8 for picture in pictures)
    assert not np.array_equal(pictures[0], pictures[-1])
    assert world.speed > 0


def test_what_draws_nothing_says_so() -> None:
    bandit = Bandit(torch.zeros(1, 2), count=1)
    bandit.reset(0)
    with pytest.raises(RecipeError, match="Bandit draws no picture"):
        bandit.picture()
    with pytest.raises(RecipeError, match="Walk: draws no picture"):
        GymEnvironment(Maker(name="Walk", module=OWN, shown="pixels"), count=1)


@pytest.mark.parametrize(("shown", "kind"), [("pixels", np.ndarray), ("letters", str)])
def test_a_users_own_draws_itself(shown: Any, kind: type) -> None:
    world = GymEnvironment(Maker(name="Painted", module=OWN, shown=shown, limit=4), count=2)
    world.watch(1)
    world.reset(0)
    assert world.speed == 12
    seen = []
    for _ in range(4):
        seen.append(world.text() if shown == "letters" else world.picture())
        met = world.step(torch.tensor([1, 1]))
    assert met.truncated.all()
    assert all(isinstance(one, kind) for one in seen)
    last = world.text() if shown == "letters" else world.picture()[0, 0, 0]
    assert last == ("after 4" if shown == "letters" else 4)  # not the next episode's beginning
    world.close()
    with pytest.raises(RecipeError, match="draws no picture"):
        GymEnvironment(Maker(name="Painted", module=OWN), count=1).picture()


def test_gymnasiums_toys_are_written() -> None:
    world = GymEnvironment(Maker(name="FrozenLake-v1", shown="letters"), count=1)
    world.watch(0)
    world.reset(0)
    assert "FFFH" in (world.text() or "")
    world.close()
