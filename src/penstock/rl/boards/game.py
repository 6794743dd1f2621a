"""The rules of a game for two on a board, N games at once. P points of the board, A actions, S symmetries, C planes."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import RecipeError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """N games, each at one of its positions: the player who began is 1, the other -1."""

    board: NDArray[np.int8]
    """(N, P): whose stone stands there, or 0."""
    player: NDArray[np.int8]
    """(N,): whose turn it is."""
    legal: Bools
    """(N, A): what may be done; nothing in a game that is over."""
    moves: NDArray[np.int16]
    """(N,): how many were made."""
    last: NDArray[np.int16]
    """(N,): the action that led here, or -1."""
    over: Bools
    """(N,)"""
    winner: NDArray[np.int8]
    """(N,): 1, -1, or 0 for a draw and while it goes on."""
    history: Ints
    """(N, M): what must not come again; M is 0 where everything may."""

    def __len__(self) -> int:
        return len(self.player)

    def fields(self) -> dict[str, NDArray[Any]]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def take(self, rows: Any) -> Positions:
        """Those of some games, in this order."""
        return Positions(**{name: value[rows] for name, value in self.fields().items()})

    def put(self, rows: Any, others: Positions) -> None:
        """Other positions in the place of these."""
        for mine, theirs in zip(self.fields().values(), others.fields().values(), strict=True):
            mine[rows] = theirs

    def room_for(self, count: int) -> Positions:
        """Nothing yet, in arrays for so many."""
        fields = self.fields().items()
        return Positions(**{name: np.zeros((count, *value.shape[1:]), value.dtype) for name, value in fields})

    @property
    def gain(self) -> Floats:
        """(N,): 1 where the player whose turn it would be has won, -1 where the other has, else 0."""
        return (self.winner * self.player).astype(np.float32)


class BoardGame(ABC):
    """What may be done, and what comes of it. Of all actions on points, action p is to put a stone on point p.

    `symmetries` (S, P) are the ways to look at a board that change nothing: point p is seen where `symmetries[s, p]`
    was; `action_symmetries` (S, A) say the same of actions. The first of them leaves everything where it is.
    """

    name: str
    height: int
    width: int
    planes: int
    actions: int
    longest: int
    """Moves of a game, at most."""
    remembered: int = 0
    """M, of `Positions.history`."""
    symmetries: Ints
    action_symmetries: Ints

    @property
    def points(self) -> int:
        """P"""
        return self.height * self.width

    def begin(self, count: int) -> Positions:
        """So many games at their beginning: empty boards, on which everything may be done."""
        return Positions(
            board=np.zeros((count, self.points), np.int8),
            player=np.ones(count, np.int8),
            legal=np.ones((count, self.actions), bool),
            moves=np.zeros(count, np.int16),
            last=np.full(count, -1, np.int16),
            over=np.zeros(count, bool),
            winner=np.zeros(count, np.int8),
            history=np.zeros((count, self.remembered), np.int64),
        )

    @abstractmethod
    def play(self, positions: Positions, action: Ints) -> Positions:
        """What legal actions (N,) lead to; of games that are not over."""

    @abstractmethod
    def observe(self, positions: Positions) -> NDArray[np.uint8]:
        """What the player whose turn it is sees: (N, C, H, W) of zeros and ones."""

    @abstractmethod
    def action_name(self, action: int) -> str:
        """What players call it."""

    def action_named(self, text: str) -> int:
        """Raises RecipeError where no action is called so."""
        names = [self.action_name(action) for action in range(self.actions)]
        wanted = text.strip().casefold()
        if wanted not in names:
            raise RecipeError("move", f"there is no move {text!r}", f"moves are {names[0]} to {names[-1]}")
        return names.index(wanted)

    def after(self, text: str) -> Positions:
        """One game after the moves that a text names, separated by blanks. Raises RecipeError for one not allowed."""
        found = self.begin(1)
        for word in text.split():
            action = self.action_named(word)
            if found.over[0] or not found.legal[0, action]:
                raise RecipeError("move", f"{word!r} is not allowed after {int(found.moves[0])} moves", "leave it out")
            found = self.play(found, np.array([action]))
        return found

    def settings(self) -> Mapping[str, float]:
        """What else makes the game what it is, by name."""
        return {}


def seen_from(positions: Positions) -> tuple[Bools, Bools]:
    """Where the stones of the player are whose turn it is, and where those of the other: (N, P) each."""
    own = positions.board * positions.player[:, None]
    return own > 0, own < 0


def turns(height: int, width: int) -> Ints:
    """The eight ways to look at a square, or the two at what has no equal sides, up and down being kept: (S, P)."""
    plain = np.arange(height * width).reshape(height, width)
    if height != width:
        return np.stack([plain.ravel(), plain[:, ::-1].ravel()])
    turned = [np.rot90(plain, quarter) for quarter in range(4)]
    return np.stack([view.ravel() for square in turned for view in (square, square[:, ::-1])])
