"""Who is played against: by whole tables, and beside a plain minimax."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from penstock.core.errors import RecipeError
from penstock.rl.boards.game import Positions
from penstock.rl.boards.go import Go
from penstock.rl.boards.lines import Lines, connect_four, tic_tac_toe
from penstock.rl.boards.players import AtRandom, OnePly, Perfect, Player, Searching, by_chance, winning
from penstock.rl.boards.search import Search

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


@cache
def minimax(board: tuple[int, ...], who: int) -> int:
    """What the player to move can have."""
    if any(board[a] == board[b] == board[c] == -who for a, b, c in LINES):
        return -1
    free = [place for place in range(9) if not board[place]]
    if not free:
        return 0
    return max(-minimax((*board[:place], who, *board[place + 1 :]), -who) for place in free)


def test_perfect_play_is_that_of_minimax_in_every_position() -> None:
    game = tic_tac_toe()
    perfect, positions, seen = Perfect(game), game.begin(1), 0
    while len(positions):
        worths = perfect.worths(game, positions)
        for row in range(len(positions)):
            board, who = tuple(positions.board[row].tolist()), int(positions.player[row])
            for place in range(9):
                wanted = -np.inf
                if positions.legal[row, place]:
                    wanted = -minimax((*board[:place], who, *board[place + 1 :]), -who)
                assert worths[row, place] == wanted
            seen += 1
        rows, actions = positions.legal.nonzero()
        positions = game.play(positions.take(rows), actions)
        _, first = np.unique(positions.board, axis=0, return_index=True)
        positions = positions.take(first).take(~positions.over[first])
    assert seen == 4520  # positions that are not over


def test_perfect_players_draw_in_many_ways() -> None:
    game, draws = tic_tac_toe(), np.random.default_rng(0)
    end = played(game, Perfect(game), Perfect(game), 50, draws)
    assert (end.winner == 0).all()
    assert len(np.unique(end.board, axis=0)) > 10


def played(game: Lines, first: Player, second: Player, count: int, draws: np.random.Generator) -> Positions:
    positions = game.begin(count)
    while not positions.over.all():
        rows = (~positions.over).nonzero()[0]
        player = first if positions.player[rows[0]] == 1 else second
        action = player.choose(game, positions.take(rows), draws)
        positions.put(rows, game.play(positions.take(rows), action))
    return positions


def test_nobody_beats_a_perfect_player() -> None:
    game, draws = tic_tac_toe(), np.random.default_rng(1)
    for other in (AtRandom(), OnePly()):
        assert (played(game, Perfect(game), other, 60, draws).winner >= 0).all()
        assert (played(game, other, Perfect(game), 60, draws).winner <= 0).all()


@pytest.mark.parametrize("game", [connect_four(), Go(3)])
def test_large_games_are_not_solved(game: Lines) -> None:
    with pytest.raises(RecipeError, match="too large to be solved"):
        Perfect(game)


def test_one_ply_wins_or_else_prevents() -> None:
    game, draws = connect_four(), np.random.default_rng(2)
    many = np.zeros(50, int)
    both = game.after("1 2 1 2 1 2").take(many)
    assert winning(game, both)[0].tolist() == [True] + [False] * 6
    assert (OnePly().choose(game, both, draws) == 0).all()
    threat = game.after("1 2 1 2 1").take(many)
    assert (OnePly().choose(game, threat, draws) == 0).all()
    calm = game.after("1 2").take(many)
    assert len(set(OnePly().choose(game, calm, draws).tolist())) == 7


def test_better_players_win_more() -> None:
    """A search that knows nothing of the game but its rules beats the one-ply player, and that one chance."""
    game, draws = connect_four(), np.random.default_rng(3)
    assert (played(game, OnePly(), AtRandom(), 30, draws).winner == 1).mean() > 0.8
    seeing = Searching(Search(simulations=100), concentration=1.0)
    assert (played(game, seeing, OnePly(), 20, draws).winner == 1).mean() > 0.6


def test_draws_follow_the_probabilities() -> None:
    shares = np.repeat(np.array([[0.0, 0.2, 0.5, 0.3]], np.float32), 5000, 0)
    counts = np.bincount(by_chance(shares, np.random.default_rng(0)), minlength=4) / 5000
    assert counts[0] == 0
    assert counts == pytest.approx([0, 0.2, 0.5, 0.3], abs=5 * 0.5 / np.sqrt(5000))
