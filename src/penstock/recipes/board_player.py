"""A model that plays a board game. A actions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from penstock.core.batch import Batch
from penstock.core.errors import CheckpointError, DataError
from penstock.core.objective import Evaluation
from penstock.core.random import derive
from penstock.engine.device import precision_of
from penstock.objectives.policy_value import JUDGED, PolicyAndValue
from penstock.recipes.board_rules import game_of, make_objective, make_opponents, make_search
from penstock.recipes.trained import CONFIG, Trained, check_measured, configuration, load_weights
from penstock.rl.acting import Actor
from penstock.rl.boards.asking import asked
from penstock.rl.boards.game import Positions
from penstock.rl.boards.matches import Matches
from penstock.rl.boards.search import Found

if TYPE_CHECKING:
    from penstock.recipes.selfplay import Selfplay

OPENING = 3
"""Moves of the opening that the report shows, at most."""


class BoardPlayer(Trained):
    """Looks for a move by a search that the network guides; `recipe` is a resolved one."""

    objective: PolicyAndValue

    def __init__(self, objective: PolicyAndValue, recipe: Selfplay) -> None:
        super().__init__(objective, recipe.model)
        self.recipe, self.game, self.search = recipe, game_of(recipe), make_search(recipe)

    def config(self) -> dict[str, Any]:
        """The game, and what it may look like."""
        net = self.recipe.net
        return {"game": self.game.name, **self.game.settings(), "width": net.width, "layers": net.layers}

    @classmethod
    def load(cls, folder: Path, recipe: Selfplay) -> BoardPlayer:
        """Read a model's folder back. Raises CheckpointError for files that are damaged or of another game."""
        made = cls(make_objective(recipe, game_of(recipe)).eval(), recipe)
        with configuration(folder) as config:
            if config != {"model": recipe.model, **made.config()}:
                problem = f"it is not of the player of {recipe.data} that the recipe tells"
                raise CheckpointError(folder / CONFIG, problem, "restore it")
        load_weights(folder, made.network)
        return made

    def matches(self, games: int, part: str, *, searching: bool = True, knowing: bool = True) -> Matches:
        """So many games against each opponent, always with the same chances; not `knowing`, without the network."""
        return Matches(
            self.game,
            self.search if searching else None,
            Actor(self.objective, self.objective.tell) if knowing else None,
            make_opponents(self.recipe, self.game),
            games=games,
            seed=derive(self.recipe.seed, part),
            device=self.device,
        )

    def check_monitor(self, monitor: str) -> None:
        """Raises RecipeError where the monitored metric is not measured."""
        check_measured(self.objective, Batch({name: torch.zeros(2) for name in JUDGED}), monitor)

    def found(self, positions: Positions) -> Found:
        """What the search finds from positions that are not over."""
        with asked(Actor(self.objective, self.objective.tell), self.game, self.device) as evaluate:
            return self.search(self.game, positions, evaluate)

    def predict(self, given: Sequence[object], *, batch_size: int = 256) -> list[dict[str, Any]]:
        """The move that is best after each of the given moves, "4 4 3" or "" at the beginning.

        Raises DataError for what is no text, RecipeError for moves that are not allowed.
        """
        answers: list[dict[str, Any]] = []
        for text in given:
            if not isinstance(text, str):
                raise DataError(
                    "predict", f"{type(text).__name__} is not a text of moves", 'give moves such as "4 4 3"'
                )
            positions = self.game.after(text)
            if positions.over[0]:
                raise DataError(text, "this game is over", "leave out the last move")
            found = self.found(positions)
            shares = {self.game.action_name(a): float(p) for a, p in enumerate(found.policy[0])}
            best = self.game.action_name(int(found.visits[0].argmax()))
            answers.append(
                {"input": text, "prediction": best, "value": round(float(found.value[0]), 6), "probabilities": shares}
            )
        return answers

    def judged(self, evaluation: Evaluation, split: str, games: int, precision: str) -> dict[str, Any]:
        """The games of an evaluation as the report shows them, beside those of the policy alone and of no network."""
        alone = self.evaluate(self.matches(games, split, searching=False), precision)
        chance = self.evaluate(self.matches(games, split, searching=False, knowing=False), precision)
        with precision_of(precision, self.device):
            opening = self._opening()
        return {
            "split": split,
            "examples": len(evaluation.records["result"]),
            "metrics": evaluation.metrics,
            "baseline": {"name": "moves at random", "metrics": chance.metrics},
            "reference": {"name": "without search", "metrics": alone.metrics},
            "board": {
                "name": self.game.name,
                "opponents": list(self.objective.opponents),
                "opening": opening,
                "matches": self._matches(evaluation),
            },
        }

    def _matches(self, evaluation: Evaluation) -> list[dict[str, Any]]:
        """Games won, drawn and lost against each opponent, beginning and answering; with their lengths."""
        records = {name: value.numpy() for name, value in evaluation.records.items()}
        found = []
        for number, name in enumerate(self.objective.opponents):
            for first in (1, 0):
                rows = (records["opponent"] == number) & (records["first"] == first)
                result, length = records["result"][rows], records["length"][rows]
                counts = {
                    word: int((result == sign).sum()) for word, sign in (("wins", 1), ("draws", 0), ("losses", -1))
                }
                mean = float(length.mean()) if len(length) else None
                found.append({"opponent": name, "first": bool(first), **counts, "length": mean})
        return found

    def _opening(self) -> list[dict[str, Any]]:
        """The best moves at the beginning: of each position, what the network and the search hold of each action."""
        shown, position = [], self.game.begin(1)
        for _ in range(OPENING):
            found = self.found(position)
            shown.append(
                {
                    "board": position.board[0].reshape(self.game.height, self.game.width).tolist(),
                    "last": int(position.last[0]),
                    "prior": np.round(found.prior[0].astype(float), 4).tolist(),
                    "visits": np.round(found.policy[0].astype(float), 4).tolist(),
                    "expected": float(found.expected[0]),
                    "value": float(found.value[0]),
                }
            )
            position = self.game.play(position, found.visits.argmax(1))
            if position.over[0]:
                break
        return shown
