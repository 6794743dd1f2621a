"""Games against oneself: a source for policies and values. N games side by side, B positions, P points, A actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from penstock.core.batch import Batch
from penstock.core.errors import RecipeError
from penstock.core.objective import Listening
from penstock.core.random import derive
from penstock.core.tensors import check_all_fit, under
from penstock.nn.sizes import require_sizes
from penstock.rl.acting import Actor
from penstock.rl.boards.asking import asked
from penstock.rl.boards.game import BoardGame, Ints, Positions
from penstock.rl.boards.players import by_chance, noise_for
from penstock.rl.boards.search import Found, Search

_FIELDS = ("observation", "policy", "outcome")
_GAME, _PENDING, _KEPT, _COUNTS = "game.", "pending.", "kept.", "counts"


@final
@dataclass(frozen=True, kw_only=True)
class Trying:
    """What is tried out: roots are mixed with noise of a Dirichlet distribution with this `concentration`, and the
    first `moves` are drawn by the visits. Silver et al. 2017, "Mastering the game of Go", methods, self-play."""

    concentration: float
    moves: int


@final
class SelfPlay(Listening):
    """Plays `moves` moves in each of `games` games, gives `batches` batches of what it keeps, and plays on.

    The actor, who tells "logits" (K, A) and "value" (K,), plays both sides, each move after a search. A game that ends
    is followed by another, and its positions, with the visits and with how it ended, are kept: the last `capacity`. A
    batch has "observation" (B, C, H, W), "policy" (B, A) and "outcome" (B,) for the player to move, of positions at
    random, each looked at in one of the game's symmetries at random. Games are played on until a batch can be drawn.
    Raises RecipeError where a batch is larger than what is kept.
    """

    def __init__(
        self,
        game: BoardGame,
        search: Search,
        actor: Actor,
        trying: Trying,
        *,
        games: int,
        moves: int,
        batches: int,
        batch_size: int,
        capacity: int,
        seed: int = 0,
        device: torch.device = torch.device("cpu"),  # noqa: B008 - it is a constant
    ) -> None:
        require_sizes("SelfPlay", games=games, moves=moves, batches=batches, batch_size=batch_size)
        if capacity < batch_size:
            problem = f"{batch_size} positions are more than the {capacity} training examples that are kept"
            raise RecipeError("batch_size", problem, "give a smaller one, or a larger capacity")
        self.game, self.search, self.actor, self.trying = game, search, actor, trying
        self._games, self._moves, self._batches, self._batch_size = games, moves, batches, batch_size
        self._seed, self._device = seed, device
        self._position, self._gathered, self._made, self._held = 0, 0, 0, 0
        self._positions = game.begin(games)
        self._pending, self._kept = self._room(games, game.longest), self._room(capacity)

    def _room(self, *size: int) -> dict[str, np.ndarray]:
        game = self.game
        return {
            "observation": np.zeros((*size, game.planes, game.height, game.width), np.uint8),
            "policy": np.zeros((*size, game.actions), np.float32),
            "outcome": np.zeros(size, np.float32),
        }

    @property
    def epoch_steps(self) -> int:
        """Batches between playing and playing again."""
        return self._batches

    def __next__(self) -> Batch:
        number = self._position // self._batches
        if self._gathered <= number:  # it is gathered once, however often the batch is drawn
            self._gather()
            self._gathered = number + 1
        draws = np.random.default_rng(derive(self._seed, "draw", self._position))
        held = min(self._held, len(self._kept["outcome"]))
        rows = draws.integers(held, size=self._batch_size)
        view = draws.integers(len(self.game.symmetries), size=self._batch_size)
        self._position += 1
        return self._batch(rows, view)

    def _batch(self, rows: Ints, view: Ints) -> Batch:
        seen, policy, outcome = (torch.from_numpy(self._kept[name][rows]) for name in _FIELDS)
        points = torch.from_numpy(self.game.symmetries[view])  # (B, P)
        actions = torch.from_numpy(self.game.action_symmetries[view])  # (B, A)
        turned = seen.flatten(2).gather(2, points.unsqueeze(1).expand(-1, seen.shape[1], -1))
        return Batch(observation=turned.view(seen.shape).float(), policy=policy.gather(1, actions), outcome=outcome)

    def _gather(self) -> None:
        """Play so many moves, and further until there is enough for a batch."""
        with asked(self.actor, self.game, self._device) as evaluate:
            made = 0
            while made < self._moves or self._held < self._batch_size:
                draws = np.random.default_rng(derive(self._seed, "move", self._made))
                noise = noise_for(self._positions.legal, self.trying.concentration, draws)
                found = self.search(self.game, self._positions, evaluate, noise)
                self._move(found, draws)
                self._made, made = self._made + 1, made + 1

    def _move(self, found: Found, draws: np.random.Generator) -> None:
        """Note what was found, make a move in every game, and begin anew where it was the last."""
        now, policy = self._positions, found.policy
        rows, at = np.arange(self._games), now.moves
        self._pending["observation"][rows, at] = self.game.observe(now)
        self._pending["policy"][rows, at] = policy
        action = np.where(at < self.trying.moves, by_chance(policy, draws), policy.argmax(1))
        self._positions = self.game.play(now, action)
        if len(ended := self._positions.over.nonzero()[0]):
            self._keep(ended, self._positions.take(ended))
            self._positions.put(ended, self.game.begin(len(ended)))

    def _keep(self, ended: Ints, last: Positions) -> None:
        """All positions of games that have ended, in the place of the oldest."""
        played = np.arange(self.game.longest) < last.moves[:, None]  # (E, longest)
        which, at = played.nonzero()
        outcome = last.winner[which] * (1 - 2 * (at % 2))  # the first player moves at even times
        places = (self._held + np.arange(len(which))) % len(self._kept["outcome"])
        for name in ("observation", "policy"):
            self._kept[name][places] = self._pending[name][ended[which], at]
        self._kept["outcome"][places] = outcome
        self._held += len(which)

    def hear(self, said: Mapping[str, Tensor]) -> None:
        """Nothing that is said changes what is played."""

    def tensors(self) -> dict[str, Tensor]:
        """The games that go on, and all that is kept."""
        if not self._made:
            return {}
        used = min(self._held, len(self._kept["outcome"]))
        found = {_COUNTS: torch.tensor([self._gathered, self._made, self._held])}
        found |= {_GAME + name: torch.from_numpy(value) for name, value in self._positions.fields().items()}
        found |= {_PENDING + name: torch.from_numpy(value) for name, value in self._pending.items()}
        return found | {_KEPT + name: torch.from_numpy(value[:used]) for name, value in self._kept.items()}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put it back; with nothing, begin anew. Raises CheckpointError where it is of another game or capacity."""
        if not tensors:
            self._gathered, self._made, self._held = 0, 0, 0
            self._positions = self.game.begin(self._games)
            return
        self._made = 1  # so that there is something to compare
        self._held = int(tensors[_COUNTS][2])
        check_all_fit(self.tensors(), tensors, "self-play")
        self._gathered, self._made, self._held = tensors[_COUNTS].tolist()
        game = under(_GAME, tensors)
        self._positions = Positions(**{name: tensor.cpu().numpy().copy() for name, tensor in game.items()})
        for room, prefix in ((self._pending, _PENDING), (self._kept, _KEPT)):
            for name, tensor in under(prefix, tensors).items():
                room[name][: len(tensor)] = tensor.cpu().numpy()

    def state_dict(self) -> dict[str, Any]:
        """The number of the next batch."""
        return {"position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a batch."""
        self._position = state["position"]
