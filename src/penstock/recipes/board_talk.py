"""A game between someone who types moves and a model that has learned it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from penstock.core.errors import RecipeError
from penstock.rl.boards.game import BoardGame, Positions

if TYPE_CHECKING:
    from penstock.recipes.board_player import BoardPlayer

STONES = {1: "X", -1: "O", 0: "."}


def drawn(game: BoardGame, position: Positions) -> str:
    """One board in letters: the first player's stones are X, the other's O."""
    board = position.board[0].reshape(game.height, game.width)
    stones = ["".join(f" {STONES[int(stone)]} " for stone in row) for row in board]
    lines = [f"{game.height - row:>2} {line}" for row, line in enumerate(stones)]
    return "\n".join([*lines, "   " + "".join(f" {_column(game, column)} " for column in range(game.width))])


def _column(game: BoardGame, column: int) -> str:
    """What moves call it: where stones fall, a move is a column."""
    name = game.action_name(column)
    return name if game.actions == game.width else name[0]


def talk(player: BoardPlayer, lines: Iterator[str], say: Callable[[str], None], *, second: bool = False) -> None:
    """Play a game against who gives `lines`, a move each, until it is over or they end; `second`: they answer."""
    game, position = player.game, player.game.begin(1)
    theirs = -1 if second else 1
    say(drawn(game, position))
    while not position.over[0]:
        if position.player[0] == theirs:
            say(f"your move ({game.action_name(0)} to {game.action_name(game.actions - 1)})?")
            line = next(lines, None)
            if line is None:
                say("the game was left")
                return
            if not line.strip():
                continue
            try:
                action = game.action_named(line.strip())
                if not position.legal[0, action]:
                    raise RecipeError("move", f"{line.strip()!r} is not allowed now", "give another")
            except RecipeError as error:
                say(str(error))
                continue
        else:
            found = player.found(position)
            action = int(found.visits[0].argmax())
            share = 50 + 50 * float(found.value[0])
            say(f"I play {game.action_name(action)}, and expect {share:.0f} of 100 points")
        position = game.play(position, np.array([action]))
        say(drawn(game, position))
    winner = int(position.winner[0])
    say("a draw" if winner == 0 else "you have won" if winner == theirs else "I have won")
