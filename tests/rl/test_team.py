"""Games of several agents: rows in their order, who leaves early, the end of a game, faults in a line; marks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from penstock.core.errors import CheckpointError, RecipeError, WorkerError
from penstock.core.random import derive
from penstock.nn.marks import marked, unmarked
from penstock.rl import parallel
from penstock.rl.acting import Actor
from penstock.rl.episodes import Episodes
from penstock.rl.gym_environment import GymEnvironment
from penstock.rl.maker import Maker
from penstock.rl.marked import Marked, marked_space, plain_space
from penstock.rl.spaces import Box, Discrete, Space
from penstock.rl.wrapper import Stacked

pytest.importorskip("pettingzoo", reason="needs penstock[multi-agent]")
OWN = str(Path(__file__).parents[1] / "own_teams.py")
ACTION = torch.arange(6) % 3


def relay(wrong: str = "", *, name: str = "Relay", **options: Any) -> Maker:
    return Maker(name=name, module=OWN, options={"wrong": wrong}, **options)


@pytest.fixture
def made() -> Iterator[Any]:
    """Makes environments, and closes them all."""
    all_made: list[GymEnvironment] = []

    def make(maker: Maker, **settings: Any) -> GymEnvironment:
        all_made.append(GymEnvironment(maker, **settings))
        return all_made[-1]

    yield make
    for each in all_made:
        each.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_the_agents_of_a_game_lie_side_by_side(made: Any, workers: int) -> None:
    world = made(relay(), count=4, workers=workers)
    assert (world.count, world.agents, world.size, world.speed) == (6, ("ann", "bob", "cyd"), 3, 7)
    assert (world.observation, world.action, world.exact) == (Box((3,), -50.0, 50.0), Discrete(3), False)
    assert world.check() == []
    seen = world.reset(3)
    assert seen[:, 0].tolist() == [0, 1, 2, 0, 1, 2]
    for game in (0, 1):
        drawn = np.random.default_rng(derive(3, "environment", 0, game) % (1 << 31)).normal()
        assert seen[3 * game : 3 * game + 3, 2].tolist() == pytest.approx([drawn] * 3)
    step = world.step(ACTION)
    assert step.reward.tolist() == [2, 13, 24, 2, 13, 24]  # actions begin at 2
    assert not step.done.any()
    assert step.final.equal(step.observation)


@pytest.mark.parametrize("limit", [None, 3])
def test_who_leaves_early_waits_for_the_end_of_the_game(made: Any, limit: int | None) -> None:
    """Ann is terminated at 2, Bob cut off at 4, Cyd terminated at 5; a limit cuts off who is still there."""
    world = made(relay(limit=limit), count=3)
    first = world.reset(0)
    steps = [world.step(ACTION[:3]) for _ in range(limit or 5)]
    T, C, absent = "T", "C", "-"
    expected = [["", "", ""], [T, "", ""], [absent, "", ""], [absent, C, ""], [absent, absent, T]]
    if limit:
        expected = [*expected[:2], [absent, C, C]]
    for number, (step, row) in enumerate(zip(steps, expected, strict=True), 1):
        for agent, word in enumerate(row):
            assert bool(step.terminated[agent]) == (word in (T, absent)), (number, agent)
            assert bool(step.truncated[agent]) == (word == C)
            assert step.reward[agent] == (0 if word == absent else 11 * agent + 2)
            assert step.final[agent].tolist() == (
                [0, 0, 0] if word == absent else [agent, number, pytest.approx(first[0, 2].item())]
            )
            over = number == len(steps)
            if over:
                assert step.observation[agent, :2].tolist() == [agent, 0]
                assert step.observation[agent, 2] != first[0, 2]
            else:
                left = word != ""
                assert step.observation[agent].equal(torch.zeros(3) if left else step.final[agent])
    assert world.step(ACTION[:3]).reward.tolist() == [2, 13, 24]  # all are back


@pytest.mark.parametrize("workers", [0, 1])
def test_it_goes_on_from_what_was_saved(made: Any, workers: int) -> None:
    """In the middle of a game, when one has left."""
    first, second = (made(relay(name="Kept"), count=6, workers=workers) for _ in range(2))
    assert first.exact
    generator = torch.Generator().manual_seed(0)
    first.reset(0)
    for _ in range(8):
        seen = first.step(first.action.sample(6, generator)).observation
    state = {name: value.clone() for name, value in first.state_dict().items()}
    assert second.load_state_dict(state).equal(seen)
    for _ in range(12):
        action = first.action.sample(6, generator)
        one, two = first.step(action), second.step(action)
        for name in ("observation", "final", "reward", "terminated", "truncated"):
            assert getattr(one, name).equal(getattr(two, name))
    with pytest.raises(CheckpointError, match="it holds 2 environments"):
        made(relay(name="Kept"), count=3).load_state_dict(state)


FAULTS = [
    ("shape", "its observation of ann at reset has the shape (1,), expected (3,)"),
    ("bounds", "expected within [-50.0, 50.0]"),
    ("foreign", "its agents have dan, and its possible_agents do not"),
    ("empty", "after reset it has no agents"),
    ("lost", "ann has left at step 1, neither terminated nor truncated"),
    ("silent", "its reward at step 1 has nothing for cyd"),
    ("list", "its reward is list, expected a dict by agent"),
    ("nan", "its reward is not finite at step 1"),
    ("flag", "terminated and truncated of bob at step 1 are bool and str, expected True or False"),
]


@pytest.mark.parametrize(("wrong", "text"), FAULTS)
def test_the_check_says_what_was_expected_and_what_came(made: Any, wrong: str, text: str) -> None:
    with pytest.raises(WorkerError) as caught:
        made(relay(wrong), count=3).check()
    assert text in str(caught.value)
    assert str(caught.value).startswith("environment 0: ")


def test_one_that_is_not_reproducible_is_told_of(made: Any) -> None:
    (line,) = made(relay("another"), count=3).check()
    assert "not reproducible" in line


def test_what_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"ann sees Box.*\(3,\).*, and bob sees Box.*\(4,\)"):
        GymEnvironment(relay("unequal"), count=1)
    with pytest.raises(RecipeError, match="has no agents"):
        GymEnvironment(relay("nobody"), count=1)
    with pytest.raises(RecipeError, match="no game 'pettingzoo/sisl/persuit_v5'; did you mean 'pursuit_v5'"):
        GymEnvironment(Maker(name="pettingzoo/sisl/persuit_v5"), count=1)
    with pytest.raises(RecipeError, match="no parallel_env"):
        GymEnvironment(Maker(name="pettingzoo/utils/env"), count=1)
    monkeypatch.setitem(sys.modules, "pettingzoo.sisl.pursuit_v5", None)
    with pytest.raises(RecipeError, match=r"more than is installed.*pip install 'pettingzoo\[sisl\]'"):
        GymEnvironment(Maker(name="pettingzoo/sisl/pursuit_v5"), count=1)
    monkeypatch.setattr(parallel.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"needs mpe2; pip install 'penstock\[multi-agent\]'"):
        GymEnvironment(Maker(name="mpe2/simple_spread_v3"), count=1)


def test_episodes_are_games(made: Any) -> None:
    """The means of the agents, and each of them; the length is that of who stays longest."""
    world, module = made(relay(), count=6), torch.nn.Linear(1, 1)
    actor = Actor(module, lambda seen: {"action": torch.zeros(len(seen), dtype=torch.int64), "value": seen[:, 0]})
    (batch,) = Episodes(world, actor, discount=0.5)
    each = [2 * 2, 4 * 12, 5 * 22]
    assert {name: len(value) for name, value in batch.items()} == dict.fromkeys(batch, 2)
    assert batch["return"].tolist() == [sum(each) / 3] * 2
    assert [batch[f"return_{name}"].tolist() for name in world.agents] == [[value] * 2 for value in each]
    assert batch["length"].tolist() == [5, 5]
    assert batch["value"].tolist() == [1, 1]
    discounted = [reward * (2 - 2 * 0.5**steps) for reward, steps in ((2, 2), (12, 4), (22, 5))]
    assert batch["discounted"].tolist() == pytest.approx([sum(discounted) / 3] * 2)


SPACES = [
    (Box((3,), -1.0, 2.0), torch.float32),
    (Box((3,), (-1.0, 0.0, 0.5), (2.0, 9.0, 1.0)), torch.float32),
    (Box((), 0.0, 1.0), torch.float32),
    (Box((2, 3), 0.0, 1.0), torch.float32),
    (Box((4, 5, 6), 0, 255, torch.uint8), torch.uint8),
    (Box((4, 5, 6), 0.0, 1.0), torch.float32),
    (Discrete(7), torch.int64),
]


@pytest.mark.parametrize(("space", "dtype"), SPACES)
def test_marks_are_put_on_and_taken_off(space: Space, dtype: torch.dtype) -> None:
    values, which = space.sample(20, torch.Generator().manual_seed(0)), torch.arange(20) % 3
    states = space.count if isinstance(space, Discrete) else None
    bearing, inside = marked(values, which, 3, states), marked_space(space, 3)
    assert (bearing.shape, bearing.dtype) == ((20, *inside.shape), dtype)
    assert inside.contains(bearing).all()
    rest, found = unmarked(bearing, 3, states)
    assert found.equal(which)
    assert rest.reshape(values.shape).equal(values)
    assert plain_space(inside, 3).contains(rest).all()
    if states is None and values.dim() == 4:
        assert bearing[:, -3:].flatten(2).float().std(2).max() == 0
        assert bearing[1, -3:, 0, 0].tolist() == [0, 255 if dtype == torch.uint8 else 1, 0]
    if states is None and values.dim() < 4:
        assert bearing[1, -3:].tolist() == [0, 1, 0]


def test_every_agent_sees_who_it_is(made: Any) -> None:
    world = Marked(Stacked(made(relay(), count=6), 2))
    assert world.observation == Box((9,), -50.0, 50.0)
    marks = torch.eye(3).repeat(2, 1)

    def bears(seen: Tensor) -> bool:
        return seen[:, -3:].equal(marks)

    assert bears(world.reset(0))
    for _ in range(6):
        step = world.step(ACTION)
        assert bears(step.observation)
        assert bears(step.final)
    assert bears(world.load_state_dict(world.state_dict()))
    with pytest.raises(RecipeError, match="everybody is alone"):
        Marked(made(Maker(name="CartPole-v1"), count=1))


def test_a_game_of_a_library(made: Any) -> None:
    mpe2 = pytest.importorskip("mpe2.simple_spread_v3", reason="needs penstock[multi-agent]")
    world, theirs = made(Maker(name="mpe2/simple_spread_v3"), count=3), mpe2.parallel_env()
    assert world.check() == []
    seen = world.reset(5)
    first, _ = theirs.reset(seed=derive(5, "environment", 0, 0) % (1 << 31))
    assert [row.tolist() for row in seen] == [first[agent].tolist() for agent in world.agents]
    for number in range(1, 26):
        step = world.step(ACTION[:3])
        final, reward, *_ = theirs.step(dict(zip(world.agents, ACTION[:3].tolist(), strict=True)))
        assert [row.tolist() for row in step.final] == [final[agent].tolist() for agent in world.agents]
        assert step.reward.tolist() == pytest.approx([reward[agent] for agent in world.agents])
        assert step.truncated.all() == (number == 25)
    assert not step.terminated.any()
