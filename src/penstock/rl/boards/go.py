"""Go. N games, P points, A actions: the points, and to pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import RecipeError
from penstock.rl.boards.game import BoardGame, Bools, Ints, Positions, seen_from, turns
from penstock.rl.boards.lines import point_name

Stones = NDArray[np.int8]
KOMI = 7.5
"""Points that the second player has beforehand, by the Chinese rules."""


@dataclass(frozen=True, slots=True)
class _Groups:
    """Stones that hang together, and stretches of empty points. (N, P) each, of the group that a point belongs to."""

    label: Ints
    """One of its points."""
    free: Ints
    """Empty neighbours of its stones, counted once for each stone."""
    single: Bools
    """Whether these are one and the same point: the next move there takes the group, or saves it."""
    hash: Ints


@final
class Go(BoardGame):
    """Go on a square board: Tromp and Taylor's rules, except that nobody may take their own stones.

    A stone that leaves stones of the other without a free neighbour takes them. No board may come again, whoever's
    turn it is (positional superko). After two passes, or `longest` moves, each has the points on which their stones
    stand, and the empty ones that are neighbours to theirs alone; the second player has `komi` more. Groups are found
    by spreading labels; that a group has one liberty is seen from sums over the points: count * sum(p^2) = sum(p)^2.
    """

    planes = 5

    def __init__(self, size: int, *, komi: float = KOMI) -> None:
        if not 2 <= size <= 19:
            raise RecipeError("go", f"a board of {size} by {size}", "give a size from 2 to 19")
        self.name, self.height, self.width, self.komi = f"go-{size}", size, size, komi
        points = size * size
        self.actions, self.longest = points + 1, 3 * points
        self.remembered = self.longest + 1  # hashes of boards; that of an empty one is 0, and comes once
        self.symmetries = turns(size, size)
        passing = np.full((len(self.symmetries), 1), points)
        self.action_symmetries = np.concatenate([self.symmetries, passing], 1)
        self._neighbours = _neighbours(size)  # (P, 4); P where there is none
        self._numbers = np.random.default_rng(19).integers(-(1 << 62), 1 << 62, points, np.int64)  # of boards' hashes

    def settings(self) -> Mapping[str, float]:
        """What the second player has beforehand."""
        return {"komi": self.komi}

    def play(self, positions: Positions, action: Ints) -> Positions:
        """See `BoardGame.play`."""
        board, player = positions.board.copy(), positions.player
        put = (action < self.points).nonzero()[0]
        board[put, action[put]] = player[put]
        groups = self._groups(board)
        taken = (board == -player[:, None]) & (groups.free == 0)
        if len(rows := taken.any(1).nonzero()[0]):
            board[taken] = 0
            again = self._groups(board[rows])
            for name in ("label", "free", "single", "hash"):
                getattr(groups, name)[rows] = getattr(again, name)
        moves = positions.moves + np.int16(1)
        history = positions.history.copy()
        now = board @ self._numbers  # of int64, which wraps
        history[np.arange(len(board)), moves] = now
        passed_twice = (action == self.points) & (positions.last == self.points)
        over = passed_twice | (moves >= self.longest)
        legal = np.ones((len(board), self.actions), bool)
        legal[:, :-1] = self._may_put(board, -player, groups, now, history)
        winner = np.zeros(len(board), np.int8)
        if len(ended := over.nonzero()[0]):
            winner[ended] = np.sign(self.lead(board[ended])).astype(np.int8)
        return Positions(
            board=board,
            player=-player,
            legal=legal & ~over[:, None],
            moves=moves,
            last=action.astype(np.int16),
            over=over,
            winner=winner,
            history=history,
        )

    def lead(self, board: Stones) -> NDArray[np.float64]:
        """The first player's points less the second's, komi counted: (N, P) to (N,)."""
        label, rows = self._labels(board), np.arange(len(board))[:, None]
        around, inside = _beside(board, self._neighbours), self._neighbours < self.points  # (N, P, 4), (P, 4)
        borders = []
        for player in (1, -1):
            touched = np.zeros(board.shape, bool)
            np.logical_or.at(touched, (rows, label), ((around == player) & inside).any(2))
            borders.append(np.take_along_axis(touched, label, 1))
        first, second = borders
        owned = np.where(board != 0, board, (first & ~second).astype(np.int8) - (second & ~first))
        lead: NDArray[np.float64] = owned.sum(1) - self.komi
        return lead

    def observe(self, positions: Positions) -> NDArray[np.uint8]:
        """Own stones, the other's, points where one may be put, whether the other has passed, whose turn it is."""
        own, other = seen_from(positions)
        passed = np.repeat((positions.last == self.points)[:, None], self.points, 1)
        first = np.repeat((positions.player == 1)[:, None], self.points, 1)
        planes = np.stack([own, other, positions.legal[:, :-1], passed, first], 1).view(np.uint8)
        return planes.reshape(-1, self.planes, self.height, self.width)

    def action_name(self, action: int) -> str:
        """A letter, of the column, and a number, of the row from below; or pass."""
        return "pass" if action == self.points else point_name(action, self.height, self.width)

    def _may_put(self, board: Stones, player: Stones, groups: _Groups, now: Ints, history: Ints) -> Bools:
        """Where `player` (N,) may put a stone: (N, P)."""
        near = self._neighbours
        beside, single = _beside(board, near), _beside(groups.single, near)  # (N, P, 4)
        label, hashes = _beside(groups.label, near), _beside(groups.hash, near)
        inside = near < self.points
        own, other = ((beside == who) & inside for who in (player[:, None, None], -player[:, None, None]))
        taken = other & single  # their only liberty is the point itself
        breathes = ((beside == 0) & inside) | taken | (own & ~single)
        once = taken.copy()  # of each group, one stone
        for later in range(1, 4):
            for earlier in range(later):
                once[:, :, later] &= ~(taken[:, :, earlier] & (label[:, :, earlier] == label[:, :, later]))
        then = now[:, None] + player[:, None] * self._numbers - (hashes * once).sum(2)
        found: Bools = (board == 0) & breathes.any(2)
        rows, points = (found & taken.any(2)).nonzero()  # only who takes stones can come back to what was before
        found[rows, points] = ~(history[rows] == then[rows, points][:, None]).any(1)
        return found

    def _groups(self, board: Stones) -> _Groups:
        label = self._labels(board)
        count, points = board.shape
        flat = (np.arange(count)[:, None] * points + label).ravel()
        free = (_beside(board, self._neighbours) == 0) & (self._neighbours < points)  # (N, P, 4)
        where = self._neighbours * free
        sums = [np.bincount(flat, part.sum(2).ravel(), count * points) for part in (free, where, where * where)]
        many, first, second = (np.rint(part[flat]).astype(np.int64).reshape(board.shape) for part in sums)
        hashes = np.zeros(count * points, np.int64)
        np.add.at(hashes, flat, (board * self._numbers).ravel())
        return _Groups(label, many, (many > 0) & (many * second == first * first), hashes[flat].reshape(board.shape))

    def _labels(self, board: Stones) -> Ints:
        """The smallest point that each point is joined to by points of its colour: (N, P)."""
        near = self._neighbours
        joined = (_beside(board, near) == board[:, :, None]) & (near < self.points)
        label = np.repeat(np.arange(self.points)[None], len(board), 0)
        while True:
            smallest = np.where(joined, _beside(label, near), self.points).min(2)
            found = np.minimum(label, smallest)
            found = np.take_along_axis(found, found, 1)  # what one's label is joined to, one is joined to
            if (found == label).all():
                return label
            label = found


def _beside(values: NDArray[Any], neighbours: Ints) -> NDArray[Any]:
    """What stands on the neighbours of each point, and anything where there is none: (N, P) to (N, P, 4)."""
    return values[:, np.minimum(neighbours, values.shape[1] - 1)]


def _neighbours(size: int) -> Ints:
    found = np.full((size * size, 4), size * size)
    for point in range(size * size):
        row, column = divmod(point, size)
        for at, (down, right) in enumerate(((1, 0), (-1, 0), (0, 1), (0, -1))):
            if 0 <= row + down < size and 0 <= column + right < size:
                found[point, at] = (row + down) * size + column + right
    return found
