"""Games won by lines: counted against what is known of them, won as a plain program sees it, the same in every view."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.core.errors import RecipeError
from penstock.rl.boards.game import BoardGame, Positions
from penstock.rl.boards.lines import Lines, connect_four, tic_tac_toe
from penstock.rl.boards.players import AtRandom


def level_after(game: BoardGame, positions: Positions) -> Positions:
    rows, actions = positions.legal.nonzero()
    return game.play(positions.take(rows), actions)


def test_games_of_connect_four_are_as_many_as_others_have_counted() -> None:
    game, found = connect_four(), []
    positions = game.begin(1)
    for _ in range(6):
        positions = level_after(game, positions)
        found.append(len(positions))
    assert found == [7, 49, 343, 2401, 16807, 117649]


def test_games_and_positions_of_tic_tac_toe_are_as_many_as_others_have_counted() -> None:
    """255,168 games, of which 131,184 are won by the first, 77,904 by the second; 5,478 positions."""
    game, ended, positions = tic_tac_toe(), np.zeros(3, int), tic_tac_toe().begin(1)
    while len(positions):
        positions = level_after(game, positions)
        ended += [(positions.over & (positions.winner == who)).sum() for who in (1, -1, 0)]
    assert ended.tolist() == [131_184, 77_904, 46_080]
    positions, boards = game.begin(1), 1
    while len(positions):
        positions = level_after(game, positions)
        _, first = np.unique(positions.board, axis=0, return_index=True)
        positions, boards = positions.take(first), boards + len(first)
    assert boards == 5478


def lined_up(board: list[list[int]], length: int) -> int:
    """Who has so many in a row, looked for from every point into every direction."""
    for row, line in enumerate(board):
        for column, who in enumerate(line):
            for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
                ends = row + (length - 1) * down, column + (length - 1) * right
                inside = 0 <= ends[0] < len(board) and 0 <= ends[1] < len(line)
                if who and inside and all(board[row + i * down][column + i * right] == who for i in range(length)):
                    return who
    return 0


@pytest.mark.parametrize("game", [tic_tac_toe(), connect_four(), Lines(name="five", height=4, width=5, length=3)])
def test_the_winner_is_whom_a_plain_program_finds(game: Lines) -> None:
    length, draws = game._length, np.random.default_rng(0)
    positions, seen = game.begin(40), 0
    while len(positions):
        positions = game.play(positions, AtRandom().choose(game, positions, draws))
        for row in range(len(positions)):
            board = positions.board[row].reshape(game.height, game.width).tolist()
            assert positions.winner[row] == lined_up(board, length)
            full = all(all(line) for line in board)
            assert positions.over[row] == (full or positions.winner[row] != 0)
            assert positions.legal[row].any() == (not positions.over[row])
        seen += int(positions.over.sum())
        positions = positions.take(~positions.over)
    assert seen == 40


def test_stones_fall_on_one_another() -> None:
    game = connect_four()
    positions = game.after("4 4 4 4 4 4")
    assert positions.board[0].reshape(6, 7)[:, 3].tolist() == [-1, 1, -1, 1, -1, 1]
    assert positions.legal[0].tolist() == [True, True, True, False, True, True, True]
    with pytest.raises(RecipeError, match="'4' is not allowed after 6 moves"):
        game.after("4 4 4 4 4 4 4")
    with pytest.raises(RecipeError, match="moves are 1 to 7"):
        game.after("9")
    assert game.after("1 2 1 2 1 2 1").winner.tolist() == [1]


def test_what_is_seen_is_seen_by_who_moves() -> None:
    seen = tic_tac_toe().observe(tic_tac_toe().after("a1 b2 c3"))[0]
    assert seen[0].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert seen[1].tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert (seen.sum(0) == 1).all()


@pytest.mark.parametrize("game", [tic_tac_toe(), connect_four()])
def test_in_every_view_it_is_the_same_game(game: Lines) -> None:
    draws = np.random.default_rng(1)
    positions = game.begin(30)
    for _ in range(4):
        positions = game.play(positions, AtRandom().choose(game, positions, draws))
    action = AtRandom().choose(game, positions, draws)
    after = game.play(positions, action)
    assert len(game.symmetries) == (2 if game.falling else 8)
    for points, actions in zip(game.symmetries, game.action_symmetries, strict=True):
        fields = positions.fields() | {"board": positions.board[:, points], "legal": positions.legal[:, actions]}
        where = np.argsort(actions)[action]  # the action that is seen there now
        turned = game.play(Positions(**fields), where)
        assert (turned.board == after.board[:, points]).all()
        assert (turned.legal == after.legal[:, actions]).all()
        assert (turned.winner == after.winner).all()
