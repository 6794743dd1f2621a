"""Monte-Carlo tree search in many games at once. N games, A actions, S simulations, K positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from penstock.nn.sizes import require_sizes
from penstock.rl.boards.game import BoardGame, Bools, Floats, Ints, Positions

Evaluate = Callable[[Positions], tuple[Floats, Floats]]
"""Of K positions that are not over, the logits of the actions (K, A), and what the player to move expects (K,)."""


@dataclass(frozen=True)
class Found:
    """What a search has found of N positions."""

    visits: Floats
    """(N, A): how often each action was looked into; of all together, `simulations`."""
    value: Floats
    """(N,): what the player to move expects after the search, from -1 to 1."""
    prior: Floats
    """(N, A): how likely the network held each action, before the search and without noise."""
    expected: Floats
    """(N,): what the network expected before the search."""

    @property
    def policy(self) -> Floats:
        """The visits as probabilities: (N, A)."""
        shares: Floats = self.visits / self.visits.sum(1, keepdims=True)
        return shares


@final
@dataclass(frozen=True, kw_only=True)
class Search:
    """Looks into each action in proportion to what was found there and to how likely it was held before.

    The action is taken that has the largest Q + `exploration` * P * sqrt(visits of the position) / (1 + visits of the
    action), Q being 0 where nobody has looked: PUCT, Silver et al. 2017, "Mastering the game of Go without human
    knowledge", methods. All N games are searched in step, so that the network is asked for N positions at a time; a
    tree is begun anew with each move.
    """

    simulations: int = 50
    exploration: float = 1.5
    share: float = 0.25
    """Of noise in the roots' probabilities, where there is noise."""

    def __post_init__(self) -> None:
        require_sizes("Search", simulations=self.simulations)

    def __call__(self, game: BoardGame, roots: Positions, evaluate: Evaluate, noise: Floats | None = None) -> Found:
        """From positions that are not over; `noise` (N, A) are probabilities of legal actions, to try out others."""
        tree = _Tree(game, roots, self.simulations + 1)
        prior, expected = _judged(evaluate, roots)
        tried = prior if noise is None else (1 - self.share) * prior + self.share * noise
        tree.prior[tree.roots] = np.where(roots.legal, tried, -np.inf)
        for _ in range(self.simulations):
            self._simulate(tree, evaluate)
        visits = tree.visits[tree.roots]
        value = (tree.total[tree.roots].sum(1) + expected) / tree.count[tree.roots]
        return Found(visits, value, prior, expected)

    def _simulate(self, tree: _Tree, evaluate: Evaluate) -> None:
        """From every root down to a position that is new or over, and back up with what it is worth."""
        games, at = np.arange(len(tree.roots)), tree.roots
        depth = np.zeros(len(games), np.int64)
        path: list[tuple[Ints, Ints, Ints]] = []  # games, nodes and actions of each level
        leaf = np.zeros(len(games), np.int64)
        while len(games):
            action = self._chosen(tree, at)
            path.append((games, at, action))
            depth[games] += 1
            child = tree.child[at, action]
            new = child < 0
            if new.any():
                child[new] = tree.grow(games[new], at[new], action[new])
            leaf[games] = child
            inside = ~(new | tree.positions.over[child])
            games, at = games[inside], child[inside]
        value = tree.positions.gain[leaf]
        if len(open_ones := (~tree.positions.over[leaf]).nonzero()[0]):
            there = leaf[open_ones]
            prior, value[open_ones] = _judged(evaluate, tree.positions.take(there))
            tree.prior[there] = np.where(tree.positions.legal[there], prior, -np.inf)
        tree.count[leaf] += 1
        for level, (games, nodes, action) in enumerate(path):
            sign = 1 - 2 * ((depth[games] - level) % 2)  # players take turns
            tree.visits[nodes, action] += 1
            tree.total[nodes, action] += sign * value[games]
            tree.count[nodes] += 1

    def _chosen(self, tree: _Tree, at: Ints) -> Ints:
        """The action of each node (K,) that is looked into next: (K,)."""
        visits = tree.visits[at]  # (K, A)
        bonus = tree.prior[at] * (self.exploration * np.sqrt(tree.count[at]))[:, None] / (1 + visits)
        found: Ints = (tree.total[at] / np.maximum(visits, 1) + bonus).argmax(1)
        return found


class _Tree:
    """The trees of N games, each with room for so many nodes; the first of them is its root."""

    def __init__(self, game: BoardGame, roots: Positions, room: int) -> None:
        size, self._game = len(roots) * room, game
        self.roots = np.arange(len(roots)) * room
        self.positions = roots.room_for(size)
        self.positions.put(self.roots, roots)
        self.prior, self.visits, self.total = np.zeros((3, size, game.actions), np.float32)
        self.child = np.full((size, game.actions), -1, np.int64)
        self.count = np.zeros(size, np.float32)
        self.count[self.roots] = 1
        self._next = self.roots + 1

    def grow(self, games: Ints, parents: Ints, action: Ints) -> Ints:
        """Nodes for what an action of each parent leads to: (K,)."""
        nodes = self._next[games]
        self._next[games] += 1
        self.child[parents, action] = nodes
        self.positions.put(nodes, self._game.play(self.positions.take(parents), action))
        return nodes


def _judged(evaluate: Evaluate, positions: Positions) -> tuple[Floats, Floats]:
    """Probabilities of the legal actions (K, A), and values (K,)."""
    logits, value = evaluate(positions)
    return among(logits, positions.legal), value


def among(logits: Floats, legal: Bools) -> Floats:
    """The softmax over what is legal: (K, A)."""
    masked = np.where(legal, logits, -np.inf)
    powers = np.exp(masked - masked.max(1, keepdims=True))
    found: Floats = powers / powers.sum(1, keepdims=True)
    return found


def undecided(positions: Positions) -> tuple[Floats, Floats]:
    """Who knows nothing: every action is as likely, every position as good for both."""
    return np.zeros(positions.legal.shape, np.float32), np.zeros(len(positions), np.float32)
