"""Small worlds: their tables by hand, what happens in them against the table, and what is best in them."""

from __future__ import annotations

import math

import pytest
import torch
from mdps import optimal_values, policy_values

from penstock.core.errors import RecipeError
from penstock.rl.gridworld import MAPS, gridworld
from penstock.rl.tabular import Bandit, Table, Tabular

MANY = 20_000
UP, RIGHT, DOWN, LEFT = range(4)


def test_the_table_of_a_corridor() -> None:
    table = gridworld(["S.#G"], slip=0.2, step=-1.0)
    assert table.next[0, RIGHT].tolist() == pytest.approx([0.2, 0.8, 0, 0])  # both sides are borders
    assert table.next[1, RIGHT].tolist() == [0, 1, 0, 0]  # the wall
    assert table.next[0, UP].tolist() == pytest.approx([0.9, 0.1, 0, 0])
    assert table.ends.tolist() == [False, False, False, True]
    assert table.start.tolist() == [1, 0, 0, 0]
    assert (
        table.reward[table.next > 0].eq(-1.0).sum() + table.reward[table.next > 0].eq(0).sum() == (table.next > 0).sum()
    )


def test_the_cliff_is_walked_around_at_the_price_that_is_known() -> None:
    """Sutton and Barto 2018, example 6.6: the best way takes 13 steps along the edge; here the last one is free."""
    values = optimal_values(gridworld("cliff", goal=-1.0), 1.0)
    assert values[36].max() == -13
    assert values[36].argmax() == UP
    assert values[36, RIGHT] == -100 - 13


def test_the_frozen_lake_is_as_good_as_it_is_known_to_be() -> None:
    """Gymnasium's, slippery, without discount: 0.824 of all attempts reach the goal under the best policy."""
    table = gridworld("lake", slip=2 / 3, step=0.0, goal=1.0, pit=0.0)
    assert optimal_values(table, 1.0)[0].max().item() == pytest.approx(0.8235, abs=1e-3)


def test_the_best_policy_is_worth_what_value_iteration_says() -> None:
    table = gridworld("rooms", slip=0.1)
    values = optimal_values(table, 0.95)
    policy = torch.nn.functional.one_hot(values.argmax(1), 4).double()
    worth = policy_values(table, policy, 0.95)
    torch.testing.assert_close(worth[~table.ends], values.max(1).values[~table.ends], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", MAPS)
def test_what_happens_agrees_with_the_table(name: str) -> None:
    table = gridworld(name, slip=0.3)
    environment = Tabular(table, count=MANY, limit=1000)
    place = environment.reset(0)
    assert set(place.tolist()) == set(table.start.nonzero()[:, 0].tolist())
    for action in (UP, RIGHT, DOWN):
        step = environment.step(torch.full((MANY,), action))
        assert torch.equal(step.terminated, table.ends[step.final])
        assert torch.equal(step.reward, table.reward[place, action, step.final].float())
        for state in place.unique().tolist():
            came = step.final[place == state]
            expected = table.next[state, action] * len(came)
            found = torch.bincount(came, minlength=len(expected)).double()
            assert ((found - expected).abs() <= 5 * (expected * (1 - table.next[state, action])).sqrt() + 1e-9).all()
        place = step.observation


def test_a_discounted_return_is_that_of_the_bellman_equations() -> None:
    table = gridworld("lake", slip=0.5, step=-0.1, goal=1.0, pit=-1.0)
    environment = Tabular(table, count=MANY)
    environment.reset(3)
    generator = torch.Generator().manual_seed(0)
    total, weight, going = torch.zeros(MANY), 1.0, torch.ones(MANY)
    for _ in range(120):
        step = environment.step(environment.action.sample(MANY, generator))
        total, going, weight = total + weight * going * step.reward, going * (~step.terminated), weight * 0.9
    worth = policy_values(table, torch.full(table.next.shape[:2], 0.25).double(), 0.9)[0].item()
    assert abs(total.mean().item() - worth) < 5 * total.std().item() / math.sqrt(MANY)


def test_a_bandit_pays_its_means() -> None:
    means = torch.tensor([[0.0, 1.0], [2.0, -3.0]])
    bandit = Bandit(means, count=MANY, noise=0.5)
    seen = bandit.reset(0)
    assert abs(seen[:, 0].mean().item() - 0.5) < 5 * 0.5 / math.sqrt(MANY)
    for arm in (0, 1):
        step = bandit.step(torch.full((MANY,), arm))
        assert step.terminated.all()
        for situation in (0, 1):
            paid = step.reward[seen[:, situation] == 1]
            assert abs(paid.mean().item() - means[situation, arm].item()) < 5 * 0.5 / math.sqrt(len(paid))
            assert abs(paid.std().item() - 0.5) < 5 * 0.5 / math.sqrt(2 * len(paid))
        seen = step.observation


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ("roms", "did you mean 'rooms'"),
        ([], "not equally long"),
        (["S.", "."], "not equally long"),
        (["S?"], "'\\?' is no kind of field"),
        (["..G"], "nowhere to start"),
    ],
)
def test_drawings_that_make_no_world(rows: list[str] | str, text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        gridworld(rows)


def test_tables_that_make_no_world() -> None:
    sound = gridworld(["SG"])
    with pytest.raises(RecipeError, match="next are no probabilities"):
        Table(sound.next * 2, sound.reward, sound.start, sound.ends)
    with pytest.raises(RecipeError, match="start is"):
        Table(sound.next, sound.reward, sound.start[:1], sound.ends)
