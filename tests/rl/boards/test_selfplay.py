"""Games against oneself: what is kept of them, drawn of it, and put back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from penstock.core.batch import Batch
from penstock.core.errors import CheckpointError, RecipeError
from penstock.rl.acting import Actor
from penstock.rl.boards.game import BoardGame
from penstock.rl.boards.go import Go
from penstock.rl.boards.lines import connect_four, tic_tac_toe
from penstock.rl.boards.search import Search
from penstock.rl.boards.selfplay import SelfPlay, Trying


class Opinion(nn.Module):
    """Some logits and values; it says in which mode it was asked."""

    def __init__(self, game: BoardGame) -> None:
        super().__init__()
        self.layer = nn.Linear(game.planes * game.points, game.actions + 1)
        self.modes: set[bool] = set()

    def tell(self, seen: Tensor) -> dict[str, Tensor]:
        self.modes.add(self.training)
        told = self.layer(seen.flatten(1))
        return {"logits": told[:, 1:], "value": told[:, 0].tanh()}


def source(game: BoardGame, **changes: object) -> SelfPlay:
    torch.manual_seed(0)
    opinion = Opinion(game)
    settings: dict = {"games": 4, "moves": 5, "batches": 3, "batch_size": 6, "capacity": 50, "seed": 7} | changes
    trying = Trying(concentration=1.0, moves=3)
    return SelfPlay(game, Search(simulations=4), Actor(opinion, opinion.tell), trying, **settings)


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_what_is_kept_is_what_was_played() -> None:
    """Boards grow by a stone a move, and the outcome is told to each player as it was for them."""
    game = tic_tac_toe()
    found = source(game, capacity=5000, games=3, moves=40)
    next(found)
    kept = {name: value.numpy() for name, value in found.tensors().items()}
    seen, outcome, policy = (kept[f"kept.{name}"] for name in ("observation", "outcome", "policy"))
    assert len(seen) > 60
    stones = seen[:, :2].sum((1, 2, 3))
    starts = [*(stones == 0).nonzero()[0], len(stones)]
    results = set()
    for start, end in pairwise(starts):
        assert stones[start:end].tolist() == list(range(end - start))
        mine = outcome[start:end]
        assert (mine[1:] == -mine[:-1]).all()
        for before, after in zip(range(start, end - 1), range(start + 1, end), strict=True):
            assert (seen[after, 1] >= seen[before, 0]).all()  # who moved is the other now, with a stone more
            assert (seen[after, 0] == seen[before, 1]).all()
            move = (seen[after, 1] - seen[before, 0]).ravel()
            assert policy[before][move == 1] > 0
        last = seen[end - 1, 0].ravel()
        lines = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]
        if mine[-1] == 1:  # who moved last has won, with one stone more than is seen
            assert any(last[list(line)].sum() == 2 for line in lines)
        else:
            assert (mine == 0).all()
            assert end - start == 9
        results.add(float(mine[0]))
    assert results >= {1.0, -1.0}
    assert policy.sum(1) == pytest.approx(np.ones(len(policy)), abs=1e-6)
    assert (policy.reshape(-1, 3, 3)[seen[:, 2] == 0] == 0).all()


def test_the_oldest_make_room() -> None:
    game = connect_four()
    small, large = source(game, capacity=20), source(game, capacity=500)
    for _ in range(9):
        next(small), next(large)
    kept, all_of_them = small.tensors(), large.tensors()
    held = int(all_of_them["counts"][2])
    assert held > 20
    assert torch.equal(kept["counts"], all_of_them["counts"])
    newest = all_of_them["kept.observation"][held - 20 : held]
    at = [(held - 20 + i) % 20 for i in range(20)]
    assert torch.equal(kept["kept.observation"][at], newest)


@pytest.mark.parametrize("game", [tic_tac_toe(), connect_four(), Go(3)])
def test_batches_are_views_of_what_is_kept(game: BoardGame) -> None:
    found = source(game)
    batch = next(found)
    kept = found.tensors()
    views = set()
    for row in range(6):
        hits = [
            view
            for view, (points, actions) in enumerate(zip(game.symmetries, game.action_symmetries, strict=True))
            for seen, policy, outcome in zip(*(kept[f"kept.{n}"] for n in ("observation", "policy", "outcome")))
            if torch.equal(seen.flatten(1)[:, points].float(), batch["observation"][row].flatten(1))
            and torch.equal(policy[actions], batch["policy"][row])
            and outcome == batch["outcome"][row]
        ]
        assert hits
        views.update(hits)
    assert len(views) > 1


@pytest.mark.parametrize("game", [tic_tac_toe(), connect_four(), Go(3)])
def test_it_goes_on_as_if_nothing_had_been(game: BoardGame) -> None:
    whole = source(game)
    batches = [next(whole) for _ in range(14)]
    for stop in (0, 1, 3, 7):
        part = source(game)
        for _ in range(stop):
            next(part)
        again = source(game)
        again.load_tensors({name: value.clone() for name, value in part.tensors().items()})
        again.load_state_dict(part.state_dict())
        assert all(equal(next(again), batch) for batch in batches[stop:])
    begun = source(game)
    next(begun)
    begun.load_tensors({})
    begun.load_state_dict({"position": 0})
    assert equal(next(begun), batches[0])


def test_a_batch_that_is_drawn_again_is_the_same() -> None:
    found = source(connect_four())
    for number in range(7):
        before = found.state_dict()
        first = next(found)
        found.load_state_dict(before)
        kept = {name: value.clone() for name, value in found.tensors().items()}
        assert equal(next(found), first)
        assert all(torch.equal(value, kept[name]) for name, value in found.tensors().items()), number


def test_it_acts_in_evaluation_mode_and_learns_as_often_as_it_was_told() -> None:
    found = source(tic_tac_toe(), moves=6)
    opinion = found.actor._module
    opinion.train()
    for _ in range(7):
        next(found)
    assert opinion.modes == {False}
    assert opinion.training
    assert found.epoch_steps == 3
    assert int(found.tensors()["counts"][0]) == 3


def test_a_file_of_another_game_is_refused() -> None:
    one, other = source(tic_tac_toe()), source(Go(3))
    next(one)
    with pytest.raises(CheckpointError):
        other.load_tensors(one.tensors())
    with pytest.raises(CheckpointError):
        source(tic_tac_toe(), games=5).load_tensors(one.tensors())


def test_batches_larger_than_what_is_kept() -> None:
    with pytest.raises(RecipeError, match="60 positions are more than the 50 training examples"):
        source(tic_tac_toe(), batch_size=60)
