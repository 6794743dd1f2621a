"""Who may be played against. N games, A actions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import numpy as np

from penstock.core.errors import RecipeError
from penstock.rl.boards.game import BoardGame, Bools, Floats, Ints, Positions
from penstock.rl.boards.search import Evaluate, Search, undecided

SMALL = 16
"""Points of a board below which a game can be solved by going through all of its positions."""


def solvable(game: BoardGame) -> bool:
    """Whether all of its positions can be gone through, and do not depend on what was before."""
    return game.points < SMALL and not game.remembered


class Player(ABC):
    """Chooses moves. `draws` are its random numbers."""

    @abstractmethod
    def choose(self, game: BoardGame, positions: Positions, draws: np.random.Generator) -> Ints:
        """An action for each of N positions that are not over: (N,)."""


@final
class AtRandom(Player):
    """Does whatever is allowed."""

    def choose(self, game: BoardGame, positions: Positions, draws: np.random.Generator) -> Ints:
        """See `Player.choose`."""
        return one_of(positions.legal, draws)


@final
class OnePly(Player):
    """Wins where it can at once, prevents that the other does so with the next move, and else does anything."""

    def choose(self, game: BoardGame, positions: Positions, draws: np.random.Generator) -> Ints:
        """See `Player.choose`."""
        wins = winning(game, positions)
        waited = Positions(**{**positions.fields(), "player": -positions.player})
        threats = winning(game, waited)
        wise = np.where(wins.any(1, keepdims=True), wins, threats)
        return one_of(np.where(wise.any(1, keepdims=True), wise, positions.legal), draws)


@final
class Perfect(Player):
    """Never gives away what can be had, and takes one of the moves that are best, whichever.

    All positions are gone through once. Raises RecipeError for a game that is too large.
    """

    def __init__(self, game: BoardGame) -> None:
        if not solvable(game):
            raise RecipeError("perfect", f"{game.name} is too large to be solved", "name another opponent")
        self._powers = 3 ** np.arange(game.points)
        levels, boards = [game.begin(1)], []
        while len(levels[-1]):
            found = levels[-1]
            rows, actions = found.legal.nonzero()
            after = game.play(found.take(rows), actions)
            _, first = np.unique(self._keys(after), return_index=True)
            boards.append(self._keys(found))
            levels.append(after.take(first))
        self._known = np.sort(np.concatenate(boards))
        self._worth = np.zeros(len(self._known), np.float32)
        for level in reversed(levels[:-1]):
            best = np.where(level.over, level.gain, self.worths(game, level).max(1, initial=-np.inf))
            self._worth[np.searchsorted(self._known, self._keys(level))] = best

    def worths(self, game: BoardGame, positions: Positions) -> Floats:
        """What the player to move gets by each action, from -1 to 1; -infinity where it is not legal: (N, A)."""
        found = np.full(positions.legal.shape, -np.inf, np.float32)
        rows, actions = positions.legal.nonzero()
        if len(rows):
            keys = self._keys(game.play(positions.take(rows), actions))
            found[rows, actions] = -self._worth[np.searchsorted(self._known, keys)]
        return found

    def choose(self, game: BoardGame, positions: Positions, draws: np.random.Generator) -> Ints:
        """See `Player.choose`."""
        worths = self.worths(game, positions)
        return one_of(worths == worths.max(1, keepdims=True), draws)

    def _keys(self, positions: Positions) -> Ints:
        """A number for each board, unlike that of any other: (N,)."""
        found: Ints = (positions.board + 1) @ self._powers
        return found


@final
class Searching(Player):
    """Takes the action into which its search has looked most; with `concentration`, roots are mixed with noise."""

    def __init__(self, search: Search, evaluate: Evaluate = undecided, concentration: float | None = None) -> None:
        self._search, self._evaluate, self._concentration = search, evaluate, concentration

    def choose(self, game: BoardGame, positions: Positions, draws: np.random.Generator) -> Ints:
        """See `Player.choose`."""
        noise = None if self._concentration is None else noise_for(positions.legal, self._concentration, draws)
        found: Ints = self._search(game, positions, self._evaluate, noise).visits.argmax(1)
        return found


def winning(game: BoardGame, positions: Positions) -> Bools:
    """Which actions win at once: (N, A)."""
    found = np.zeros(positions.legal.shape, bool)
    rows, actions = positions.legal.nonzero()
    found[rows, actions] = game.play(positions.take(rows), actions).winner == positions.player[rows]
    return found


def one_of(choices: Bools, draws: np.random.Generator) -> Ints:
    """One of those that are true in each row, whichever: (N, A) to (N,)."""
    found: Ints = np.where(choices, draws.random(choices.shape), -1.0).argmax(1)
    return found


def by_chance(probabilities: Floats, draws: np.random.Generator) -> Ints:
    """An action of each row: (N, A) to (N,)."""
    sums = probabilities.cumsum(1)
    found: Ints = (sums > draws.random((len(sums), 1)) * sums[:, -1:]).argmax(1)
    return found


def noise_for(legal: Bools, concentration: float, draws: np.random.Generator) -> Floats:
    """Probabilities of the legal actions (N, A), of a Dirichlet distribution."""
    found = draws.standard_gamma(concentration, legal.shape).clip(1e-30) * legal
    shares: Floats = (found / found.sum(1, keepdims=True)).astype(np.float32)
    return shares
