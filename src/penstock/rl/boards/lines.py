"""Games that are won by stones in a row. N games, P points, L lines, A actions."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

from penstock.rl.boards.game import BoardGame, Bools, Floats, Ints, Positions, seen_from, turns


@final
class Lines(BoardGame):
    """Who first has `length` stones in a row, a column or a diagonal, has won; when the board is full, nobody.

    With `falling`, an action is a column, in which the stone falls down to the lowest free point: connect four.
    """

    planes = 3

    def __init__(self, *, name: str, height: int, width: int, length: int, falling: bool = False) -> None:
        self.name, self.height, self.width, self.falling = name, height, width, falling
        self.longest = height * width
        self.actions = width if falling else height * width
        self._length = length
        self._lines = _incidence(height, width, length)
        views = turns(height, width)
        self.symmetries = views[:2] if falling else views  # whose second one is the mirror
        columns = np.arange(width)
        self.action_symmetries = np.stack([columns, columns[::-1]]) if falling else views

    def play(self, positions: Positions, action: Ints) -> Positions:
        """See `BoardGame.play`."""
        rows, board, player = np.arange(len(positions)), positions.board.copy(), positions.player
        board[rows, self._landing(positions.board, action)] = player
        own: Floats = (board == player[:, None]).astype(np.float32)  # (N, P)
        won = (own @ self._lines >= self._length).any(1)
        moves = positions.moves + np.int16(1)
        over = won | (moves == self.points)
        free: Bools = (board[:, : self.width] == 0) if self.falling else (board == 0)
        return Positions(
            board=board,
            player=-player,
            legal=free & ~over[:, None],
            moves=moves,
            last=action.astype(np.int16),
            over=over,
            winner=np.where(won, player, np.int8(0)),
            history=positions.history,
        )

    def observe(self, positions: Positions) -> NDArray[np.uint8]:
        """Own stones, the other's, and free points: beyond the edge there is none of them."""
        planes = np.stack([*seen_from(positions), positions.board == 0], 1).view(np.uint8)
        return planes.reshape(-1, self.planes, self.height, self.width)

    def action_name(self, action: int) -> str:
        """Columns are counted from 1; points are a letter, of the column, and a number, of the row from below."""
        if self.falling:
            return str(action + 1)
        return point_name(action, self.height, self.width)

    def _landing(self, board: NDArray[np.int8], action: Ints) -> Ints:
        """The points where stones come to lie: (N,)."""
        if not self.falling:
            return action
        columns = board.reshape(-1, self.height, self.width)[np.arange(len(board)), :, action]
        found: Ints = ((columns == 0).sum(1) - 1) * self.width + action
        return found


def tic_tac_toe() -> Lines:
    """Three in a row on a board of three by three."""
    return Lines(name="tic-tac-toe", height=3, width=3, length=3)


def connect_four() -> Lines:
    """Four in a row on a board of six by seven that stands upright."""
    return Lines(name="connect-four", height=6, width=7, length=4, falling=True)


def point_name(point: int, height: int, width: int) -> str:
    """As in chess: a1 is at the lower left."""
    row, column = divmod(point, width)
    return f"{chr(ord('a') + column)}{height - row}"


def _incidence(height: int, width: int, length: int) -> Floats:
    """Which points lie on which line: (P, L) of zeros and ones."""
    found = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        for row in range(height):
            for column in range(width):
                cells = [(row + i * down, column + i * right) for i in range(length)]
                if all(0 <= r < height and 0 <= c < width for r, c in cells):
                    line = np.zeros(height * width, np.float32)
                    line[[r * width + c for r, c in cells]] = 1
                    found.append(line)
    return np.stack(found, 1)
