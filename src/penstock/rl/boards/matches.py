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

    Those against one of them are played side by side, and are always the same for the same weights. Without a `search`
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
        return len(self.opponents)

    def __iter__(self) -> Iterator[Batch]:
        for number, player in enumerate(self.opponents):
            draws = np.random.default_rng(derive(self._seed, "match", number))
            if self.actor is None:
                fields = self._played(player, undecided, draws)
            else:
                with asked(self.actor, self.game, self._device) as evaluate:
                    fields = self._played(player, evaluate, draws)
            fields["opponent"] = np.full(self.games, number)
            yield Batch({name: torch.from_numpy(value.astype(np.float64)) for name, value in fields.items()})

    def _played(self, player: Player, evaluate: Evaluate, draws: np.random.Generator) -> dict[str, np.ndarray]:
        first = np.arange(self.games) % 2 == 0
        positions = self.game.begin(self.games)
        policy_loss, value_loss, times = np.zeros((3, self.games))
        expected: list[tuple[Ints, Floats]] = []  # of the games in which the network was asked
        while not positions.over.all():
            going, turn = ~positions.over, first == (positions.player == 1)
            own, theirs = (going & turn).nonzero()[0], (going & ~turn).nonzero()[0]
            action = np.zeros(self.games, np.int64)
            if len(own):
                found = self._found(positions.take(own), evaluate, draws)
                action[own] = found.visits.argmax(1)
                policy_loss[own] -= (found.policy * np.log(found.prior + TINY)).sum(1)
                times[own] += 1
                expected.append((own, found.expected))
            if len(theirs):
                action[theirs] = player.choose(self.game, positions.take(theirs), draws)
            rows = going.nonzero()[0]
            positions.put(rows, self.game.play(positions.take(rows), action[rows]))
        result = positions.winner * np.where(first, 1, -1)
        for rows, value in expected:
            value_loss[rows] += (value - result[rows]) ** 2
        fields = {"first": first, "result": result, "length": positions.moves}
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
