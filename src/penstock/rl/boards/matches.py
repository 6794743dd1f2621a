"""Games against others: what a policy that searches is judged on. N games, A actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import numpy as np
import torch

from penstock.core.batch import Batch
from penstock.core.random import derive
from penstock.nn.sizes import require_sizes
from penstock.rl.acting import Actor
from penstock.rl.boards.asking import asked
from penstock.rl.boards.game import BoardGame, Floats, Ints, Positions
from penstock.rl.boards.players import Player, one_of
from penstock.rl.boards.search import Evaluate, Found, Search, among, undecided

TINY = 1e-12


@final
class Matches:
    """In each iteration `games` games are played against each of the opponents, every other one as the first player.

    All are played side by side, and are always the same for the same weights. Without a `search`
    the network plays by its policy alone; without an `actor` moves are made at random. A batch has, for each game, the
    number of the "opponent", whether one was "first", the "result" (1, 0 or -1), the "length" in moves, and the mean
    "policy_loss" and "value_loss" of the network where it was asked: its policy against the visits (alone, against its
    own choice), its value against the result.
    """

    def __init__(
        self,
        game: BoardGame,
        search: Search | None,
        actor: Actor | None,
        opponents: Sequence[Player],
        *,
        games: int,
        seed: int,
        device: torch.device = torch.device("cpu"),  # noqa: B008 - it is a constant
    ) -> None:
        require_sizes("Matches", games=games)
        self.game, self.search, self.actor, self.opponents = game, search, actor, opponents
        self.games, self._seed, self._device = games, seed, device

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Batch]:
        if self.actor is None:
            fields = self._played(undecided)
        else:
            with asked(self.actor, self.game, self._device) as evaluate:
                fields = self._played(evaluate)
        yield Batch({name: torch.from_numpy(value.astype(np.float64)) for name, value in fields.items()})

    def _played(self, evaluate: Evaluate) -> dict[str, np.ndarray]:
        count = self.games * len(self.opponents)
        opponent, first = np.arange(count) // self.games, np.arange(count) % self.games % 2 == 0
        draws = np.random.default_rng(derive(self._seed, "matches"))
        positions = self.game.begin(count)
        policy_loss, value_loss, times = np.zeros((3, count))
        expected: list[tuple[Ints, Floats]] = []  # of the games in which the network was asked
        while not positions.over.all():
            going, turn = ~positions.over, first == (positions.player == 1)
            action = np.zeros(count, np.int64)
            if len(own := (going & turn).nonzero()[0]):
                found = self._found(positions.take(own), evaluate, draws)
                action[own] = found.visits.argmax(1)
                policy_loss[own] -= (found.policy * np.log(found.prior + TINY)).sum(1)
                times[own] += 1
                expected.append((own, found.expected))
            for number, player in enumerate(self.opponents):
                theirs = (going & ~turn & (opponent == number)).nonzero()[0]
                if len(theirs):
                    action[theirs] = player.choose(self.game, positions.take(theirs), draws)
            rows = going.nonzero()[0]
            positions.put(rows, self.game.play(positions.take(rows), action[rows]))
        result = positions.winner * np.where(first, 1, -1)
        for rows, value in expected:
            value_loss[rows] += (value - result[rows]) ** 2
        fields = {"opponent": opponent, "first": first, "result": result, "length": positions.moves}
        return fields | {"policy_loss": policy_loss / times.clip(1), "value_loss": value_loss / times.clip(1)}

    def _found(self, positions: Positions, evaluate: Evaluate, draws: np.random.Generator) -> Found:
        if self.search is not None:
            return self.search(self.game, positions, evaluate)
        logits, value = evaluate(positions)
        prior = among(logits, positions.legal)
        action = one_of(prior == prior.max(1, keepdims=True), draws)
        visits = np.zeros_like(prior)
        visits[np.arange(len(action)), action] = 1
        return Found(visits, value, prior, value)
