"""Matches: who begins, who wins, how long it took, and how well it was foretold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from penstock.rl.acting import Actor
from penstock.rl.boards.game import BoardGame, Ints, Positions
from penstock.rl.boards.lines import connect_four, tic_tac_toe
from penstock.rl.boards.matches import Matches
from penstock.rl.boards.players import AtRandom, Perfect, Player
from penstock.rl.boards.search import Search


class Sure(nn.Module):
    """Holds one column likely, and the game worth half a win."""

    def __init__(self, column: int, actions: int, strength: float = 4.0) -> None:
        super().__init__()
        self.logits = nn.Parameter(strength * torch.eye(actions)[column])

    def tell(self, seen: Tensor) -> dict[str, Tensor]:
        return {"logits": self.logits.expand(len(seen), -1), "value": torch.full((len(seen),), 0.5)}


class Always(Player):
    """Puts its stone into one column."""

    def __init__(self, column: int) -> None:
        self.column = column

    def choose(self, game: BoardGame, positions: Positions, draws: np.random.Generator) -> Ints:
        return np.full(len(positions), self.column)


def test_what_is_told_of_games_that_can_be_followed_by_hand() -> None:
    """One puts four into a column; beginning, after 7 moves, and answering never, for the other is done before."""
    sure = Sure(2, 7)
    matches = Matches(connect_four(), None, Actor(sure, sure.tell), [Always(5), Always(6)], games=4, seed=0)
    (batch,) = matches
    assert len(matches) == 1
    assert batch["opponent"].tolist() == [0] * 4 + [1] * 4
    assert batch["first"].tolist() == [1, 0] * 4
    assert batch["result"].tolist() == [1, -1] * 4
    assert batch["length"].tolist() == [7, 7] * 4
    assert batch["value_loss"].tolist() == pytest.approx([0.25, 2.25] * 4)
    assert batch["policy_loss"].tolist() == pytest.approx([np.log(np.exp(4) + 6) - 4] * 8)


def test_a_search_sees_what_the_network_does_not() -> None:
    sure = Sure(2, 7, 1.0)
    alone, searching = (
        next(iter(Matches(connect_four(), search, Actor(sure, sure.tell), [Always(5)], games=2, seed=0)))
        for search in (None, Search(simulations=200, exploration=2.0))
    )
    assert alone["result"].tolist() == [1, -1]
    assert searching["result"].tolist() == [1, 1]


def test_they_are_the_same_each_time_and_leave_no_trace() -> None:
    sure = Sure(4, 9)
    matches = Matches(tic_tac_toe(), Search(simulations=10), Actor(sure, sure.tell), [AtRandom()], games=6, seed=3)
    before = torch.random.get_rng_state()
    (one,), (other,) = matches, matches
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_without_a_network_moves_are_made_at_random() -> None:
    game = tic_tac_toe()
    (batch,) = Matches(game, None, None, [AtRandom(), Perfect(game)], games=300, seed=0)
    chance, perfect = batch["result"][:300], batch["result"][300:]
    assert (perfect <= 0).all()
    assert (perfect < 0).double().mean() > 0.7
    first = batch["first"][:300] == 1
    assert (chance[first] == 1).double().mean() == pytest.approx(0.585, abs=0.15)  # of 255,168 by weight of chance
    assert (chance[~first] == 1).double().mean() == pytest.approx(0.288, abs=0.15)
