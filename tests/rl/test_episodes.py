"""Episodes that are played to be judged."""

from __future__ import annotations

import pytest
import torch
from scripted_worlds import Scripted, actor_of
from torch import nn

from penstock.core.errors import WorkerError
from penstock.rl.acting import Actor
from penstock.rl.cartpole import CartPole
from penstock.rl.episodes import Episodes


def test_the_first_episode_of_each_environment_counts() -> None:
    """Rewards are 1, 2, 3 in the one, which then begins anew, and 101, 102, ... in the other."""
    world = Scripted(["..T", "......C"])
    (batch,) = Episodes(world, actor_of(world), discount=0.5)
    assert batch["length"].tolist() == [3, 7]
    assert batch["return"].tolist() == [6, 7 * 104]
    assert batch["discounted"].tolist() == pytest.approx([1 + 1 + 0.75, sum((101 + t) / 2**t for t in range(7))])
    assert batch["value"].tolist() == [0, 1]


def test_every_iteration_plays_the_same_and_every_turn_others() -> None:
    model = nn.Linear(4, 2)
    source = Episodes(CartPole(count=5), Actor(model, lambda x: model(x).argmax(1)), each=2, seed=3)
    first, again = list(source), list(source)
    assert len(first) == len(source) == 2
    assert [batch["return"].tolist() for batch in first] == [batch["return"].tolist() for batch in again]
    assert first[0]["return"].tolist() != first[1]["return"].tolist()
    assert torch.equal(first[0]["return"], first[0]["length"])  # CartPole gives 1 a step
    assert "value" not in first[0]


def test_an_episode_without_end_is_given_up() -> None:
    world = Scripted(["."])
    with pytest.raises(WorkerError, match="goes on after 20 steps"):
        list(Episodes(world, actor_of(world), longest=20))
