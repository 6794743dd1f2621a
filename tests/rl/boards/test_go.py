"""Go: taking, suicide, ko, scores by hand, and whole games at random beside a plain program."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.core.errors import RecipeError
from penstock.rl.boards.game import Positions
from penstock.rl.boards.go import Go
from penstock.rl.boards.players import AtRandom

Board = tuple[int, ...]


def around(size: int, point: int) -> list[int]:
    row, column = divmod(point, size)
    places = ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1))
    return [r * size + c for r, c in places if 0 <= r < size and 0 <= c < size]


def filled(size: int, board: Board, start: int) -> tuple[set[int], set[int]]:
    """The points of one colour that hang together with a point, and the points next to them."""
    inside, edge, open_ones = {start}, set(), [start]
    while open_ones:
        for point in around(size, open_ones.pop()):
            if board[point] != board[start]:
                edge.add(point)
            elif point not in inside:
                inside.add(point)
                open_ones.append(point)
    return inside, edge


def put(size: int, board: Board, point: int, who: int) -> Board | None:
    """The board after a stone; None where it may not be put, superko aside."""
    if board[point]:
        return None
    after = list(board)
    after[point] = who
    for near in around(size, point):
        if after[near] == -who:
            inside, edge = filled(size, tuple(after), near)
            if all(after[place] for place in edge):
                for place in inside:
                    after[place] = 0
    _, edge = filled(size, tuple(after), point)
    return None if all(after[place] for place in edge) else tuple(after)


def lead(size: int, board: Board) -> int:
    """Points of the first player less those of the second."""
    total = sum(board)
    seen: set[int] = set()
    for point in range(size * size):
        if board[point] == 0 and point not in seen:
            inside, edge = filled(size, board, point)
            seen |= inside
            colours = {board[place] for place in edge}
            total += len(inside) * sum(colours) if len(colours) == 1 else 0
    return total


@pytest.mark.parametrize(("size", "games"), [(3, 12), (4, 8), (5, 4)])
def test_games_at_random_go_as_in_a_plain_program(size: int, games: int) -> None:
    game, draws = Go(size, komi=0.5), np.random.default_rng(size)
    positions, passing = game.begin(games), size * size
    boards: list[list[Board]] = [[(0,) * passing] for _ in range(games)]
    numbers, taken, again = list(range(games)), 0, 0
    while len(positions):
        who = int(positions.player[0])
        for row, number in enumerate(numbers):
            allowed = [put(size, boards[number][-1], point, who) for point in range(passing)]
            wanted = [after is not None and after not in boards[number] for after in allowed]
            assert positions.legal[row].tolist() == [*wanted, True]
            again += sum(after in boards[number] for after in allowed)
        action = AtRandom().choose(game, positions, draws)
        positions = game.play(positions, action)
        for row, number in enumerate(numbers):
            before = boards[number][-1]
            after = before if action[row] == passing else put(size, before, int(action[row]), who)
            assert after is not None
            assert positions.board[row].tolist() == list(after)
            taken += before.count(-who) - after.count(-who)
            boards[number].append(after)
            if positions.over[row]:
                assert positions.winner[row] == (1 if lead(size, after) > 0.5 else -1)
                assert not positions.legal[row].any()
        numbers = [number for number, over in zip(numbers, positions.over, strict=True) if not over]
        positions = positions.take(~positions.over)
    assert taken > 10
    assert again > 0 or size > 3  # superko was in the way


def board_of(game: Go, rows: str) -> Positions:
    """A board drawn with x, o and dots; x is to move."""
    signs = {"x": 1, "o": -1, ".": 0}
    board = np.array([[signs[sign] for sign in rows.replace(" ", "")]], np.int8)
    begun = game.begin(1)
    found = Positions(**{**begun.fields(), "board": board, "player": np.array([-1], np.int8)})
    return game.play(found, np.array([game.points]))  # who is to move is known after a pass


def test_a_stone_without_a_free_neighbour_is_taken() -> None:
    game = Go(3)
    positions = game.after("b2 a2 a3 c1 a1")
    assert positions.board[0].reshape(3, 3).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, -1]]


def test_nobody_takes_their_own_stones() -> None:
    positions = board_of(Go(3), ".o. o.. ...")
    assert positions.legal[0].tolist() == [False, False, True, False, True, True, True, True, True, True]
    positions = board_of(Go(3), ".ox oxx xx.")
    assert positions.legal[0, 0]  # it takes what would have taken it
    positions = board_of(Go(2), ".o oo")
    assert positions.legal[0, 0]
    assert Go(2).play(positions, np.array([0])).board[0].tolist() == [1, 0, 0, 0]


def test_what_was_may_not_come_again() -> None:
    """A ko: x at b2 takes c2; o must not take back at once, and may after both have played elsewhere."""
    game = Go(5)
    opening = "b4 c4 a3 d3 b2 c2 c3 e5 e1 b3"
    positions = game.after(opening)
    assert positions.board[0].reshape(5, 5)[2].tolist() == [1, -1, 0, -1, 0]
    ko = game.action_named("c3")
    assert not positions.legal[0, ko]
    later = game.after(f"{opening} e4 a5")
    assert later.legal[0, ko]


@pytest.mark.parametrize(
    ("rows", "points"),
    [("... ... ...", 0), ("x.. ... ...", 9), ("x.o x.o x.o", 0), ("xxo .xo xxo", 3), ("xx. xxo .oo", 1)],
)
def test_each_has_stones_and_what_they_enclose(rows: str, points: int) -> None:
    game = Go(3, komi=0)
    assert game.lead(board_of(game, rows).board).tolist() == [points]
    assert Go(3, komi=2.5).lead(board_of(game, rows).board).tolist() == [points - 2.5]


def test_two_passes_end_it_and_komi_decides() -> None:
    assert Go(5).after("pass pass").winner.tolist() == [-1]
    assert Go(5).after("c3 pass pass").winner.tolist() == [1]
    assert Go(5, komi=25).after("c3 pass pass").winner.tolist() == [0]
    with pytest.raises(RecipeError, match="not allowed after 2 moves"):
        Go(5).after("pass pass c3")


def test_it_ends_even_if_nobody_passes() -> None:
    game, draws = Go(2), np.random.default_rng(0)
    positions = game.begin(64)
    for _ in range(game.longest):
        assert (positions.moves < game.longest).all()
        action = AtRandom().choose(game, positions, draws)
        positions = game.play(positions, action)
        positions = positions.take(~positions.over)
    assert not len(positions)


def test_in_every_view_it_is_the_same_game() -> None:
    game, draws = Go(4), np.random.default_rng(2)
    positions = game.begin(20)
    for _ in range(12):
        positions = game.play(positions, AtRandom().choose(game, positions, draws))
        positions = positions.take(~positions.over)
    assert len(positions) > 5
    for points, actions in zip(game.symmetries, game.action_symmetries, strict=True):
        turned = Positions(**(positions.fields() | {"board": positions.board[:, points]}))
        assert (game.lead(turned.board) == game.lead(positions.board)).all()
        bare = Positions(**(positions.fields() | {"history": np.zeros_like(positions.history)}))
        bare_turned = Positions(**(turned.fields() | {"history": bare.history}))
        passing = np.full(len(positions), game.points)
        one, other = game.play(bare, passing), game.play(bare_turned, passing)
        assert (other.legal == one.legal[:, actions]).all()


@pytest.mark.parametrize("size", [1, 20])
def test_sizes_that_nobody_plays(size: int) -> None:
    with pytest.raises(RecipeError, match="from 2 to 19"):
        Go(size)
